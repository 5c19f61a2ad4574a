//! Versions of a plugin are swapped while it runs, also in the worst moment: nothing is lost, done twice
//! in the wrong order, or held up; a bad version goes back by itself and says why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Answer, FaultKind, Match, Rule};
use serde_json::Value;
use sluice_audience::Audience;

use crate::process::{Ended, Running, component};
use crate::world::World;

/// What stands in the component of `tests/versions`, up to the version.
const MARK: &[u8] = b"sluice-version:";

/// Between two swaps of the storm. A pace, and nothing that a result depends on.
const EVERY: Duration = Duration::from_secs(1);

/// The exporter as version `0.9.NN` that behaves so.
pub fn version(number: u32, how: &str) -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(component().with_file_name("sluice_versions.wasm"))?;
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)
        .context("the component holds no mark")?;
    let text = format!("sluice-version:0.9.{number:02};how:{how:.<7}");
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    Ok(bytes)
}

/// A version as a file of the world.
pub fn file(world: &World, number: u32, how: &str) -> Result<String> {
    let name = format!("version-{number}.wasm");
    std::fs::write(world.path(&name), version(number, how)?)?;
    Ok(name)
}

/// Puts another component in the place of the configured one, as a deployment does: whole or not at all.
pub fn deploy(world: &World, number: u32, how: &str) -> Result<()> {
    std::fs::write(world.path("next.wasm"), version(number, how)?)?;
    Ok(std::fs::rename(
        world.path("next.wasm"),
        world.path("plugin.wasm"),
    )?)
}

/// A live export that delivers one row a batch, so that there are many batches.
pub async fn live(members: u64, seed: u64, tuning: &str) -> Result<(World, Running)> {
    let mut world = World::with(Audience::new(members, seed)).await?;
    world.tenant.tuning = tuning.to_owned();
    world.configure()?;
    world.append(0..5)?;
    let mut running = world.start(&[])?;
    let idle = |status: &Value| status["phase"] == "live" && status["live"]["pending"] == 0;
    running.until_status(&world.sluice, "live", idle).await?;
    Ok((world, running))
}

/// Appends changes one at a time until the last swap has ended: each is a batch.
pub async fn feed_until_ended(world: &mut World, running: &mut Running, to: &str) -> Result<Value> {
    let first = world.expected.counts().changes;
    for number in first..20_000 {
        world.append(number..number + 1)?;
        let sent = |status: &Value| status["live"]["pending"] == 0;
        running.until_status(&world.sluice, "sent", sent).await?;
        let status = world.sluice.status().await?;
        let last = &status["versions"]["last"];
        if last["to"]["version"] == to && status["versions"]["swap"].is_null() {
            return Ok(last.clone());
        }
    }
    anyhow::bail!("the swap does not end: {}", world.sluice.status().await?)
}

/// `sluice plugin swap` of the exporter.
pub async fn swap(world: &World, args: &[&str]) -> Result<Ended> {
    let base = ["plugin", "swap", "retention-science"];
    world.sluice.call(&[&base, args].concat()).await
}

pub async fn finish(mut world: World, running: Running) -> Result<()> {
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    world.append(20_000..20_010)?;
    world.finish().await
}

