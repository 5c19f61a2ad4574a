//! A destination on a bad day. Whatever it does, the end is right.

use anyhow::{Result, ensure};
use retention_science_simulator::{Answer, FaultKind, JobFault, JobRule, Match, Rule};
use serde_json::json;

use crate::world::World;

fn rule(method: &str, path: &str, kind: FaultKind) -> Rule {
    Rule {
        matches: Match {
            method: Some(method.to_owned()),
            path_prefix: Some(path.to_owned()),
        },
        kind,
        ..Rule::default()
    }
}

fn status(code: u16, retry_after: Option<u64>) -> FaultKind {
    FaultKind::Status(Answer {
        code,
        body: None,
        retry_after,
    })
}

/// A small audience, its changes and these faults; the end must be right.
async fn survives(seed: u64, faults: Vec<Rule>) -> Result<World> {
    let mut world = World::new(300, seed).await?;
    world.append(0..150)?;
    world.simulator.set_faults(faults, vec![]);
    world.finish().await?;
    Ok(world)
}

fn answered(world: &World, code: &str) -> u64 {
    let by_status = &world.simulator.stats()["requests_by_status"];
    by_status[code].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn a_storm_of_server_errors_is_waited_out() -> Result<()> {
    let storm = Rule {
        first: Some(60),
        ..rule("POST", "/users", status(503, None))
    };
    let world = survives(31, vec![storm]).await?;
    ensure!(answered(&world, "503") == 60);
    Ok(())
}

#[tokio::test]
async fn errors_here_and_there_keep_the_order_of_each_member() -> Result<()> {
    let now_and_then = Rule {
        every: Some(3),
        times: Some(60),
        ..rule("POST", "/users", status(500, None))
    };
    let world = survives(32, vec![now_and_then]).await?;
    ensure!(answered(&world, "500") > 20);
    Ok(())
}

#[tokio::test]
async fn too_many_requests_are_sent_again_later() -> Result<()> {
    let limit = Rule {
        first: Some(40),
        ..rule("POST", "/users", status(429, None))
    };
    let world = survives(33, vec![limit]).await?;
    ensure!(answered(&world, "429") == 40);
    Ok(())
}

#[tokio::test]
async fn a_retry_after_is_honoured() -> Result<()> {
    let limit = Rule {
        first: Some(1),
        ..rule("POST", "/users", status(429, Some(2)))
    };
    let mut world = World::new(100, 34).await?;
    // One lane: what one request is told holds for all.
    world.tenant.tuning = "lanes = 1\n".to_owned();
    world.configure()?;
    world.append(0..1)?;
    world.simulator.set_faults(vec![limit], vec![]);
    world.finish().await?;
    let times: Vec<u64> = world
        .requests("POST", "/users")
        .iter()
        .filter_map(|request| request["at_ms"].as_u64())
        .collect();
    let [first, second] = times[..] else {
        anyhow::bail!("not two requests: {times:?}")
    };
    ensure!(second - first >= 2_000, "{times:?}");
    Ok(())
}

#[tokio::test]
async fn connections_that_break_before_and_after_the_effect_change_nothing() -> Result<()> {
    let breaks = |kind, every| Rule {
        every: Some(every),
        times: Some(20),
        ..rule("POST", "/users", kind)
    };
    let faults = vec![
        breaks(FaultKind::ResetBeforeEffect, 5),
        breaks(FaultKind::ResetAfterEffect, 4),
    ];
    let world = survives(35, faults).await?;
    ensure!(answered(&world, "reset") > 20);
    Ok(())
}

#[tokio::test]
async fn an_upload_that_breaks_is_made_again() -> Result<()> {
    let first = |kind| Rule {
        times: Some(1),
        ..rule("POST", "/import_jobs", kind)
    };
    let faults = vec![
        first(FaultKind::ResetBeforeEffect),
        first(status(502, None)),
        first(FaultKind::ResetAfterEffect),
    ];
    let world = survives(36, faults).await?;
    ensure!(world.simulator.jobs().len() == 2);
    Ok(())
}

#[tokio::test]
async fn a_job_status_that_ends_in_the_middle_is_asked_for_again() -> Result<()> {
    let first = |kind| Rule {
        times: Some(1),
        ..rule("GET", "/import_jobs/", kind)
    };
    let faults = vec![first(FaultKind::TruncatedJson), first(FaultKind::NotJson)];
    let world = survives(37, faults).await?;
    ensure!(world.requests("GET", "/import_jobs/").len() == 3);
    Ok(())
}

#[tokio::test]
async fn a_failed_job_parks_the_export_and_a_restart_submits_anew() -> Result<()> {
    let mut world = World::new(300, 38).await?;
    world.append(0..50)?;
    let failed = JobRule {
        job: JobFault::Failed,
        next: 1,
    };
    world.simulator.set_faults(vec![], vec![failed]);
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(6), "{ended:?}");
    let reason = "an import job failed: the import could not be processed";
    ensure!(ended.stdout.contains(reason), "{}", ended.stdout);
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "parked", "{status}");
    ensure!(
        status["state"]["reason"]["why"] == "import-failed",
        "{status}"
    );
    ensure!(status["adds_up"] == true, "{status}");
    ensure!(world.simulator.users().is_empty());
    ensure!(world.requests("POST", "/users").is_empty());

    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 2);
    Ok(())
}

/// Rows that the import refuses are counted, and each is in quarantine with the reason.
#[tokio::test]
async fn rows_that_the_import_refuses_are_in_quarantine() -> Result<()> {
    let world = World::new(100, 39).await?;
    world
        .simulator
        .patch_config(&json!({"row_error_every": 10}))?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let refused = world.simulator.jobs()[0]["rows_refused"].as_u64();
    ensure!(refused.is_some_and(|refused| refused >= 9), "{refused:?}");
    let status = world.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    let counts = world.expected.counts();
    let delivered = counts.staged - refused.unwrap_or(0);
    ensure!(status["backfill"]["delivered"] == delivered, "{status}");
    let refusals = world
        .quarantine()?
        .into_iter()
        .filter(|(_, reason)| reason.starts_with("the import job refused it: "));
    ensure!(Some(refusals.count() as u64) == refused);
    Ok(())
}

/// More changes than a destination takes in a second, and a limit that it enforces.
#[tokio::test]
async fn a_rate_limit_slows_down_and_loses_nothing() -> Result<()> {
    let mut world = World::new(100, 40).await?;
    world.append(0..150)?;
    world
        .simulator
        .patch_config(&json!({"rate_limit": {"per_second": 60, "retry_after": 1}}))?;
    world.finish().await?;
    ensure!(answered(&world, "429") > 0);
    Ok(())
}
