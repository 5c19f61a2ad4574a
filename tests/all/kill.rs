//! SIGKILL at the worst moments. Started again, the program goes on where it was, and nothing is
//! lost, doubled or overtaken.

use anyhow::{Result, ensure};
use retention_science_simulator::{ClockMode, FaultKind, Match, Rule};
use serde_json::json;
use sluice::store::Store;

use crate::process::{Running, until_true};
use crate::wire::Wire;
use crate::world::{World, requests};

/// Members that are made durable at a time.
const CHUNK: u64 = 10_000;

/// Enough for several chunks.
const MANY: u64 = 4 * CHUNK;

/// Longer than any test: whoever waits for this is killed meanwhile.
const FOR_EVER_MS: u64 = 3_600_000;

const UPLOAD: [&str; 2] = ["POST", "/import_jobs"];
const USER: [&str; 2] = ["POST", "/users"];

fn fault([method, path]: [&str; 2], kind: FaultKind) -> Rule {
    Rule {
        matches: Match {
            method: Some(method.to_owned()),
            path_prefix: Some(path.to_owned()),
        },
        kind,
        ..Rule::default()
    }
}

/// How long the staged file on disk is.
fn staged_bytes(world: &World) -> u64 {
    let file = world.path(".sluice/test/everyone/staged/1.staged");
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// How many members are durably staged.
fn scanned(world: &World) -> u64 {
    let store = world.path(".sluice/test/everyone");
    let ledger = Store::open_read_only(&store).and_then(|store| store.ledger());
    ledger.map_or(0, |ledger| ledger.counts.backfill.received)
}

/// Starts, and kills at some moment of the scan.
async fn killed_in_the_scan(world: &World, moment: impl Fn() -> bool) -> Result<()> {
    let mut running = world.start(&["--until-idle"])?;
    running.until_true("the scan is that far", moment).await?;
    running.kill().await?;
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "scanning", "too late: {status}");
    ensure!(status["adds_up"] == true, "{status}");
    Ok(())
}

/// Starts with every user request delayed, and kills once several are under way.
async fn killed_while_sending(world: &World, kind: FaultKind) -> Result<()> {
    world.simulator.set_faults(vec![fault(USER, kind)], vec![]);
    let simulator = &world.simulator;
    let arrived = || simulator.stats()["requests"].as_u64().unwrap_or(0);
    let before = arrived();
    let mut running = world.start(&["--until-idle"])?;
    // One of them proved the key.
    running
        .until_true("requests are under way", || arrived() >= before + 6)
        .await?;
    running.kill().await?;
    simulator.clear_faults();
    let status = world.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    Ok(())
}

async fn until_imported(world: &World, running: &mut Running) -> Result<()> {
    running
        .until_status(&world.sluice, "it is live", |status| {
            status["phase"] == "live"
        })
        .await
}

