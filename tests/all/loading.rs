//! Loading plugins: a file is compiled once, in a process of its own and within limits; what is kept
//! of it is this user's alone and taken only as it was written; what cannot be loaded harms no other.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::process::{Ended, component, mode};
use crate::world::World;

/// The line of the log that tells of a compilation.
const COMPILED: &str = "DEBUG compiled";

/// A world whose component was compiled and kept.
async fn compiled() -> Result<World> {
    let world = World::new(20, 5).await?;
    let ended = run(&world).await?;
    ensure!(ended.stderr.matches(COMPILED).count() == 1, "{ended:?}");
    Ok(world)
}

async fn run(world: &World) -> Result<Ended> {
    let ended = world.run(&["--until-idle", "--log", "debug"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    Ok(ended)
}

/// The one entry of the cache.
fn entry(world: &World) -> Result<PathBuf> {
    let entries = std::fs::read_dir(world.path(".sluice/.compiled"))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "cwasm"))
        .context("nothing is kept")
}

#[tokio::test]
async fn a_component_is_compiled_once_and_kept_for_its_owner_alone() -> Result<()> {
    let world = compiled().await?;
    let again = run(&world).await?;
    ensure!(!again.stderr.contains(COMPILED), "{again:?}");
    ensure!(mode(&world.path(".sluice/.compiled"))? == 0o700);
    ensure!(mode(&entry(&world)?)? == 0o600);
    ensure!(mode(&world.path(".sluice/.compiled/key"))? == 0o600);
    world.prove().await
}

#[tokio::test]
async fn kept_code_that_was_altered_is_refused_and_compiled_anew() -> Result<()> {
    let world = compiled().await?;
    let path = entry(&world)?;
    let mut code = std::fs::read(&path)?;
    let middle = code.len() / 2;
    code[middle] ^= 1;
    std::fs::write(&path, &code)?;
    let told = run(&world).await?;
    let refused = told.stderr.matches("it is not what was written");
    ensure!(refused.count() == 1, "{told:?}");
    ensure!(told.stderr.contains(COMPILED), "{told:?}");
    // What it was replaced by is good again.
    let again = run(&world).await?;
    ensure!(!again.stderr.contains(COMPILED), "{again:?}");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    let told = run(&world).await?;
    ensure!(
        told.stderr.contains("others can read or write it"),
        "{told:?}"
    );
    ensure!(told.stderr.contains(COMPILED), "{told:?}");
    world.prove().await
}

