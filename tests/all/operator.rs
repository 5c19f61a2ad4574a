//! What an operator does while it runs: a new key, pause and resume, quarantine, receipts, a log
//! that is full. Nothing of it needs a restart.

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Answer, FaultKind, JobFault, JobRule, Match, Rule};
use serde_json::{Value, json};

use crate::process::Ended;
use crate::world::{World, append};

const EXPORT: &str = "everyone";

fn users(kind: FaultKind) -> Rule {
    Rule {
        matches: Match {
            method: Some("POST".to_owned()),
            path_prefix: Some("/users".to_owned()),
        },
        kind,
        ..Rule::default()
    }
}

fn refuses(code: u16) -> FaultKind {
    FaultKind::Status(Answer {
        code,
        body: Some(r#"{"message":"no"}"#.to_owned()),
        retry_after: None,
    })
}

/// `sluice quarantine COMMAND everyone ARGS`, which must succeed.
async fn quarantine(world: &World, command: &str, args: &[&str]) -> Result<Ended> {
    let args = [&["quarantine", command, EXPORT], args].concat();
    let ended = world.sluice.call(&args).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(ended)
}

async fn entries(world: &World, args: &[&str]) -> Result<Vec<Value>> {
    let args = [&["--json"], args].concat();
    let listed = quarantine(world, "list", &args).await?;
    Ok(serde_json::from_str(&listed.stdout)?)
}

/// One change each of so many new members, with this number of credits.
fn change(world: &mut World, members: u64, credits: u64) -> Result<()> {
    let changes: Vec<String> = (0..members)
        .map(|n| {
            json!({"change": "enter", "user": {"user_id": format!("new-{n}"), "credits": credits,
                "email": format!("new-{n}@example.com"), "city": "x".repeat(100)}})
            .to_string()
        })
        .collect();
    changes.iter().for_each(|line| world.expected.change(line));
    append(&world.path("changes.ndjson"), &changes)
}

/// Runs until idle with a destination that refuses every one of so many changes.
async fn refused(world: &mut World, changes: u64) -> Result<()> {
    change(world, changes, 1)?;
    world
        .simulator
        .set_faults(vec![users(refuses(422))], vec![]);
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    world.simulator.clear_faults();
    let status = world.sluice.status().await?;
    ensure!(status["live"]["quarantined"] == changes, "{status}");
    Ok(())
}

#[tokio::test]
async fn a_new_key_in_its_file_lets_every_refused_export_go_on() -> Result<()> {
    let mut world = World::new(60, 71).await?;
    world.append(0..30)?;
    std::fs::write(world.path("key"), "an-old-key-0000")?;
    std::fs::set_permissions(
        world.path("key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )?;
    let mut text = world
        .tenant
        .text()
        .replace("{ env = \"TEST_API_KEY\" }", "{ file = \"key\" }");
    // A second export of the same authorization, live only.
    text.push_str(
        "\n[exports.second]\nauthorization = \"main\"\nlabel = \"Second\"\naudience = \"none\"\n\
         user_id_field = \"user_id\"\nchanges = { file = \"none.ndjson\" }\n\
         fields = { user_id = \"record_id\", email = \"email\" }\noptions = { import_type = \"test\" }\n",
    );
    std::fs::write(world.path("test.toml"), text)?;
    let mut running = world.start(&[])?;
    let both = |statuses: &[Value], phase: &str| {
        statuses.len() == 2 && statuses.iter().all(|status| status["phase"] == phase)
    };
    running
        .until_statuses(&world.sluice, "both are parked", |statuses| {
            both(statuses, "parked")
        })
        .await?;
    let statuses = world.sluice.statuses().await?;
    for status in &statuses {
        ensure!(
            status["state"]["reason"]["why"] == "unauthorized",
            "{status}"
        );
    }
    std::fs::write(world.path("key"), crate::world::KEY)?;
    running
        .until_statuses(&world.sluice, "both are live", |statuses| {
            both(statuses, "live")
                && statuses.iter().all(|status| status["live"]["pending"] == 0)
                && statuses[0]["live"]["received"] == 30
        })
        .await?;
    // Now the account's key changes. One export finds out; the other makes no request, and hears it.
    world
        .simulator
        .patch_config(&json!({"api_key": "a-newer-key-8888"}))?;
    world.append(30..40)?;
    running
        .until_statuses(&world.sluice, "both are parked again", |statuses| {
            both(statuses, "parked")
        })
        .await?;
    std::fs::write(world.path("key"), "a-newer-key-8888")?;
    running
        .until_statuses(&world.sluice, "both go on", |statuses| {
            both(statuses, "live")
                && statuses[0]["live"]["received"] == 40
                && statuses[0]["live"]["pending"] == 0
        })
        .await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let comparison = world.expected.compare(world.simulator.users());
    ensure!(comparison.is_clean(), "{comparison}");
    Ok(())
}

#[tokio::test]
async fn an_export_parked_by_a_failed_import_goes_on_when_it_is_resumed() -> Result<()> {
    let mut world = World::new(60, 72).await?;
    world.append(0..20)?;
    let failed = JobRule {
        job: JobFault::Failed,
        next: 1,
    };
    world.simulator.set_faults(vec![], vec![failed]);
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "it is parked", |status| {
            status["phase"] == "parked" && status["live"]["received"] == 20
        })
        .await?;
    let resumed = world.sluice.call(&["resume", EXPORT]).await?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    running
        .until_status(&world.sluice, "it is live and done", |status| {
            status["phase"] == "live" && status["live"]["pending"] == 0
        })
        .await?;
    running.terminate().await?;
    world.prove().await?;
    let jobs = world.sluice.status().await?["jobs"].clone();
    ensure!(jobs[0]["submissions"] == 2, "{jobs}");
    Ok(())
}

#[tokio::test]
async fn a_paused_export_accepts_and_delivers_nothing_also_after_a_restart() -> Result<()> {
    let mut world = World::new(30, 73).await?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "it is live", |status| {
            status["phase"] == "live"
        })
        .await?;
    let paused = world.sluice.call(&["pause", EXPORT]).await?;
    ensure!(paused.code == Some(0), "{paused:?}");
    running
        .until_status(&world.sluice, "it rests", |status| {
            status["phase"] == "parked"
        })
        .await?;
    world.append(0..10)?;
    running
        .until_status(&world.sluice, "it accepts", |status| {
            status["live"]["pending"] == 10
        })
        .await?;
    running.kill().await?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(6), "{ended:?}");
    ensure!(
        ended.stdout.contains("paused: by `sluice pause`"),
        "{ended:?}"
    );
    ensure!(world.requests("POST", "/users").is_empty());
    let resumed = world.sluice.call(&["resume", EXPORT]).await?;
    ensure!(resumed.code == Some(0), "{resumed:?}");
    world.finish().await
}

