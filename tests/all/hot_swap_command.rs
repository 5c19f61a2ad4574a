//! The commands around a swap: whom they concern, whom they leave out and say so, and how their exit code
//! tells.

use anyhow::{Result, ensure};

use crate::hot_swap::{file, swap};
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
    let ended = swap(&world, &[&next]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    let named = "error: other/everyone is left out: its store cannot be read";
    ensure!(ended.stderr.contains(named), "{ended:?}");
    ensure!(ended.stdout.contains("test/everyone: "), "{ended:?}");
    Ok(())
}
