//! A whole audience, from the scan to live changes, in every shape that sources come in.

use anyhow::{Result, ensure};
use retention_science_simulator::{ClockMode, Config};
use serde_json::json;
use sluice_audience::{Audience, Expected};

use crate::process::Sluice;
use crate::world::{KEY, Tenant, World, account, append};

#[tokio::test]
async fn a_whole_audience_is_imported_once_and_then_every_change_is_sent() -> Result<()> {
    let mut world = World::with(Audience::new(3_000, 1).broken_lines(3)).await?;
    world.append(0..400)?;
    world.finish().await?;
    let jobs = world.simulator.jobs();
    ensure!(jobs.len() == 1, "{} import jobs", jobs.len());
    ensure!(jobs[0]["rows"] == world.expected.counts().staged);
    ensure!(jobs[0]["rows_refused"] == 0);

    // Nothing is done twice, and what comes later is sent, too.
    let before = world.simulator.stats()["requests"].as_u64();
    world.finish().await?;
    // One request proves the key.
    let after = world.simulator.stats()["requests"].as_u64();
    ensure!(after == before.map(|n| n + 1), "{before:?} then {after:?}");
    world.append(400..500)?;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn changes_during_the_import_wait_until_it_has_succeeded() -> Result<()> {
    let mut world = World::new(600, 2).await?;
    world.simulator.set_clock(ClockMode::Manual);
    world
        .simulator
        .patch_config(&json!({"queue_delay_ms": 60_000}))?;
    let mut running = world.start(&["--until-idle"])?;
    let pending = world
        .simulator
        .until(|sim| crate::world::requests(sim, "GET", "/import_jobs/").len() == 1);
    running.until("the job is asked about", pending).await?;
    world.append(0..200)?;
    running
        .until_status(&world.sluice, "the changes are accepted", |status| {
            status["live"]["received"] == 200
        })
        .await?;
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "importing", "{status}");
    ensure!(status["live"]["delivered"] == 0, "{status}");
    ensure!(world.simulator.users().is_empty());

    world.simulator.advance(60_000).await;
    let imported = world.simulator.stats()["effects"].as_u64();
    let ended = running.ended().await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    for sent in world.requests("POST", "/users") {
        let effect = sent["effect"].as_u64();
        ensure!(effect > imported, "sent before the import was done: {sent}");
    }
    world.prove().await
}

#[tokio::test]
async fn a_large_audience_goes_in_several_files_and_jobs() -> Result<()> {
    let mut world = World::new(1_900, 3).await?;
    world.tenant.tuning = "staged_file_max_rows = 500\n".to_owned();
    world.configure()?;
    world.append(0..100)?;
    world.finish().await?;
    let rows: Vec<u64> = world
        .simulator
        .jobs()
        .iter()
        .filter_map(|job| job["rows"].as_u64())
        .collect();
    ensure!(rows.len() == 4, "{rows:?}");
    ensure!(rows.iter().all(|&rows| rows <= 500), "{rows:?}");
    ensure!(rows.iter().sum::<u64>() == world.expected.counts().staged);
    let names: std::collections::HashSet<String> = world
        .simulator
        .jobs()
        .iter()
        .map(|job| job["files"][0]["file_name"].to_string())
        .collect();
    ensure!(names.len() == 4, "file names are not different: {names:?}");
    Ok(())
}

#[tokio::test]
async fn standard_input_goes_on_where_it_was_with_continue() -> Result<()> {
    let mut world = World::new(300, 4).await?;
    world.tenant.changes = Some("{ stdin = \"continue\" }".to_owned());
    world.configure()?;
    for numbers in [0..150, 150..220] {
        let lines = world.changes(numbers)?.join("\n");
        let ended = world
            .sluice
            .call_with(&["run", "--until-idle"], &lines)
            .await?;
        ensure!(ended.code == Some(world.good_end()), "{ended:?}");
        world.prove().await?;
    }
    Ok(())
}

#[tokio::test]
async fn standard_input_that_begins_anew_is_not_taken_twice_with_replay() -> Result<()> {
    let mut world = World::new(300, 5).await?;
    world.tenant.changes = Some("{ stdin = \"replay\" }".to_owned());
    world.configure()?;
    let mut lines = world.changes(0..150)?;
    let run = ["run", "--until-idle"];
    world.sluice.call_with(&run, &lines.join("\n")).await?;
    world.prove().await?;
    let sent = world.requests("POST", "/users").len();

    world.sluice.call_with(&run, &lines.join("\n")).await?;
    world.prove().await?;
    ensure!(world.requests("POST", "/users").len() == sent);

    // The beginning once more, and something new behind it.
    lines.extend(world.changes(150..170)?);
    world.sluice.call_with(&run, &lines.join("\n")).await?;
    world.prove().await?;
    let more = world.requests("POST", "/users").len() - sent;
    ensure!((1..=20).contains(&more), "{more} requests for 20 changes");
    Ok(())
}

#[tokio::test]
async fn an_export_without_members_is_live_at_once() -> Result<()> {
    let mut world = World::new(100, 6).await?;
    world.tenant.members = None;
    world.configure()?;
    // The model has not seen the members, either.
    world.expected = Expected::new();
    world.append(0..60)?;
    let elsewhere = json!({"change": "enter", "audience": "others", "user": {"user_id": "o"}});
    append(&world.path("changes.ndjson"), &[elsewhere.to_string()])?;
    world.append(60..120)?;
    world.finish().await?;
    ensure!(world.simulator.jobs().is_empty());
    Ok(())
}