#[tokio::test]
async fn a_quarantined_row_is_masked_until_it_is_revealed() -> Result<()> {
    let mut world = World::new(0, 74).await?;
    let line = json!({"change": "enter", "user":
        {"user_id": "canary-17", "email": "canary@example.com", "credits": 1}});
    append(&world.path("changes.ndjson"), &[line.to_string()])?;
    world.tenant.members = None;
    world.configure()?;
    world
        .simulator
        .set_faults(vec![users(refuses(422))], vec![]);
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let id = entries(&world, &[]).await?[0]["id"].to_string();
    for args in [
        vec!["list", EXPORT],
        vec!["list", EXPORT, "--json"],
        vec!["show", EXPORT, id.as_str()],
        vec!["export", EXPORT],
        vec!["export", EXPORT, "--json"],
    ] {
        let args = [vec!["quarantine"], args].concat();
        let hidden = world.sluice.call(&args).await?;
        ensure!(hidden.code == Some(0), "{hidden:?}");
        ensure!(!hidden.stdout.contains("canary"), "{}", hidden.stdout);
        let shown = world
            .sluice
            .call(&[args, vec!["--reveal"]].concat())
            .await?;
        ensure!(shown.stdout.contains("canary-17"), "{}", shown.stdout);
    }
    // One object a line, or one array.
    let lines = quarantine(&world, "export", &[]).await?.stdout;
    let array = quarantine(&world, "export", &["--json"]).await?.stdout;
    let (line, array): (Value, Value) =
        (serde_json::from_str(&lines)?, serde_json::from_str(&array)?);
    ensure!(array == json!([line]), "{array}");
    let shown = quarantine(&world, "show", &[&id, "--reveal"]).await?;
    for part in [
        "canary@example.com",
        "retention-science",
        "0.1.0",
        "changes.ndjson:1",
    ] {
        ensure!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
    Ok(())
}

/// Whether or not it runs: what is replayed goes out, and each row is reported.
#[tokio::test]
async fn replayed_rows_are_delivered_and_every_row_is_reported() -> Result<()> {
    let mut world = World::new(0, 75).await?;
    refused(&mut world, 12).await?;
    let listed = entries(&world, &["--phase", "live"]).await?;
    ensure!(listed.len() == 12, "{listed:?}");
    let first = listed[0]["id"].to_string();
    let replayed = quarantine(&world, "replay", &["--id", &first]).await?;
    ensure!(replayed.stdout.contains("1 wait."), "{}", replayed.stdout);

    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "the first is delivered", |status| {
            status["live"]["delivered"] == 1
        })
        .await?;
    let replayed = quarantine(&world, "replay", &["--all"]).await?;
    ensure!(
        replayed.stdout.matches(": waits for delivery").count() == 11,
        "{}",
        replayed.stdout
    );
    running
        .until_status(&world.sluice, "all are delivered", |status| {
            status["live"]["quarantined"] == 0 && status["live"]["pending"] == 0
        })
        .await?;
    running.terminate().await?;
    world.finish().await
}

