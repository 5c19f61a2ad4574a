//! Which version an export runs: what a file or a command leads to, what is refused, and what is kept to go back
//! to.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice_audience::Audience;
use sluice_signer::Signer;

use crate::hot_swap::{deploy, feed_until_ended, file, finish, live, swap, version};
use crate::process::everything_in;
use crate::world::World;

#[tokio::test]
async fn a_new_route_needs_consent() -> Result<()> {
    let (mut world, mut running) = live(20, 703, "lanes = 1\ncanary_batches = 2\n").await?;
    // In the file that the configuration names: nobody is there to agree.
    deploy(&world, 3, "greedy")?;
    let refused = |status: &Value| status["versions"]["last"]["outcome"] == "refused";
    running
        .until_status(&world.sluice, "refused", refused)
        .await?;
    let status = world.sluice.status().await?;
    let why = status["versions"]["last"]["why"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        why.contains("POST /everybody") && why.contains("--consent-routes"),
        "{why}"
    );
    // Nor does a restart.
    running.kill().await?;
    let mut running = world.start(&[])?;
    let old = |status: &Value| {
        status["versions"]["active"]["version"] == "0.1.0" && status["phase"] == "live"
    };
    running
        .until_status(&world.sluice, "the old one", old)
        .await?;
    // By hand it is shown, and refused until it is agreed to.
    let next = file(&world, 8, "greedy")?;
    let ended = swap(&world, &[&next]).await?;
    ensure!(ended.code == Some(10), "{ended:?}");
    ensure!(ended.stdout.contains("+ POST /everybody"), "{ended:?}");
    ensure!(ended.stderr.contains("--consent-routes"), "{ended:?}");
    let ended = swap(&world, &[&next, "--consent-routes", "--detach"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let last = feed_until_ended(&mut world, &mut running, "0.9.08").await?;
    ensure!(last["outcome"] == "promoted", "{last}");
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    world.finish().await
}

#[tokio::test]
async fn a_version_that_was_refused_does_not_run_because_the_active_one_is_gone() -> Result<()> {
    let (world, mut running) = live(20, 709, "lanes = 1\n").await?;
    deploy(&world, 3, "greedy")?;
    let refused = |status: &Value| status["versions"]["last"]["outcome"] == "refused";
    running
        .until_status(&world.sluice, "refused", refused)
        .await?;
    running.kill().await?;
    let status = world.sluice.status().await?;
    let active = status["versions"]["active"]["sha256"].as_str();
    let kept = format!(".sluice/.plugins/{}.wasm", active.context("none")?);
    std::fs::remove_file(world.path(&kept))?;
    let ended = world.sluice.call(&["run"]).await?;
    ensure!(ended.code == Some(4), "{ended:?}");
    ensure!(
        ended.stderr.contains("it was considered before")
            && ended
                .stderr
                .contains("sluice plugin swap retention-science FILE"),
        "{ended:?}"
    );
    // As it says.
    let next = file(&world, 8, "good")?;
    let ended = swap(&world, &[&next]).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("routes   nothing new"),
        "{ended:?}"
    );
    let mut running = world.start(&[])?;
    let runs = |status: &Value| {
        status["versions"]["active"]["version"] == "0.9.08" && status["phase"] == "live"
    };
    running.until_status(&world.sluice, "0.9.08", runs).await?;
    finish(world, running).await
}

#[tokio::test]
async fn a_file_that_changes_is_swapped_to_and_one_that_is_no_plugin_is_not() -> Result<()> {
    let (mut world, mut running) = live(20, 704, "lanes = 1\ncanary_batches = 2\n").await?;
    std::fs::write(world.path("plugin.wasm"), b"half a fi")?;
    running
        .until_said("cannot be loaded; everything goes on as it was")
        .await?;
    deploy(&world, 4, "good")?;
    let begun = |status: &Value| !status["versions"]["swap"].is_null();
    running.until_status(&world.sluice, "a swap", begun).await?;
    let last = feed_until_ended(&mut world, &mut running, "0.9.04").await?;
    ensure!(last["outcome"] == "promoted", "{last}");
    // SIGHUP looks at once.
    deploy(&world, 5, "good")?;
    let pid = running.pid().context("it has ended")?.to_string();
    let sent = tokio::process::Command::new("kill")
        .args(["-HUP", &pid])
        .status()
        .await?;
    ensure!(sent.success());
    running.until_said("SIGHUP").await?;
    let last = feed_until_ended(&mut world, &mut running, "0.9.05").await?;
    ensure!(last["outcome"] == "promoted", "{last}");
    finish(world, running).await
}

/// Signs a component for its place.
fn signed(keys: &Signer, bytes: &[u8]) -> String {
    keys.sign(bytes, "timestamp:1\tfile:plugin.wasm\thashed")
}

#[tokio::test]
async fn a_file_that_could_not_be_loaded_is_swapped_to_once_it_can() -> Result<()> {
    let keys = Signer::new();
    let mut world = World::with(Audience::new(20, 710)).await?;
    world.tenant.tuning = "canary_batches = 0\n".to_owned();
    // The rest of the line is a comment.
    let plugin = format!("plugin.wasm\"\nsigned_by = [\"{}\"]\n#", keys.key());
    world.tenant.plugin = plugin;
    world.configure()?;
    let signature = |text: String| std::fs::write(world.path("plugin.wasm.minisig"), text);
    signature(signed(&keys, &std::fs::read(world.path("plugin.wasm"))?))?;
    let mut running = world.start(&[])?;
    let live = |status: &Value| status["phase"] == "live";
    running.until_status(&world.sluice, "live", live).await?;
    // The signature comes later than the file.
    deploy(&world, 31, "good")?;
    running.until_said("everything goes on as it was").await?;
    signature(signed(&keys, &version(31, "good")?))?;
    let runs = |status: &Value| status["versions"]["active"]["version"] == "0.9.31";
    running.until_status(&world.sluice, "0.9.31", runs).await?;
    finish(world, running).await
}

/// What lies in `.plugins/`, by the version that it was in the order of swaps.
fn kept(world: &World, components: &[String]) -> Vec<bool> {
    let path = |sha256: &String| world.path(&format!(".sluice/.plugins/{sha256}.wasm"));
    components
        .iter()
        .map(|sha256| path(sha256).exists())
        .collect()
}

#[tokio::test]
async fn the_old_component_is_kept_for_as_long_as_it_is_needed() -> Result<()> {
    let (world, running) = live(10, 707, "").await?;
    let mut components = vec![];
    for number in [41, 42, 43] {
        let status = world.sluice.status().await?;
        let active = status["versions"]["active"]["sha256"].as_str();
        components.push(active.context("none")?.to_owned());
        let next = file(&world, number, "good")?;
        let ended = swap(&world, &[&next, "--batches", "0"]).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
    }
    ensure!(kept(&world, &components) == [true, true, true]);
    running.kill().await?;
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(7_200);
    for path in everything_in(&world.path(".sluice/.plugins"))? {
        std::fs::File::open(path)?.set_modified(long_ago)?;
    }
    // The first is what the configuration names, the last worked before the one that works.
    let mut running = world.start(&[])?;
    running.until_said("nobody needs them").await?;
    ensure!(kept(&world, &components) == [true, false, true]);
    let ended = world
        .sluice
        .call(&["plugin", "rollback", "retention-science"]);
    ensure!(ended.await?.code == Some(0));
    let back = |status: &Value| status["versions"]["active"]["version"] == "0.9.42";
    running.until_status(&world.sluice, "back", back).await?;
    finish(world, running).await
}