#[tokio::test]
async fn a_good_version_is_tried_with_a_share_of_the_batches_and_promoted() -> Result<()> {
    let (mut world, mut running) = live(60, 701, "lanes = 1\n").await?;
    let next = file(&world, 1, "good")?;
    let args = [
        next.as_str(),
        "--canary",
        "50%",
        "--batches",
        "4",
        "--detach",
    ];
    let ended = swap(&world, &args).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(ended.stdout.contains("routes   nothing new"), "{ended:?}");
    let last = feed_until_ended(&mut world, &mut running, "0.9.01").await?;
    ensure!(last["outcome"] == "promoted", "{last}");
    ensure!(last["new"]["batches"] == 4, "{last}");
    ensure!(last["old"]["batches"].as_u64() >= Some(3), "{last}");
    let status = world.sluice.status().await?;
    ensure!(
        status["versions"]["active"]["version"] == "0.9.01",
        "{status}"
    );
    // A restart goes on with it, though the configuration names the old file.
    running.kill().await?;
    let mut running = world.start(&[])?;
    let same = |status: &Value| status["versions"]["active"]["version"] == "0.9.01";
    running
        .until_status(&world.sluice, "the same", same)
        .await?;
    // Once more is no change, and is said at once.
    let ended = swap(&world, &[&next]).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("promoted: it was active already"),
        "{ended:?}"
    );
    // And back, by hand, also after another one was tried; until then it cannot be taken away.
    let bad = file(&world, 9, "traps")?;
    let ended = swap(&world, &[&bad, "--detach"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let begun = |status: &Value| !status["versions"]["swap"].is_null();
    running.until_status(&world.sluice, "begun", begun).await?;
    let args = ["plugin", "rollback", "retention-science"];
    let ended = world.sluice.call(&args).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let over = |status: &Value| status["versions"]["swap"].is_null();
    running.until_status(&world.sluice, "over", over).await?;
    let before = status["versions"]["before"]["sha256"].as_str();
    let remove = ["plugin", "remove", before.context("none before")?];
    let ended = world.sluice.call(&remove).await?;
    ensure!(
        ended.code != Some(0) && ended.stderr.contains("is used by test/everyone"),
        "{ended:?}"
    );
    let args = ["plugin", "rollback", "retention-science"];
    let ended = world.sluice.call(&args).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let back = |status: &Value| status["versions"]["active"]["version"] == "0.1.0";
    running.until_status(&world.sluice, "back", back).await?;
    let said = world.sluice.call(&["status"]).await?.stdout;
    ensure!(said.contains("runs retention-science 0.1.0"), "{said}");
    finish(world, running).await
}

/// How a bad version behaves, and what is said of it.
const BAD: [(&str, &str); 4] = [
    (
        "traps",
        "it failed on a batch, its 5th of 20, that the old version did not fail on",
    ),
    ("rejects", "rows, all of which the old version delivered"),
    (
        "stuck",
        "have to be sent again where the old version's got through",
    ),
    ("slow", "it is slow: half of its batches took more than"),
];

#[tokio::test]
async fn a_bad_version_is_rolled_back_by_itself_and_loses_nothing() -> Result<()> {
    for (how, why) in BAD {
        let (mut world, mut running) = live(30, 702, "lanes = 1\n").await?;
        let next = file(&world, 2, how)?;
        let args = [next.as_str(), "--canary", "50%", "--detach"];
        let ended = swap(&world, &args).await?;
        ensure!(ended.code == Some(0), "{how}: {ended:?}");
        let last = feed_until_ended(&mut world, &mut running, "0.9.02").await?;
        ensure!(last["outcome"] == "rolled-back", "{how}: {last}");
        let said = last["why"].as_str().unwrap_or_default();
        ensure!(said.contains(why), "{how}: {said}");
        let status = world.sluice.status().await?;
        ensure!(
            status["versions"]["active"]["version"] == "0.1.0"
                && status["live"]["quarantined"] == 0,
            "{how}: {status}"
        );
        let text = world.sluice.call(&["status"]).await?.stdout;
        ensure!(
            text.contains("was rolled back at") && text.contains(why),
            "{text}"
        );
        finish(world, running).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_job_of_the_old_version_is_its_own_if_the_new_one_does_not_know_it() -> Result<()> {
    use retention_science_simulator::ClockMode;

    let mut world = World::new(40, 705).await?;
    world.simulator.set_clock(ClockMode::Manual);
    let late = serde_json::json!({ "queue_delay_ms": 60_000 });
    world.simulator.patch_config(&late)?;
    world.append(0..10)?;
    let mut running = world.start(&[])?;
    let importing = |status: &Value| status["phase"] == "importing";
    running
        .until_status(&world.sluice, "importing", importing)
        .await?;
    let next = file(&world, 6, "forgets")?;
    let ended = swap(&world, &[&next, "--batches", "0"]).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("promoted"),
        "{ended:?}"
    );
    running
        .until_said("the version that began the import job is asked about it")
        .await?;
    // Also after a crash.
    running.kill().await?;
    let mut running = world.start(&[])?;
    running
        .until_said("the version that began the import job is asked about it")
        .await?;
    world.simulator.advance(60_000).await;
    let live = |status: &Value| status["phase"] == "live" && status["live"]["pending"] == 0;
    running.until_status(&world.sluice, "live", live).await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    world.finish().await
}

#[tokio::test]
async fn versions_are_swapped_every_second_in_a_storm_with_kills() -> Result<()> {
    let mut world = World::with(Audience::new(150, 706)).await?;
    world.tenant.tuning = "lanes = 4\n".to_owned();
    world.configure()?;
    world.append(0..20)?;
    let mut running = world.start(&[])?;
    let live = |status: &Value| status["phase"] == "live";
    running.until_status(&world.sluice, "live", live).await?;
    world.simulator.set_faults(
        vec![Rule {
            matches: Match {
                method: Some("POST".to_owned()),
                path_prefix: Some("/users".to_owned()),
            },
            probability: Some(0.6),
            seed: 706,
            kind: FaultKind::Status(Answer {
                code: 503,
                body: None,
                retry_after: None,
            }),
            ..Rule::default()
        }],
        vec![],
    );
    let plans = [
        ("good", "--batches=0"),
        ("traps", "--batches=20"),
        ("good", "--canary=50%"),
        ("rejects", "--batches=20"),
        ("good", "--batches=1"),
        ("greedy", "--batches=20"),
    ];
    let (mut swapped, mut at) = (0, 20);
    for round in 0..18_u32 {
        world.append(at..at + 25)?;
        at += 25;
        let (how, plan) = plans[round as usize % plans.len()];
        let next = file(&world, 10 + round, how)?;
        let ended = swap(&world, &[&next, plan, "--detach"]).await?;
        let expected = if how == "greedy" { 10 } else { 0 };
        ensure!(ended.code == Some(expected), "{how}: {ended:?}");
        swapped += 1;
        tokio::time::sleep(EVERY).await;
        if round % 4 == 3 {
            running.kill().await?;
            running = world.start(&[])?;
        }
    }
    ensure!(swapped == 18);
    world.simulator.clear_faults();
    let idle = |status: &Value| status["live"]["pending"] == 0;
    running
        .until_status(&world.sluice, "all sent", idle)
        .await?;
    let status = world.sluice.status().await?;
    let active = status["versions"]["active"]["version"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        active.starts_with("0.9."),
        "no version was promoted: {status}"
    );
    let answers = world.simulator.requests();
    let storm = answers
        .iter()
        .filter(|request| request["status"] == 503)
        .count();
    ensure!(storm > 50, "{storm} answers of 503 are no storm");
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    world.finish().await
}

/// Two exports of the plugin: the one that is named goes first, with half of its batches.
#[tokio::test]
async fn exports_that_are_named_go_first_and_one_verdict_holds_for_all() -> Result<()> {
    let mut world = World::new(20, 708).await?;
    world.tenant.tuning = "lanes = 1\n".to_owned();
    world.configure()?;
    let mut other = world.tenant.clone();
    other.members = None;
    other.changes = Some(r#"{ file = "nothing.ndjson" }"#.to_owned());
    std::fs::write(world.path("other.toml"), other.text())?;
    let mut running = world.start(&[])?;
    let live = |all: &[Value]| all.len() == 2 && all.iter().all(|one| one["phase"] == "live");
    running
        .until_statuses(&world.sluice, "both live", live)
        .await?;
    let all = "runs retention-science 0.9.21";
    for (number, how, outcome) in [(21, "good", "promoted"), (22, "traps", "rolled-back")] {
        let next = file(&world, number, how)?;
        let leader = ["--canary", "test/everyone", "--batches", "7", "--detach"];
        let ended = swap(&world, &[&[next.as_str()], &leader[..]].concat()).await?;
        ensure!(ended.code == Some(0), "{how}: {ended:?}");
        let version = format!("0.9.{number}");
        let begun = |all: &[Value]| {
            let to = |one: &Value| one["versions"]["swap"]["to"]["version"] == version.as_str();
            all.iter().all(to)
        };
        running
            .until_statuses(&world.sluice, "begun in both", begun)
            .await?;
        let said = world.sluice.call(&["status"]).await?.stdout;
        ensure!(
            said.contains("it waits for test/everyone, which goes first"),
            "{said}"
        );
        let ended = |all: &[Value]| all.iter().all(|one| one["versions"]["swap"].is_null());
        while !ended(&world.sluice.statuses().await?) {
            let change = world.expected.counts().changes;
            ensure!(change < 2_000, "{how}: it does not end");
            world.append(change..change + 1)?;
            let sent = |all: &[Value]| all.iter().all(|one| one["live"]["pending"] == 0);
            running.until_statuses(&world.sluice, "sent", sent).await?;
        }
        for status in world.sluice.statuses().await? {
            let last = &status["versions"]["last"];
            ensure!(last["outcome"] == outcome, "{how}: {status}");
            let leads = status["export"] == "test/everyone";
            let batches = last["new"]["batches"].as_u64();
            ensure!((batches > Some(0)) == leads, "{how}: {status}");
            // The old version has half of them, to be compared with.
            let of_old = last["old"]["batches"].as_u64();
            ensure!(!leads || of_old > Some(2), "{how}: {status}");
        }
        let said = world.sluice.call(&["status"]).await?.stdout;
        ensure!(said.matches(all).count() == 2, "{how}: {said}");
    }
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    // What was written last may not have been read.
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let all = world.sluice.statuses().await?;
    let mine = all.iter().find(|one| one["export"] == "test/everyone");
    world.prove_by(mine.context("no status")?)
}