#[tokio::test]
async fn killed_in_the_first_chunk_of_the_scan() -> Result<()> {
    let mut world = World::new(MANY, 21).await?;
    world.append(0..50)?;
    killed_in_the_scan(&world, || staged_bytes(&world) > 0).await?;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn killed_twice_in_later_chunks_of_the_scan() -> Result<()> {
    let mut world = World::new(MANY, 22).await?;
    world.append(0..50)?;
    for chunks in [1, 2] {
        killed_in_the_scan(&world, || scanned(&world) >= chunks * CHUNK).await?;
        ensure!(scanned(&world) >= chunks * CHUNK, "a chunk is lost");
    }
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn killed_between_the_scan_and_the_upload() -> Result<()> {
    let mut world = World::new(2_000, 23).await?;
    world.append(0..50)?;
    let slow = fault(UPLOAD, FaultKind::LatencyMs(FOR_EVER_MS));
    world.simulator.set_faults(vec![slow], vec![]);
    // Rows that newer ones supersede are cut out into this file.
    let sealed = world.path(".sluice/test/everyone/staged/1.sealed");
    let mut running = world.start(&["--until-idle"])?;
    running
        .until_true("the file is completed", || sealed.exists())
        .await?;
    running.kill().await?;
    ensure!(world.simulator.jobs().is_empty(), "too late");
    world.simulator.clear_faults();
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn killed_in_the_middle_of_the_upload() -> Result<()> {
    let mut world = World::new(2_000, 24).await?;
    world.append(0..50)?;
    let wire = Wire::to(&world.simulator.url()).await?;
    world.tenant.endpoint = wire.url();
    world.configure()?;
    for _ in 0..2 {
        wire.hold_uploads();
        let mut running = world.start(&["--until-idle"])?;
        running.until("bytes are sent", wire.holding()).await?;
        running.kill().await?;
        wire.cut();
        let status = world.sluice.status().await?;
        ensure!(status["phase"] == "submitting", "{status}");
    }
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

/// The job was started, and nobody knows it: it is started once more, and does no harm.
#[tokio::test]
async fn killed_before_the_answer_to_the_upload() -> Result<()> {
    let mut world = World::new(1_000, 25).await?;
    world.append(0..50)?;
    let dripping = fault(UPLOAD, FaultKind::SlowDrip(FOR_EVER_MS));
    world.simulator.set_faults(vec![dripping], vec![]);
    let mut running = world.start(&["--until-idle"])?;
    let simulator = &world.simulator;
    running
        .until_true("the job is started", || simulator.jobs().len() == 1)
        .await?;
    running.kill().await?;
    simulator.clear_faults();
    simulator.settled().await;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 2);
    Ok(())
}

#[tokio::test]
async fn killed_while_the_import_is_pending() -> Result<()> {
    let mut world = World::new(1_000, 26).await?;
    world.simulator.set_clock(ClockMode::Manual);
    world
        .simulator
        .patch_config(&json!({"queue_delay_ms": 60_000}))?;
    for (asked, numbers) in [(1, 0..60), (2, 60..120)] {
        world.append(numbers)?;
        let mut running = world.start(&["--until-idle"])?;
        let pending = world
            .simulator
            .until(|sim| requests(sim, "GET", "/import_jobs/").len() >= asked);
        running.until("the job is asked about", pending).await?;
        let received = world.expected.counts().changes;
        running
            .until_status(&world.sluice, "changes are accepted", |status| {
                status["live"]["received"] == received
            })
            .await?;
        running.kill().await?;
    }
    ensure!(world.requests("POST", "/users").is_empty());
    world.simulator.advance(60_000).await;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}

#[tokio::test]
async fn killed_with_requests_under_way_that_had_no_effect() -> Result<()> {
    let mut world = World::new(300, 27).await?;
    world.append(0..200)?;
    killed_while_sending(&world, FaultKind::LatencyMs(FOR_EVER_MS)).await?;
    world.append(200..300)?;
    world.finish().await
}

#[tokio::test]
async fn killed_twice_with_requests_under_way_whose_answers_are_lost() -> Result<()> {
    let mut world = World::new(300, 28).await?;
    for start in [0, 150] {
        world.append(start..start + 150)?;
        killed_while_sending(&world, FaultKind::SlowDrip(FOR_EVER_MS)).await?;
    }
    world.append(300..400)?;
    world.finish().await
}

/// Wherever it happens to be: a few milliseconds further each time.
#[tokio::test]
async fn killed_again_and_again_while_live() -> Result<()> {
    let mut world = World::new(300, 29).await?;
    let mut running = world.start(&[])?;
    until_imported(&world, &mut running).await?;
    running.kill().await?;
    for round in 0..4 {
        world.append(round * 100..(round + 1) * 100)?;
        let answered = world.requests("POST", "/users").len();
        let simulator = &world.simulator;
        let mut running = world.start(&[])?;
        running
            .until(
                "some more changes are sent",
                until_true(|| {
                    requests(simulator, "POST", "/users").len() > answered + 7 * round as usize
                }),
            )
            .await?;
        running.kill().await?;
        let status = world.sluice.status().await?;
        ensure!(status["adds_up"] == true, "{status}");
    }
    world.finish().await
}
