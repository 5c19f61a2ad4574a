//! Source files that are rotated, truncated or replaced, by the real program: followed without
//! loss, or a clear error and nothing reset.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice::store::Store;

use crate::process::{Ended, Running};
use crate::world::World;

/// Lines that are made durable at a time.
const CHUNK: u64 = 10_000;

fn rotate(world: &World) -> Result<()> {
    for n in (1..4).rev() {
        let from = world.path(&format!("changes.ndjson.{n}"));
        if from.exists() {
            std::fs::rename(from, world.path(&format!("changes.ndjson.{}", n + 1)))?;
        }
    }
    std::fs::rename(world.path("changes.ndjson"), world.path("changes.ndjson.1"))?;
    Ok(())
}

/// Until so many changes are accepted.
async fn until_received(world: &World, running: &mut Running) -> Result<()> {
    let changes = world.expected.counts().changes;
    let received = |status: &Value| status["live"]["received"] == changes;
    running
        .until_status(&world.sluice, "the changes are accepted", received)
        .await
}

async fn until_error(world: &World, running: &mut Running, says: &str) -> Result<String> {
    let told = |status: &Value| {
        let message = status["last_error"]["message"].as_str();
        message.is_some_and(|message| message.contains(says))
    };
    running
        .until_status(&world.sluice, "the error is told", told)
        .await?;
    let status = world.sluice.status().await?;
    let message = status["last_error"]["message"].as_str();
    Ok(message.context("no error")?.to_owned())
}

async fn accept(world: &World) -> Result<Ended> {
    let ended = world.sluice.call(&["source", "accept", "everyone"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(ended)
}

#[tokio::test]
async fn a_file_that_is_rotated_while_sluice_runs_is_followed() -> Result<()> {
    let mut world = World::new(300, 71).await?;
    world.append(0..100)?;
    let mut running = world.start(&[])?;
    until_received(&world, &mut running).await?;
    for round in 1..4 {
        world.append(round * 100..round * 100 + 50)?;
        rotate(&world)?;
        world.append(round * 100 + 50..round * 100 + 100)?;
        until_received(&world, &mut running).await?;
    }
    ensure!(running.terminate().await?.code == Some(0));
    world.finish().await
}

#[tokio::test]
async fn rotations_while_sluice_does_not_run_are_followed() -> Result<()> {
    let mut world = World::new(300, 72).await?;
    world.append(0..100)?;
    world.finish().await?;
    world.append(100..150)?;
    for numbers in [150..250, 250..300] {
        rotate(&world)?;
        let before = std::fs::metadata(world.path("changes.ndjson.1"))?.modified()?;
        // As if hours lay in between.
        let file = std::fs::File::options()
            .append(true)
            .open(world.path("changes.ndjson.1"))?;
        let earlier = std::time::Duration::from_secs(36_000 - numbers.start);
        file.set_modified(before - earlier)?;
        world.append(numbers)?;
    }
    world.finish().await
}

#[tokio::test]
async fn a_truncated_file_is_an_error_until_a_person_accepts_it() -> Result<()> {
    let mut world = World::new(300, 73).await?;
    world.append(0..100)?;
    let mut running = world.start(&[])?;
    until_received(&world, &mut running).await?;
    let path = world.path("changes.ndjson");
    let bytes = std::fs::metadata(&path)?.len();
    std::fs::File::options()
        .write(true)
        .open(&path)?
        .set_len(0)?;
    let told = until_error(&world, &mut running, "has only 0 bytes").await?;
    for part in [
        &format!("{bytes} bytes of the file that was read were accepted"),
        "`sluice source accept EXPORT`",
    ] {
        ensure!(told.contains(part), "{told}");
    }
    // What comes now is not read before somebody has said so, and what was accepted goes out.
    world.append(100..180)?;
    let delivered = |status: &Value| status["live"]["pending"] == 0;
    running
        .until_status(&world.sluice, "the log is delivered", delivered)
        .await?;
    let status = world.sluice.status().await?;
    ensure!(status["live"]["received"] == 100, "{status}");
    ensure!(status["adds_up"] == true, "{status}");
    let said = accept(&world).await?.stdout;
    ensure!(said.contains("is read from its beginning"), "{said}");
    let before = format!("{bytes} bytes (100 lines) were accepted");
    ensure!(said.contains(&before), "{said}");
    // The running program notices by itself.
    until_received(&world, &mut running).await?;
    ensure!(running.terminate().await?.code == Some(0));
    world.finish().await
}

#[tokio::test]
async fn a_replaced_file_is_an_error_until_the_old_one_is_put_back() -> Result<()> {
    let mut world = World::new(300, 74).await?;
    world.append(0..100)?;
    world.finish().await?;
    let path = world.path("changes.ndjson");
    let old = std::fs::read(&path)?;
    let other = world.path("other");
    std::fs::write(
        &other,
        "{\"change\":\"enter\",\"user\":{\"user_id\":\"x\"}}\n".repeat(999),
    )?;
    std::fs::rename(&other, &path)?;
    let mut running = world.start(&[])?;
    let told = until_error(&world, &mut running, "was replaced by another file").await?;
    ensure!(told.contains("Put that file back"), "{told}");
    ensure!(running.terminate().await?.code == Some(0));
    // From a backup: another file with the same text. Then it goes on growing.
    std::fs::write(&path, old)?;
    world.append(100..160)?;
    world.finish().await
}

#[tokio::test]
async fn a_source_that_can_be_read_on_is_not_begun_anew() -> Result<()> {
    let mut world = World::new(100, 75).await?;
    let said = accept(&world).await?.stdout;
    ensure!(said.contains("nothing of"), "{said}");
    world.append(0..50)?;
    world.finish().await?;
    let said = accept(&world).await?.stdout;
    ensure!(said.contains("goes on where it was"), "{said}");
    rotate(&world)?;
    world.append(50..60)?;
    let said = accept(&world).await?.stdout;
    ensure!(said.contains("goes on where it was"), "{said}");
    world.finish().await?;

    world.tenant.changes = Some("{ stdin = \"continue\" }".to_owned());
    world.configure()?;
    let ended = world.sluice.call(&["source", "accept", "everyone"]).await?;
    ensure!(ended.code == Some(3), "{ended:?}");
    ensure!(
        ended.stderr.contains("reads no file of changes"),
        "{ended:?}"
    );
    Ok(())
}

/// Truncated in the middle of the scan, it parks; the file put back, it goes on from there.
#[tokio::test]
async fn a_members_file_that_changes_during_its_scan_parks_until_it_is_put_back() -> Result<()> {
    let mut world = World::new(4 * CHUNK, 76).await?;
    world.append(0..50)?;
    let path = world.path("members.ndjson");
    let whole = std::fs::read_to_string(&path)?;
    // So that the scan cannot end before it is looked at.
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
    let before = scanned();
    for (text, says) in [
        (whole[..1000].to_owned(), "has only 1000 bytes"),
        (whole.replace("user_id", "user-id"), "has another text"),
    ] {
        std::fs::write(&path, text)?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(6), "{ended:?}");
        for part in [
            says,
            "Put that file back, or move this export's folder away",
        ] {
            ensure!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
        }
        ensure!(scanned() == before, "something was reset");
    }
    std::fs::remove_file(&path)?;
    std::fs::write(&path, &whole)?;
    world.finish().await?;
    ensure!(world.simulator.jobs().len() == 1);
    Ok(())
}
