//! Databases that are damaged, held by somebody else or cannot be made, and times in them that a
//! wrong clock has left: told, nothing reset, and after the repair nothing is missing.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use retention_science_simulator::{Answer, FaultKind, Match, Rule};
use rusqlite::Connection;

use crate::process::Ended;
use crate::world::World;

/// Its database.
fn database(world: &World) -> PathBuf {
    world.path(".sluice/test/everyone/export.db")
}

/// A world whose backfill is done, with changes that wait for delivery, and nothing running.
async fn with_changes_waiting(seed: u64) -> Result<World> {
    let mut world = World::new(300, seed).await?;
    world.append(0..20)?;
    world.finish().await?;
    let down = Rule {
        matches: Match {
            method: Some("POST".to_owned()),
            path_prefix: Some("/users".to_owned()),
        },
        kind: FaultKind::Status(Answer {
            code: 503,
            body: None,
            retry_after: None,
        }),
        ..Rule::default()
    };
    world.simulator.set_faults(vec![down], vec![]);
    world.append(20..200)?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "the changes are accepted", |status| {
            status["live"]["received"] == 200
        })
        .await?;
    ensure!(running.terminate().await?.code == Some(0));
    world.simulator.clear_faults();
    let status = world.sluice.status().await?;
    ensure!(status["live"]["pending"] != 0, "{status}");
    Ok(world)
}