#[tokio::test]
async fn an_export_without_changes_ends_with_the_backfill() -> Result<()> {
    let mut world = World::new(400, 7).await?;
    world.tenant.changes = None;
    world.configure()?;
    for goal in ["--until-live", "--until-idle"] {
        let ended = world.run(&[goal]).await?;
        ensure!(ended.code == Some(world.good_end()), "{ended:?}");
        world.prove().await?;
    }
    ensure!(world.requests("POST", "/users").is_empty());
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn tenants_run_side_by_side_and_one_that_is_refused_harms_no_other() -> Result<()> {
    let mut world = World::new(500, 8).await?;
    world.append(0..50)?;
    let other = account(Config::default()).await?;
    let refusing = account(Config::default()).await?;
    refusing.patch_config(&json!({"api_key": "another-key"}))?;
    for (name, endpoint) in [("other", other.url()), ("refused", refusing.url())] {
        let tenant = Tenant::new(&endpoint);
        std::fs::write(world.path(&format!("{name}.toml")), tenant.text())?;
    }
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(5), "{ended:?}");
    let statuses = world.sluice.statuses().await?;
    let phases: Vec<_> = statuses
        .iter()
        .map(|status| (status["export"].as_str(), status["phase"].as_str()))
        .collect();
    let expected = [
        (Some("other/everyone"), Some("live")),
        (Some("refused/everyone"), Some("parked")),
        (Some("test/everyone"), Some("live")),
    ];
    ensure!(phases == expected, "{phases:?}");
    for account in [&world.simulator, &other] {
        let comparison = world.expected.compare(account.users());
        ensure!(comparison.is_clean(), "{comparison}");
    }
    ensure!(refusing.users().is_empty() && refusing.jobs().is_empty());

    // One export alone, by its name; the two others are left as they are.
    std::fs::remove_file(world.path("refused.toml"))?;
    let ended = world
        .run(&["--export", "other/everyone", "--until-idle"])
        .await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    ensure!(!ended.stdout.contains("test/everyone"), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn a_polite_end_while_live_loses_nothing() -> Result<()> {
    let mut world = World::new(300, 9).await?;
    world.append(0..300)?;
    let mut running = world.start(&[])?;
    let some = world
        .simulator
        .until(|sim| crate::world::requests(sim, "POST", "/users").len() >= 20);
    running.until("changes are sent", some).await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let status = world.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    world.append(300..400)?;
    world.finish().await
}

/// `--help` says so: asked to end, it ends with 0, whatever it was on its way to.
#[tokio::test]
async fn a_polite_end_before_the_goal_is_no_failure() -> Result<()> {
    let mut world = World::new(300, 14).await?;
    ensure!(world.good_end() == 7, "nothing is in quarantine");
    world.append(0..20)?;
    world.simulator.set_clock(ClockMode::Manual);
    world
        .simulator
        .patch_config(&json!({"queue_delay_ms": 60_000}))?;
    let mut running = world.start(&["--until-idle"])?;
    let pending = world
        .simulator
        .until(|sim| crate::world::requests(sim, "GET", "/import_jobs/").len() == 1);
    running.until("the job is asked about", pending).await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    world.simulator.advance(60_000).await;
    world.finish().await
}

#[tokio::test]
async fn a_last_line_without_an_end_is_a_member_but_not_yet_a_change() -> Result<()> {
    let mut world = World::new(300, 10).await?;
    let members = std::fs::read_to_string(world.path("members.ndjson"))?;
    std::fs::write(world.path("members.ndjson"), members.trim_end())?;
    let whole = world.changes(0..9)?;
    append(&world.path("changes.ndjson"), &whole)?;
    let last = world.audience.changes(9..10).collect::<Vec<_>>().concat();
    let changes = std::fs::read_to_string(world.path("changes.ndjson"))?;
    // Somebody is writing it just now.
    std::fs::write(
        world.path("changes.ndjson"),
        changes.clone() + &last[..last.len() / 2],
    )?;
    world.finish().await?;
    let last = world.changes(9..10)?.concat();
    let path = world.path("changes.ndjson");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&path)?
        .set_len(changes.len() as u64)?;
    append(&path, &[last])?;
    world.finish().await
}

#[tokio::test]
async fn an_empty_audience_needs_no_import() -> Result<()> {
    let mut world = World::new(0, 11).await?;
    world.append(0..30)?;
    world.finish().await?;
    ensure!(world.simulator.jobs().is_empty());
    Ok(())
}

#[tokio::test]
async fn two_processes_cannot_work_on_one_store() -> Result<()> {
    let world = World::new(100, 12).await?;
    let mut first = world.start(&[])?;
    first
        .until_status(&world.sluice, "the first is live", |status| {
            status["phase"] == "live"
        })
        .await?;
    let second = world.run(&["--until-idle"]).await?;
    ensure!(second.code == Some(1), "{second:?}");
    ensure!(
        second.stderr.contains("in use by another process"),
        "{second:?}"
    );
    ensure!(first.terminate().await?.code == Some(0));
    world.prove().await
}

/// The same store under another folder: nothing in it depends on where it was.
#[tokio::test]
async fn a_store_can_be_kept_elsewhere_and_be_moved() -> Result<()> {
    let mut world = World::new(200, 13).await?;
    world.append(0..20)?;
    let first = world.path("first");
    let run = |data: &std::path::Path| {
        let data = data.display().to_string();
        let sluice = Sluice::new(world.folder.path(), KEY);
        async move { sluice.call(&["run", "--until-idle", "--data", &data]).await }
    };
    let ended = run(&first).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let requests = world.simulator.stats()["requests"].as_u64();
    let second = world.path("second");
    std::fs::rename(&first, &second)?;
    let ended = run(&second).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let after = world.simulator.stats()["requests"].as_u64();
    ensure!(after == requests.map(|n| n + 1), "it was done again");
    ensure!(world.expected.compare(world.simulator.users()).is_clean());
    Ok(())
}
