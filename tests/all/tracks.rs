//! Every track of the contract on this host: plugins that others built once, ours for an older track, and
//! those of a contract that is not there yet; and what a plugin of the newest remembers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::hostile::destination::Destination;
use crate::process::{Ended, KEY_VARIABLE, Sluice, component};
use crate::world::{KEY, World, append};

/// A component that was built from sources which are never changed.
fn frozen(version: &str) -> PathBuf {
    let name = format!("sluice_frozen_{}.wasm", version.replace('.', "_"));
    component().with_file_name("frozen").join(name)
}

/// The members of every audience here; the import job refuses the second.
const MEMBERS: [&str; 4] = ["one", "refuse", "three", "four"];

/// One export through one frozen plugin, to a destination that takes everything.
struct Scene {
    folder: TempDir,
    sluice: Sluice,
    destination: Destination,
    changes: u32,
}

impl Scene {
    async fn of(plugin: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let scene = Self {
            sluice: Sluice::new(folder.path(), KEY),
            folder,
            destination: Destination::start().await?,
            changes: 0,
        };
        std::fs::copy(plugin, scene.path("plugin.wasm"))?;
        let members = MEMBERS.iter().enumerate();
        let members = members.map(|(id, what)| user(id as u64, what).to_string());
        append(&scene.path("members.ndjson"), &members.collect::<Vec<_>>())?;
        std::fs::write(scene.path("changes.ndjson"), "")?;
        let endpoint = scene.destination.url("frozen");
        let config = format!(
            "[authorizations.main]\nlabel = \"Main\"\nplugin = \"plugin.wasm\"\n\
             endpoint = \"{endpoint}\"\nallow_http = true\n\
             allow_addresses = [\"127.0.0.0/8\"]\n\
             secrets = {{ api-key = {{ env = \"{KEY_VARIABLE}\" }} }}\n\n\
             [exports.everyone]\nauthorization = \"main\"\nlabel = \"Everyone\"\n\
             audience = \"everyone\"\nuser_id_field = \"user_id\"\n\
             fields = {{ what = \"what\" }}\n\
             members = {{ file = \"members.ndjson\" }}\n\
             changes = {{ file = \"changes.ndjson\" }}\n"
        );
        std::fs::write(scene.path("test.toml"), config)?;
        Ok(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// So many more members enter the audience.
    fn enter(&mut self, more: u32) -> Result<()> {
        let lines = (0..more).map(|_| {
            self.changes += 1;
            let user = user(
                1_000 + u64::from(self.changes),
                &format!("change {}", self.changes),
            );
            serde_json::json!({"change": "enter", "user": user}).to_string()
        });
        let lines: Vec<_> = lines.collect();
        append(&self.path("changes.ndjson"), &lines)
    }

    /// Runs until there is nothing more to do.
    async fn run(&self) -> Result<Ended> {
        let ended = self.sluice.call(&["run", "--until-idle"]).await?;
        // One row is in quarantine.
        ensure!(ended.code == Some(7), "{ended:?}");
        Ok(ended)
    }

    /// Bodies of the requests to a path, in the order in which they came.
    fn sent(&self, path: &str) -> Vec<String> {
        let line = format!("POST /frozen/{path} ");
        let requests = self.destination.requests("frozen").into_iter();
        let requests = requests.filter(|request| request.head.starts_with(&line));
        requests
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect()
    }

    async fn json(&self, args: &[&str]) -> Result<Value> {
        let ended = self.sluice.call(&[args, &["--json"]].concat()).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(serde_json::from_str(&ended.stdout)?)
    }

    /// What the plugin remembers: key, size and version of each text.
    async fn remembered(&self) -> Result<Vec<(String, u64, String)>> {
        let all = self.json(&["plugin", "state", "everyone"]).await?;
        let all = all["state"].as_array().context("no list")?.clone();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Ok(all
            .iter()
            .map(|row| {
                let bytes = row["bytes"].as_u64().unwrap_or_default();
                (text(row, "key"), bytes, text(row, "plugin_version"))
            })
            .collect())
    }
}

fn user(id: u64, what: &str) -> Value {
    serde_json::json!({"user_id": id, "what": what})
}

/// Backfill and live, all of it accounted for; answers the one row in quarantine and the import job.
async fn whole_life(scene: &mut Scene) -> Result<(Value, Value)> {
    let checked = scene.sluice.call(&["check"]).await?;
    ensure!(checked.code == Some(0), "{checked:?}");
    scene.enter(10)?;
    scene.run().await?;
    let status = scene.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    ensure!(status["backfill"]["delivered"] == 3, "{status}");
    ensure!(status["backfill"]["quarantined"] == 1, "{status}");
    ensure!(status["live"]["delivered"] == 10, "{status}");
    let [file] = &scene.sent("jobs")[..] else {
        anyhow::bail!("not one upload");
    };
    ensure!(file.contains("what\none\nrefuse\nthree\nfour\n"), "{file}");
    let exported = ["quarantine", "export", "everyone", "--reveal"];
    let exported = scene.sluice.call(&exported).await?;
    let row: Value = serde_json::from_str(&exported.stdout)?;
    ensure!(row["member"] == "1", "{row}");
    ensure!(
        row["reason"] == "the import job refused it: is not wanted",
        "{row}"
    );
    Ok((row, status["jobs"][0].clone()))
}

#[tokio::test]
async fn a_plugin_of_the_first_contract_runs_on_this_host() -> Result<()> {
    let mut scene = Scene::of(&frozen("0.1.0")).await?;
    let seen = scene.json(&["plugin", "inspect", "plugin.wasm"]).await?;
    ensure!(seen["component"]["contract"] == "0.1.0", "{seen}");
    ensure!(seen["component"]["track"] == "0.1", "{seen}");
    let (row, job) = whole_life(&mut scene).await?;
    ensure!(row["field"].is_null(), "{row}");
    ensure!(job["refused"] == 1 && job.get("created").is_none(), "{job}");
    let mut sent = scene.sent("members");
    sent.sort();
    ensure!(sent.len() == 10 && sent[0] == "change 1", "{sent:?}");
    ensure!(scene.remembered().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_plugin_of_the_second_contract_remembers_and_reports_more() -> Result<()> {
    let mut scene = Scene::of(&frozen("0.2.0")).await?;
    let seen = scene.json(&["plugin", "inspect", "plugin.wasm"]).await?;
    ensure!(seen["component"]["contract"] == "0.2.0", "{seen}");
    ensure!(seen["component"]["track"] == "0.2", "{seen}");
    // The job named the row by its identity alone.
    let (row, job) = whole_life(&mut scene).await?;
    ensure!(row["field"] == "what", "{row}");
    let did = [&job["created"], &job["updated"], &job["unchanged"]];
    ensure!(did == [2, 1, 0], "{job}");
    let shown = scene.sluice.call(&["receipt", "everyone"]).await?;
    ensure!(shown.stdout.contains("created"), "{shown:?}");
    let mut sent = scene.sent("members");
    sent.sort();
    ensure!(sent.len() == 10 && sent[0] == "list-1 change 1", "{sent:?}");
    ensure!(
        scene.sent("lists") == ["list-1"],
        "{:?}",
        scene.sent("lists")
    );
    let remembered = scene.remembered().await?;
    ensure!(
        remembered == [("list".to_owned(), 6, "7.0.1".to_owned())],
        "{remembered:?}"
    );
    // Names and sizes, never what stands there.
    let shown = scene.sluice.call(&["plugin", "state", "everyone"]).await?;
    ensure!(
        shown.stdout.contains("list") && !shown.stdout.contains("list-1"),
        "{shown:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_plugin_remembers_survives_a_kill_and_another_version_of_it() -> Result<()> {
    let mut scene = Scene::of(&frozen("0.2.0")).await?;
    scene.enter(4)?;
    let mut running = scene.sluice.start(&["run"])?;
    let done = |status: &Value| status["live"]["delivered"] == 4;
    running
        .until_status(&scene.sluice, "four are delivered", done)
        .await?;
    running.kill().await?;
    scene.enter(4)?;
    scene.run().await?;
    ensure!(scene.sent("members").len() >= 8);

    // Another version of it, which finds what the first has made.
    let mut bytes = std::fs::read(frozen("0.2.0"))?;
    let at = bytes.windows(5).position(|five| five == b"7.0.1");
    let at = at.context("the component does not hold its version")?;
    bytes[at..at + 5].copy_from_slice(b"7.0.2");
    std::fs::write(scene.path("next.wasm"), bytes)?;
    std::fs::rename(scene.path("next.wasm"), scene.path("plugin.wasm"))?;
    scene.enter(4)?;
    scene.run().await?;
    let usage = scene.sluice.status().await?["usage"].to_string();
    ensure!(usage.contains("7.0.2"), "{usage}");

    // And one of the first contract, which knows nothing of it and leaves it alone.
    std::fs::copy(frozen("0.1.0"), scene.path("plugin.wasm"))?;
    scene.enter(1)?;
    scene.run().await?;
    let sent = scene.sent("members");
    ensure!(
        sent.last().is_some_and(|body| body == "change 13"),
        "{sent:?}"
    );
    let with_list = sent
        .iter()
        .filter(|body| body.starts_with("list-1 "))
        .count();
    ensure!(with_list == sent.len() - 1, "{sent:?}");
    ensure!(
        scene.sent("lists") == ["list-1"],
        "{:?}",
        scene.sent("lists")
    );
    let remembered = scene.remembered().await?;
    ensure!(
        remembered == [("list".to_owned(), 6, "7.0.1".to_owned())],
        "{remembered:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_preview_leaves_nothing_behind_in_what_a_plugin_remembers() -> Result<()> {
    let mut scene = Scene::of(&frozen("0.2.0")).await?;
    let makes_the_list = |ended: &Ended| ended.stdout.contains("/lists");
    let shown = scene.sluice.call(&["preview", "everyone"]).await?;
    ensure!(shown.code == Some(0) && makes_the_list(&shown), "{shown:?}");
    ensure!(!scene.path(".sluice/test").exists(), "a store was made");
    scene.enter(1)?;
    scene.run().await?;
    let before = scene.remembered().await?;
    // Now it knows the list.
    let shown = scene.sluice.call(&["preview", "everyone"]).await?;
    ensure!(
        shown.code == Some(0) && !makes_the_list(&shown),
        "{shown:?}"
    );
    ensure!(scene.remembered().await? == before);
    Ok(())
}

/// The exporter, from today's source, for hosts that have the first track alone.
#[tokio::test]
async fn todays_source_built_for_the_old_track_runs_on_this_host_and_on_an_old_one() -> Result<()> {
    let old = component()
        .with_file_name("0.1")
        .join("retention_science.wasm");
    let mut world = World::new(300, 63).await?;
    std::fs::copy(old, world.path("plugin.wasm"))?;
    let inspect = ["plugin", "inspect", "plugin.wasm", "--json"];
    let ended = world.sluice.call(&inspect).await?;
    let seen: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(seen["component"]["contract"] == "0.1.0", "{seen}");
    world.append(0..30)?;
    world.finish().await?;
    world.append(30..60)?;
    world
        .sluice
        .environment
        .push(("SLUICE_TRACKS", "0.1".to_owned()));
    world.finish().await
}

#[tokio::test]
async fn a_host_of_the_old_track_refuses_a_newer_plugin_and_says_what_it_takes() -> Result<()> {
    let mut scene = Scene::of(&frozen("0.2.0")).await?;
    let serves = ["plugin", "inspect", "plugin.wasm", "--tracks", "0.1"];
    let refused = scene.sluice.call(&serves).await?;
    scene
        .sluice
        .environment
        .push(("SLUICE_TRACKS", "0.1".to_owned()));
    let never_run = scene.sluice.call(&["run", "--until-idle"]).await?;
    for ended in [refused, never_run] {
        ensure!(ended.code == Some(4), "{ended:?}");
        let says = "built for contract sluice:sink@0.2.0; this host serves sluice:sink@0.1.x. \
                    sluice 0.1.0 and newer serve it, unless they are told to serve other tracks";
        ensure!(ended.stderr.contains(says), "{ended:?}");
    }
    ensure!(scene.destination.requests("frozen").is_empty());
    std::fs::copy(frozen("0.1.0"), scene.path("plugin.wasm"))?;
    whole_life(&mut scene).await?;
    Ok(())
}

/// A component that says it is a destination of these contracts, and is nothing else.
fn hollow(versions: &[&str]) -> Result<Vec<u8>> {
    let export = |version| format!("(export \"sluice:sink/exporter@{version}\" (instance $empty))");
    let exports: Vec<_> = versions.iter().map(export).collect();
    let text = format!("(component (instance $empty) {})", exports.join(" "));
    Ok(wat::parse_str(text)?)
}

#[tokio::test]
async fn a_contract_that_is_not_there_yet_is_refused_before_anything_runs() -> Result<()> {
    let scene = Scene::of(&frozen("0.2.0")).await?;
    let newer = concat!("Use a sluice newer than ", env!("CARGO_PKG_VERSION"));
    for (versions, says) in [
        (&["0.3.0"][..], ["sluice:sink@0.3.0;", newer]),
        (&["1.0.0"], ["sluice:sink@1.0.0;", newer]),
        (&["0.3.0", "0.4.1"], ["sluice:sink@0.3.0 and 0.4.1;", newer]),
        (
            &["0.2.0-rc.1"],
            ["sluice:sink@0.2.0-rc.1;", "No sluice serves it"],
        ),
        // Of several the highest that is served; there it is found to be hollow.
        (
            &["0.1.0", "0.2.0", "0.3.0"],
            ["does not fit", "sluice:sink@0.2.0"],
        ),
    ] {
        std::fs::write(scene.path("hollow.wasm"), hollow(versions)?)?;
        let inspect = ["plugin", "inspect", "hollow.wasm"];
        let ended = scene.sluice.call(&inspect).await?;
        ensure!(ended.code == Some(4), "{versions:?}: {ended:?}");
        for says in says {
            ensure!(ended.stderr.contains(says), "{versions:?}: {ended:?}");
        }
        let serves = "this host serves sluice:sink@0.1.x and 0.2.x";
        let fits = ended.stderr.contains("does not fit");
        ensure!(
            fits || ended.stderr.contains(serves),
            "{versions:?}: {ended:?}"
        );
    }
    Ok(())
}