#[tokio::test]
async fn tenants_with_the_same_component_share_its_code() -> Result<()> {
    let world = World::new(20, 6).await?;
    // Another file with the same content.
    std::fs::copy(component(), world.path("copy.wasm"))?;
    let other = world.tenant.text().replace("plugin.wasm", "copy.wasm");
    std::fs::write(world.path("other.toml"), other)?;
    let ended = world.run(&["--until-live", "--log", "debug"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    ensure!(ended.stderr.matches(COMPILED).count() == 1, "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn limits_of_loading_are_told_by_name() -> Result<()> {
    let world = World::new(1, 0).await?;
    let with = |limits: &str| {
        let table = format!("[authorizations.main.limits]\n{limits}\n\n[exports.everyone]");
        let text = world.tenant.text().replace("[exports.everyone]", &table);
        std::fs::write(world.path("test.toml"), text)
    };
    let large = std::fs::read(component())?;
    for (limits, says) in [
        (
            "manifest_kib = 1",
            "`describe` ran into its limit `manifest_kib` = 1",
        ),
        ("component_mib = 1", "its limit `component_mib` = 1"),
        ("parts = 1", "its limit `parts` = 1"),
        ("memory_mib = 1", "its limit `memory_mib` = 1"),
    ] {
        // A component with padding behind it: not even looked at.
        if limits.starts_with("component_mib") {
            let padding = vec![0; 1 << 20];
            std::fs::write(world.path("plugin.wasm"), [&large[..], &padding].concat())?;
        } else {
            std::fs::write(world.path("plugin.wasm"), &large)?;
        }
        with(limits)?;
        for command in [&["check"][..], &["run", "--until-idle"]] {
            let ended = world.sluice.call(command).await?;
            ensure!(ended.code == Some(4), "{limits}: {ended:?}");
            ensure!(ended.stderr.contains(says), "{limits}: {ended:?}");
        }
    }
    Ok(())
}

/// A neighbour whose file is wrong, and one whose plugin cannot be loaded.
#[tokio::test]
async fn what_cannot_be_started_is_told_and_holds_up_nobody() -> Result<()> {
    let mut world = World::new(50, 7).await?;
    world.append(0..10)?;
    let text = world.tenant.text();
    let wrong = text.replace("audience = ", "audeince = ");
    std::fs::write(world.path("a-wrong.toml"), wrong)?;
    std::fs::write(world.path("broken.wasm"), b"no component")?;
    let broken = text.replace("plugin.wasm", "broken.wasm");
    std::fs::write(world.path("b-broken.toml"), broken)?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(3), "{ended:?}");
    ensure!(
        ended.stderr.contains("did you mean `audience`?"),
        "{ended:?}"
    );
    ensure!(ended.stderr.contains("broken.wasm"), "{ended:?}");
    for name in ["a-wrong.toml", "b-broken.toml"] {
        std::fs::remove_file(world.path(name))?;
    }
    world.prove().await
}

/// What is made of a component is bounded as well: whether it is compiled or was kept.
#[tokio::test]
async fn code_that_is_larger_than_was_granted_is_not_run() -> Result<()> {
    let world = World::new(1, 0).await?;
    let limited = |limit: &str| {
        let table = format!("[authorizations.main.limits]\n{limit}\n\n[exports.everyone]");
        let text = world.tenant.text().replace("[exports.everyone]", &table);
        std::fs::write(world.path("test.toml"), text)
    };
    // The exporter's code is a little more than a mebibyte.
    let says = "its limit `code_mib` = 1: the code that is made of it is larger";
    for kept in [false, true] {
        limited("code_mib = 1")?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(4), "{kept}: {ended:?}");
        ensure!(ended.stderr.contains(says), "{kept}: {ended:?}");
        // Too large to be kept is not too large to be run.
        limited("cache_mib = 1")?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(world.good_end()), "{kept}: {ended:?}");
        let told = ended.stderr.contains("more than limit `cache_mib` = 1");
        ensure!(told != kept && entry(&world).is_ok() == kept, "{ended:?}");
        limited("code_mib = 64")?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(world.good_end()), "{kept}: {ended:?}");
        ensure!(entry(&world).is_ok(), "nothing is kept");
    }
    world.prove().await
}

#[tokio::test]
async fn a_component_that_takes_too_much_to_compile_is_given_up() -> Result<()> {
    let world = World::new(1, 0).await?;
    // One function with so many branches that a compiler needs many seconds to assign its registers.
    let branch = "local.get 0 if local.get 1 local.get 0 i32.add local.set 0 \
                  else local.get 0 local.set 1 end\n";
    let body = branch.repeat(300_000);
    let bomb = format!("(component (core module (func (param i32) (local i32) {body})))");
    std::fs::write(world.path("plugin.wasm"), wat::parse_str(bomb)?)?;
    for (limit, says) in [
        ("compile_seconds = 1", "its limit `compile_seconds` = 1"),
        (
            "compile_memory_mib = 64",
            "its limit `compile_memory_mib` = 64",
        ),
    ] {
        let table = format!("[authorizations.main.limits]\n{limit}\n\n[exports.everyone]");
        let text = world.tenant.text().replace("[exports.everyone]", &table);
        std::fs::write(world.path("test.toml"), text)?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(4), "{ended:?}");
        ensure!(ended.stderr.contains(says), "{ended:?}");
        ensure!(entry(&world).is_err(), "something is kept");
    }
    Ok(())
}