/// A run that cannot begin: its exit code is 1, and it says this in one line.
async fn refuses(world: &World, says: &[&str]) -> Result<Ended> {
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for part in [says, &["test/everyone"]].concat() {
        ensure!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let causes = ended.stderr.matches("os error").count();
    ensure!(causes <= 1, "told twice: {}", ended.stderr);
    Ok(ended)
}

/// With this in the database's place nothing runs and nothing is written; with the old one put
/// back everything goes on.
async fn is_refused_and_not_touched(world: &World, damaged: &[u8], says: &str) -> Result<()> {
    let path = database(world);
    let sound = std::fs::read(&path)?;
    ensure!(sound != damaged);
    std::fs::write(&path, damaged)?;
    let requests = world.simulator.stats()["requests"].as_u64();
    refuses(
        world,
        &[
            "export.db",
            says,
            "nothing was changed",
            "Restore it from a backup",
        ],
    )
    .await?;
    ensure!(std::fs::read(&path)? == damaged, "it was written to");
    ensure!(world.simulator.stats()["requests"].as_u64() == requests);
    std::fs::write(&path, sound)?;
    world.finish().await
}

#[tokio::test]
async fn garbage_in_the_place_of_the_database_is_refused() -> Result<()> {
    let world = with_changes_waiting(91).await?;
    let garbage = b"what is this doing here? ".repeat(2_000);
    is_refused_and_not_touched(&world, &garbage, "not a database").await
}

/// Of all tenants one has a store that cannot be read.
#[tokio::test]
async fn a_store_that_cannot_be_read_hides_no_other() -> Result<()> {
    let world = with_changes_waiting(76).await?;
    std::fs::write(database(&world), b"garbage")?;
    std::fs::write(world.path("other.toml"), world.tenant.text())?;
    let ended = world.sluice.call(&["status", "--json"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let reports: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    let phases = [&reports[0], &reports[1]].map(|report| report["phase"].as_str());
    ensure!(
        phases == [Some("not-started"), Some("unreadable")],
        "{reports:#}"
    );
    let error = reports[1]["error"].as_str().unwrap_or_default();
    ensure!(error.contains("not a database"), "{reports:#}");
    let ended = world.sluice.call(&["status"]).await?;
    ensure!(
        ended.stdout.contains("test/everyone cannot be read: "),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_database_with_a_page_overwritten_is_refused_before_anything_is_done() -> Result<()> {
    let world = with_changes_waiting(92).await?;
    let page: usize = Connection::open(database(&world))?.query_row(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'quarantine'",
        [],
        |row| row.get(0),
    )?;
    let mut bytes = std::fs::read(database(&world))?;
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    ensure!((page + 1) * size < bytes.len(), "not in the middle");
    bytes[(page - 1) * size..page * size].fill(0xa5);
    is_refused_and_not_touched(&world, &bytes, "damaged").await
}

#[tokio::test]
async fn a_truncated_database_is_refused() -> Result<()> {
    let world = with_changes_waiting(93).await?;
    let bytes = std::fs::read(database(&world))?;
    is_refused_and_not_touched(&world, &bytes[..bytes.len() / 2], "damaged").await
}

/// SQLite takes an empty file for a new database, and then all would begin anew.
#[tokio::test]
async fn a_database_that_is_empty_or_gone_is_no_new_one() -> Result<()> {
    let world = with_changes_waiting(94).await?;
    is_refused_and_not_touched(&world, b"", "is empty or not there").await?;
    let away = world.path("away");
    std::fs::rename(database(&world), &away)?;
    refuses(
        &world,
        &["is empty or not there", "Restore it from a backup"],
    )
    .await?;
    ensure!(!database(&world).exists());
    std::fs::rename(away, database(&world))?;
    world.finish().await
}

#[tokio::test]
async fn a_store_of_another_format_is_refused() -> Result<()> {
    let world = with_changes_waiting(95).await?;
    let set = |format: u32| {
        let connection = Connection::open(database(&world))?;
        connection.pragma_update(None, "user_version", format)
    };
    let format: u32 =
        Connection::open(database(&world))?
            .query_row("PRAGMA user_version", [], |row| row.get(0))?;
    set(1)?;
    refuses(
        &world,
        &["has format 1", "Use the version that wrote it otherwise"],
    )
    .await?;
    set(format)?;
    world.finish().await
}

/// Somebody looks into it with a tool, and holds it.
fn hold(world: &World) -> Result<Connection> {
    let connection = Connection::open(database(world))?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.execute_batch("BEGIN EXCLUSIVE")?;
    Ok(connection)
}

#[tokio::test]
async fn a_database_that_is_held_for_long_ends_the_export_and_released_it_goes_on() -> Result<()> {
    let world = with_changes_waiting(96).await?;
    let held = hold(&world)?;
    refuses(
        &world,
        &[
            "export.db",
            "database is locked",
            "another program holds it",
        ],
    )
    .await?;
    held.execute_batch("ROLLBACK")?;
    drop(held);
    world.finish().await
}

#[tokio::test]
async fn a_database_that_is_held_for_a_moment_only_delays() -> Result<()> {
    let mut world = World::new(300, 97).await?;
    world.append(0..20)?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "all is delivered", |status| {
            status["phase"] == "live"
                && status["live"]["received"] == 20
                && status["live"]["pending"] == 0
        })
        .await?;
    let held = hold(&world)?;
    world.append(20..60)?;
    // Several times as long as the file of changes is looked at, and a part of what is waited for
    // a lock.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        let status = world.sluice.status().await?;
        ensure!(
            status["live"]["received"] == 20,
            "it was not held: {status}"
        );
    }
    held.execute_batch("ROLLBACK")?;
    drop(held);
    running
        .until_status(&world.sluice, "the others are delivered", |status| {
            status["live"]["received"] == 60 && status["live"]["pending"] == 0
        })
        .await?;
    ensure!(running.terminate().await?.code == Some(0));
    world.finish().await
}

/// As root, who may write everywhere: so a file stands where a folder is needed.
#[tokio::test]
async fn a_store_that_cannot_be_made_is_told_with_its_place() -> Result<()> {
    let mut world = World::new(300, 98).await?;
    world.append(0..20)?;
    for place in [
        ".sluice",
        ".sluice/test/everyone",
        ".sluice/test/everyone/staged",
    ] {
        let path = world.path(place);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
        std::fs::write(&path, "a file")?;
        let told = [
            "store ",
            ".sluice/test/everyone",
            "a folder is needed there",
        ];
        refuses(&world, &told).await?;
        ensure!(std::fs::read(&path)? == b"a file");
        std::fs::remove_file(&path)?;
    }
    world.finish().await
}

#[tokio::test]
async fn times_that_a_wrong_clock_has_left_hold_nothing_up() -> Result<()> {
    let year_ms: i64 = 365 * 24 * 3_600_000;
    let now = i64::try_from(
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_millis(),
    )?;
    for (seed, not_before, received) in [
        (101, now + 50 * year_ms, now + 50 * year_ms),
        (102, i64::MAX, i64::MAX),
        (103, now + 2 * 3_600_000, now + 2 * 3_600_000),
        (104, -50 * year_ms, now + year_ms),
    ] {
        let world = with_changes_waiting(seed).await?;
        let connection = Connection::open(database(&world))?;
        let changed = connection.execute(
            "UPDATE changes SET not_before_ms = ?1, received_ms = ?2",
            (not_before, received),
        )?;
        ensure!(changed > 0);
        drop(connection);
        let status = world.sluice.status().await?;
        ensure!(status["lag_seconds"] == 0, "{status}");
        world.finish().await?;
    }
    Ok(())
}