#[tokio::test]
async fn a_replay_never_overtakes_a_newer_change() -> Result<()> {
    let mut world = World::new(0, 76).await?;
    refused(&mut world, 10).await?;
    change(&mut world, 10, 1_000)?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let replayed = quarantine(&world, "replay", &["--all"]).await?;
    ensure!(
        replayed.stdout.contains("10 superseded."),
        "{}",
        replayed.stdout
    );
    world.finish().await
}

#[tokio::test]
async fn a_dropped_row_stays_in_the_counts() -> Result<()> {
    let mut world = World::new(0, 77).await?;
    refused(&mut world, 8).await?;
    for command in ["drop", "replay"] {
        let ended = world.sluice.call(&["quarantine", command, EXPORT]).await?;
        ensure!(
            ended.code == Some(2) && ended.stderr.contains("say which entries are meant"),
            "{command}: {ended:?}"
        );
    }
    let dropped = quarantine(&world, "drop", &["--phase", "live"]).await?;
    ensure!(dropped.stdout.contains("8 dropped."));
    let status = world.sluice.status().await?;
    ensure!(status["live"]["dropped"] == 8, "{status}");
    ensure!(status["live"]["quarantined"] == 0, "{status}");
    ensure!(status["adds_up"] == true, "{status}");
    Ok(())
}

/// As far as the vendor tells: which row it was. Member and attributes are found again.
#[tokio::test]
async fn rows_that_an_import_refuses_can_be_replayed() -> Result<()> {
    let world = World::new(100, 78).await?;
    world
        .simulator
        .patch_config(&json!({"row_error_every": 10}))?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let refused = world.simulator.jobs()[0]["rows_refused"].as_u64();
    let filter = ["--reason", "the import job refused it"];
    let listed = entries(&world, &filter).await?;
    ensure!(Some(listed.len() as u64) == refused, "{refused:?}");
    ensure!(
        listed
            .iter()
            .all(|row| row["payload"].is_object() && row["member"].is_string())
    );
    let staged = std::fs::read_dir(world.path(".sluice/test/everyone/staged"))?;
    ensure!(staged.count() == 0, "a staged file is left behind");
    quarantine(&world, "replay", &filter).await?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let comparison = world.expected.compare(world.simulator.users());
    ensure!(comparison.is_clean(), "{comparison}");
    let status = world.sluice.status().await?;
    ensure!(
        status["backfill"]["delivered"] == world.expected.counts().staged,
        "{status}"
    );
    ensure!(status["adds_up"] == true, "{status}");
    Ok(())
}

#[tokio::test]
async fn two_runs_over_the_same_data_have_the_same_checksum_however_they_went() -> Result<()> {
    let mut checksums = vec![];
    for troubled in [false, true] {
        let mut world = World::new(200, 79).await?;
        world.append(0..120)?;
        if troubled {
            let breaks = Rule {
                every: Some(3),
                ..users(FaultKind::ResetAfterEffect)
            };
            world.simulator.set_faults(vec![breaks], vec![]);
            let mut running = world.start(&[])?;
            running
                .until_status(&world.sluice, "it is live", |status| {
                    status["phase"] == "live"
                })
                .await?;
            running.kill().await?;
            world.simulator.clear_faults();
        }
        world.finish().await?;
        let receipt = world.sluice.call(&["receipt", EXPORT, "--json"]).await?;
        let receipt: Value = serde_json::from_str(&receipt.stdout)?;
        ensure!(receipt["jobs"][0]["outcome"] == "succeeded", "{receipt}");
        ensure!(receipt["jobs"][0]["delivered"] == receipt["backfill"]["delivered"]);
        ensure!(receipt["checksum"] == world.sluice.status().await?["checksum"]);
        checksums.push(receipt["checksum"].clone());
    }
    ensure!(checksums[0] == checksums[1], "{checksums:?}");
    Ok(())
}

/// A source waits while the log is full, and everything arrives once the destination is back.
#[tokio::test]
async fn a_full_log_makes_the_source_wait_and_loses_nothing() -> Result<()> {
    let mut world = World::new(0, 80).await?;
    world.tenant.tuning = "log_max_mib = 1\n".to_owned();
    world.configure()?;
    change(&mut world, 6_000, 7)?;
    world
        .simulator
        .set_faults(vec![users(refuses(503))], vec![]);
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "the log is full", |status| {
            status["log_bytes"].as_u64() >= Some(1 << 20)
        })
        .await?;
    // By the time that every lane has tried again and again, an unlimited source would be at its end.
    let simulator = &world.simulator;
    let tries = || simulator.stats()["requests"].as_u64().unwrap_or(0);
    let before = tries();
    running
        .until_true("it is tried again and again", || tries() > before + 1_500)
        .await?;
    let status = world.sluice.status().await?;
    let bytes = status["log_bytes"].as_u64().context("no size")?;
    ensure!((1 << 20..2 << 20).contains(&bytes), "{status}");
    ensure!(
        status["live"]["received"].as_u64() < Some(6_000),
        "{status}"
    );
    running.kill().await?;
    world.simulator.clear_faults();
    world.finish().await
}
