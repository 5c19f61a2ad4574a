//! Another component in the file, another behaviour; the same host, the same store.

use anyhow::{Context, Result, ensure};

use crate::process::component;
use crate::world::World;

const FLAG: &str = "send_transactional_welcome";
/// Of the same length, so that nothing else in the component has to move.
const OTHER_FLAG: &str = "send_transactional_goodbye";

/// The component with every occurrence of one text replaced by another of the same length: what
/// its author would get by changing a constant.
pub fn with_another_flag() -> Result<Vec<u8>> {
    assert_eq!(FLAG.len(), OTHER_FLAG.len());
    let mut bytes = std::fs::read(component())?;
    let mut found = 0;
    while let Some(at) = bytes
        .windows(FLAG.len())
        .position(|window| window == FLAG.as_bytes())
    {
        bytes[at..at + FLAG.len()].copy_from_slice(OTHER_FLAG.as_bytes());
        found += 1;
    }
    ensure!(found > 0, "the component does not hold {FLAG}");
    Ok(bytes)
}

/// Puts another component in the place of the old one, as a deployment does: whole or not at all.
fn swap(world: &World, bytes: &[u8]) -> Result<()> {
    std::fs::write(world.path("next.wasm"), bytes)?;
    Ok(std::fs::rename(
        world.path("next.wasm"),
        world.path("plugin.wasm"),
    )?)
}

fn flags(world: &World, from: usize) -> Vec<(bool, bool)> {
    let sent = world.requests("POST", "/users");
    sent[from..]
        .iter()
        .map(|request| {
            let has = |flag: &str| request["body"].get(flag).is_some();
            (has(FLAG), has(OTHER_FLAG))
        })
        .collect()
}

async fn sha256(world: &World) -> Result<String> {
    let ended = world
        .sluice
        .call(&["plugin", "inspect", "plugin.wasm", "--json"])
        .await?;
    let seen: serde_json::Value = serde_json::from_str(&ended.stdout)?;
    let hash = seen["component"]["sha256"].as_str();
    Ok(hash.context("no hash")?.to_owned())
}

#[tokio::test]
async fn another_component_behaves_differently_under_the_same_host_and_store() -> Result<()> {
    let host = std::fs::read(env!("CARGO_BIN_EXE_sluice"))?;
    let mut world = World::new(300, 61).await?;
    world.append(0..30)?;
    world.finish().await?;
    let before = flags(&world, 0);
    ensure!(
        before.iter().all(|flags| *flags == (true, false)),
        "{before:?}"
    );
    let first = sha256(&world).await?;

    swap(&world, &with_another_flag()?)?;
    world.append(30..60)?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let after = flags(&world, before.len());
    ensure!(!after.is_empty());
    ensure!(
        after.iter().all(|flags| *flags == (false, true)),
        "{after:?}"
    );
    ensure!(sha256(&world).await? != first);
    // Nothing was lost or done again.
    let status = world.sluice.status().await?;
    ensure!(
        status["adds_up"] == true && status["live"]["received"] == 60,
        "{status}"
    );
    let comparison = world.expected.compare(world.simulator.users());
    ensure!(comparison.is_clean(), "{comparison}");
    ensure!(world.simulator.jobs().len() == 1);

    // And back again.
    swap(&world, &std::fs::read(component())?)?;
    world.append(60..90)?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    let back = flags(&world, before.len() + after.len());
    ensure!(back.iter().all(|flags| *flags == (true, false)), "{back:?}");
    ensure!(
        host == std::fs::read(env!("CARGO_BIN_EXE_sluice"))?,
        "the host changed"
    );
    Ok(())
}

/// The job was started by one component and is asked about by another.
#[tokio::test]
async fn a_component_goes_on_with_the_job_of_another() -> Result<()> {
    use retention_science_simulator::ClockMode;

    let mut world = World::new(300, 62).await?;
    world.simulator.set_clock(ClockMode::Manual);
    world
        .simulator
        .patch_config(&serde_json::json!({"queue_delay_ms": 60_000}))?;
    world.append(0..30)?;
    let mut running = world.start(&[])?;
    let asked = world
        .simulator
        .until(|sim| !crate::world::requests(sim, "GET", "/import_jobs/").is_empty());
    running.until("the job is asked about", asked).await?;
    ensure!(running.terminate().await?.code == Some(0));

    swap(&world, &with_another_flag()?)?;
    world.simulator.advance(60_000).await;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    ensure!(world.simulator.jobs().len() == 1);
    ensure!(flags(&world, 0).iter().all(|flags| *flags == (false, true)));
    let comparison = world.expected.compare(world.simulator.users());
    ensure!(comparison.is_clean(), "{comparison}");
    Ok(())
}
