//! The commands around a swap: whom they concern, whom they leave out and say so, what can be withdrawn, and how
//! their exit code tells.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice::store::Store;

use crate::hot_swap::{file, finish, live, swap};
use crate::hot_swap_pause::{Compilation, NOW_MS, signal, wanted};
use crate::process::KEY_VARIABLE;
use crate::world::World;

/// Two tenants whose exports have run the plugin. Nobody works on them now.
async fn two_tenants(seed: u64) -> Result<World> {
    let world = World::new(5, seed).await?;
    std::fs::write(world.path("other.toml"), world.tenant.text())?;
    let ended = world.run(&["--until-live"]).await?;
    ensure!(matches!(ended.code, Some(0 | 7)), "{ended:?}");
    Ok(world)
}

#[tokio::test]
async fn an_export_that_cannot_be_prepared_or_read_is_named_and_the_others_are_swapped()
-> Result<()> {
    let world = two_tenants(731).await?;
    let text = world.tenant.text();
    let with = |from: &str, to: &str| text.replace(from, to);
    let next = file(&world, 51, "good")?;
    let runs = "it runs the plugin, and cannot be prepared:";
    for (harm, args, code, why) in [
        (
            with("import_type =", "exit = \"unsubscribe\"\nimport_type ="),
            &[][..],
            3,
            format!("{runs} option `exit`"),
        ),
        (
            with("members.ndjson", "nowhere.ndjson"),
            &[],
            3,
            format!("{runs} cannot read the members file"),
        ),
        (
            with("plugin.wasm", "nowhere.wasm"),
            &[],
            4,
            format!("{runs} plugin ./nowhere.wasm: cannot read the file"),
        ),
        (
            with(KEY_VARIABLE, "NOT_THERE"),
            &["--check"],
            3,
            format!("{runs} secret `api-key` cannot be read"),
        ),
        (
            "[exports.a]\n".to_owned(),
            &[],
            3,
            "it runs the plugin, and its tenant's file holds mistakes".to_owned(),
        ),
    ] {
        ensure!(harm != text);
        std::fs::write(world.path("other.toml"), harm)?;
        let ended = swap(&world, &[&[next.as_str()], args].concat()).await?;
        ensure!(ended.code == Some(code), "{why}: {ended:?}");
        let named = format!("error: other/everyone is left out: {why}");
        ensure!(ended.stderr.contains(&named), "{named}: {ended:?}");
        let told = "test/everyone: nobody works on it: it is swapped once sluice runs";
        ensure!(ended.stdout.contains(told), "{why}: {ended:?}");
        ensure!(!ended.stdout.contains("other/everyone"), "{why}: {ended:?}");
    }
    // Who is to go first must be there.
    let leader = [next.as_str(), "--canary", "other/everyone"];
    let ended = swap(&world, &leader).await?;
    ensure!(
        ended.code == Some(3) && ended.stderr.contains("cannot go first"),
        "{ended:?}"
    );

    // A store that is none any more.
    std::fs::write(world.path("other.toml"), &text)?;
    std::fs::write(world.path(".sluice/other/everyone/export.db"), "garbage")?;
    for (command, told) in [
        (
            &["swap", "retention-science", next.as_str()][..],
            "nobody works on it",
        ),
        (
            &["rollback", "retention-science"],
            "is withdrawn; it had not begun",
        ),
    ] {
        let ended = world.sluice.call(&[&["plugin"], command].concat()).await?;
        ensure!(ended.code == Some(1), "{command:?}: {ended:?}");
        let named = "error: other/everyone is left out: its store cannot be read";
        ensure!(ended.stderr.contains(named), "{command:?}: {ended:?}");
        let all: Vec<_> = ended.stdout.lines().collect();
        ensure!(
            all.iter()
                .any(|line| line.starts_with("test/everyone: ") && line.contains(told)),
            "{command:?}: {ended:?}"
        );
    }
    Ok(())
}

const ROLLBACK: [&str; 3] = ["plugin", "rollback", "retention-science"];

#[tokio::test]
async fn a_swap_that_nobody_has_taken_up_can_be_withdrawn() -> Result<()> {
    let (mut world, running) = live(20, 732, "").await?;
    let next = file(&world, 52, "good")?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let ended = swap(&world, &[&next, "--batches", "0"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let said = world.sluice.call(&["status"]).await?.stdout;
    ensure!(
        said.contains("is wanted, and has not begun") && said.contains("0.9.52"),
        "{said}"
    );
    let ended = world.sluice.call(&ROLLBACK).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("is withdrawn; it had not begun"),
        "{ended:?}"
    );
    // There is nothing else to undo.
    let ended = world.sluice.call(&ROLLBACK).await?;
    ensure!(ended.code == Some(10), "{ended:?}");
    let mut running = world.start(&[])?;
    let over = |status: &Value| !status["versions"]["last"].is_null();
    running.until_status(&world.sluice, "over", over).await?;
    was_withdrawn(&world, "0.9.52").await?;
    world.append(5..10)?;
    finish(world, running).await
}

#[tokio::test]
async fn a_swap_that_is_withdrawn_while_its_candidate_is_loaded_never_begins() -> Result<()> {
    let (mut world, mut running) = live(20, 733, "").await?;
    let wanted = wanted(&world, 53, "good").await?;
    let store = Store::open_beside(&world.path(".sluice/test/everyone"))?;
    store.want_version(&wanted, NOW_MS)?;
    drop(store);
    let compilation = Compilation::stop(&mut running).await?;
    let ended = world.sluice.call(&ROLLBACK).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("is withdrawn; it had not begun"),
        "{ended:?}"
    );
    ensure!(compilation.stands_still());
    drop(compilation);
    let over = |status: &Value| !status["versions"]["last"].is_null();
    running.until_status(&world.sluice, "over", over).await?;
    was_withdrawn(&world, "0.9.53").await?;
    world.append(5..10)?;
    finish(world, running).await
}

async fn was_withdrawn(world: &World, version: &str) -> Result<()> {
    let status = world.sluice.status().await?;
    let (versions, last) = (&status["versions"], &status["versions"]["last"]);
    ensure!(versions["active"]["version"] == "0.1.0", "{status}");
    ensure!(
        versions["swap"].is_null() && status["wanted"].is_null(),
        "{status}"
    );
    ensure!(
        last["to"]["version"] == version && last["outcome"] == "rolled-back",
        "{status}"
    );
    let said = world.sluice.call(&["status"]).await?.stdout;
    ensure!(said.contains("withdrew it before it had begun"), "{said}");
    Ok(())
}

#[tokio::test]
async fn whoever_stops_waiting_for_a_swap_hears_that_it_goes_on() -> Result<()> {
    let (world, mut running) = live(20, 734, "").await?;
    let next = file(&world, 54, "good")?;
    let mut waits = world
        .sluice
        .start(&["plugin", "swap", "retention-science", &next])?;
    let begun = |status: &Value| !status["versions"]["swap"].is_null();
    waits.until_status(&world.sluice, "begun", begun).await?;
    let pid = waits.pid().context("it has ended")?.to_string();
    signal("INT", &pid)?;
    let ended = waits.ended().await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for words in [
        "the swap goes on",
        "`sluice status`",
        "`sluice plugin rollback retention-science`",
    ] {
        ensure!(ended.stderr.contains(words), "{words}: {ended:?}");
    }
    let status = world.sluice.status().await?;
    ensure!(begun(&status), "{status}");
    // As it says.
    let ended = world.sluice.call(&ROLLBACK).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let over = |status: &Value| status["versions"]["swap"].is_null();
    running.until_status(&world.sluice, "over", over).await?;
    finish(world, running).await
}
