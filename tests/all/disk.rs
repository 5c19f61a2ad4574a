//! Disks that damage what was staged, or are full: noticed, told, and after the repair nothing is
//! missing.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{FaultKind, Match, Rule};
use sluice::store::Store;

use crate::world::World;

/// Members that are made durable at a time.
const CHUNK: u64 = 10_000;

/// Longer than any test.
const FOR_EVER_MS: u64 = 3_600_000;

/// Puts a byte in a file's middle; answers the one that was there.
fn put(path: &Path, at: usize, byte: u8) -> Result<u8> {
    let mut bytes = std::fs::read(path)?;
    let there = bytes.get_mut(at).context("the file is shorter")?;
    let before = std::mem::replace(there, byte);
    std::fs::write(path, bytes)?;
    Ok(before)
}

/// Runs, and sees the export park because of a staged file.
async fn parks(world: &World, says: &[&str]) -> Result<()> {
    let jobs = world.simulator.jobs().len();
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(6), "{ended:?}");
    let remedy = "Put it back as it was, or move this export's folder away";
    for part in [says, &["a staged file is damaged", remedy]].concat() {
        ensure!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let status = world.sluice.status().await?;
    ensure!(status["state"]["reason"]["why"] == "staged", "{status}");
    ensure!(status["adds_up"] == true, "{status}");
    ensure!(world.simulator.jobs().len() == jobs, "it was sent");
    Ok(())
}

#[tokio::test]
async fn a_staged_file_that_is_not_what_was_written_is_never_sent() -> Result<()> {
    let mut world = World::new(2_000, 81).await?;
    world.append(0..50)?;
    let slow = Rule {
        matches: Match {
            method: Some("POST".to_owned()),
            path_prefix: Some("/import_jobs".to_owned()),
        },
        kind: FaultKind::LatencyMs(FOR_EVER_MS),
        ..Rule::default()
    };
    world.simulator.set_faults(vec![slow], vec![]);
    let mut running = world.start(&["--until-idle"])?;
    running
        .until_status(&world.sluice, "the file is complete", |status| {
            status["phase"] == "submitting"
        })
        .await?;
    running.kill().await?;
    world.simulator.clear_faults();
    let file = world.path(".sluice/test/everyone/staged/1.sealed");
    let whole = std::fs::read(&file)?;

    let before = put(&file, whole.len() / 2, 0)?;
    ensure!(before != 0, "nothing was changed");
    parks(&world, &["1.sealed", "its CRC-32 differs"]).await?;
    // Changes are accepted all the same.
    let received = world.sluice.status().await?["live"]["received"].clone();
    ensure!(received == 50, "{received}");

    std::fs::write(&file, &whole[..whole.len() / 2])?;
    parks(&world, &[&format!("has {} bytes", whole.len() / 2)]).await?;
    std::fs::remove_file(&file)?;
    parks(&world, &["is not there"]).await?;

    std::fs::write(&file, &whole)?;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_staged_file_that_is_damaged_during_the_scan_is_not_copied_into_the_complete_one()
-> Result<()> {
    let mut world = World::new(4 * CHUNK, 82).await?;
    world.append(0..50)?;
    let store = world.path(".sluice/test/everyone");
    let scanned = || {
        let ledger = Store::open_read_only(&store).and_then(|store| store.ledger());
        ledger.map_or(0, |ledger| ledger.counts.backfill.received)
    };
    let mut running = world.start(&["--until-idle"])?;
    running
        .until_true("a chunk is scanned", || scanned() >= CHUNK)
        .await?;
    running.kill().await?;
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "scanning", "too late: {status}");
    let file = store.join("staged/1.staged");
    let before = put(&file, 5_000, 0)?;
    parks(&world, &["1.staged", "its CRC-32 differs"]).await?;
    put(&file, 5_000, before)?;
    world.finish().await
}

/// Runs where no file may grow beyond so many blocks, and sees it end with what to do.
async fn ends_at_the_limit(world: &mut World, blocks: u32, says: &str) -> Result<()> {
    world.sluice.file_blocks = Some(blocks);
    let ended = world.run(&["--until-idle"]).await?;
    world.sluice.file_blocks = None;
    ensure!(ended.code == Some(1), "{ended:?}");
    let error = ended.stderr.lines().find(|line| line.starts_with("error"));
    let error = error.context("no error")?;
    let remedy = "then start again: nothing is lost";
    for part in [
        "export test/everyone has ended",
        says,
        "`ulimit -f`",
        remedy,
    ] {
        ensure!(error.contains(part), "{part}: {error}");
    }
    let status = world.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    Ok(())
}

#[tokio::test]
async fn a_disk_that_is_full_in_the_scan_ends_it_and_with_room_it_goes_on() -> Result<()> {
    let mut world = World::new(4 * CHUNK, 83).await?;
    world.append(0..50)?;
    ends_at_the_limit(&mut world, 1024, "staged/1.staged").await?;
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "scanning", "{status}");
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_disk_that_is_full_under_the_log_ends_it_and_with_room_it_goes_on() -> Result<()> {
    let mut world = World::new(2_000, 84).await?;
    world.append(0..100)?;
    world.finish().await?;
    let received = world.sluice.status().await?["live"]["received"].clone();
    ensure!(received == 100, "{received}");
    // Nothing leaves the log meanwhile, so that it grows.
    let down = Rule {
        matches: Match {
            method: Some("POST".to_owned()),
            path_prefix: Some("/users".to_owned()),
        },
        kind: FaultKind::LatencyMs(FOR_EVER_MS),
        ..Rule::default()
    };
    world.simulator.set_faults(vec![down], vec![]);
    world.append(100..6_000)?;
    ends_at_the_limit(&mut world, 1024, "export.db").await?;
    world.simulator.clear_faults();
    let status = world.sluice.status().await?;
    ensure!(status["live"]["received"] != 6_000, "too late: {status}");
    world.finish().await
}
