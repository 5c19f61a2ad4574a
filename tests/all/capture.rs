//! Calls of a running export as a file: nothing of a member is in it unless that was asked for, it replays
//! the same under the same plugin, shows what another one does differently, and nothing is ever sent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice::capture::{CallKind, Capture, Outcome, folder};
use sluice::store::{CaptureOrder, OrderStage, Store};

use crate::golden_file::golden;
use crate::hot_swap::version;
use crate::process::{Ended, KEY_VARIABLE, Running, Sluice, component, mode};
use crate::swap::with_another_flag;
use crate::world::{KEY, World, append};

const EXPORT: &str = "everyone";

/// So long that it is over only because what was wanted has happened.
const LONG: &str = "80";

/// Orders a capture before anything runs, so that the first call is in it.
fn order(world: &World, calls: u32, of: &[CallKind], reveal: bool) -> Result<(PathBuf, i64)> {
    order_in(&world.path(".sluice/test/everyone"), calls, of, reveal)
}

fn order_in(directory: &Path, calls: u32, of: &[CallKind], reveal: bool) -> Result<(PathBuf, i64)> {
    let store = Store::open(directory)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let order = CaptureOrder {
        calls,
        of: of.to_vec(),
        reveal,
        until_ms: now + 80_000,
        stage: OrderStage::Wanted,
    };
    let id = store.order_capture(&order, now)?;
    Ok((folder::asked(directory, id), id))
}

/// `sluice capture everyone ARGS`, waiting until the running process has seen it.
async fn ask(world: &World, running: &mut Running, args: &[&str]) -> Result<Running> {
    let args = [&["capture", EXPORT, "--timeout-seconds", LONG], args].concat();
    let asking = world.sluice.start(&args)?;
    running.until_said("a capture is wanted").await?;
    Ok(asking)
}

async fn replay(sluice: &Sluice, capture: &Path, plugin: &str, args: &[&str]) -> Result<Ended> {
    let capture = capture.to_str().context("a path is text")?;
    let args = [&["replay", capture, "--plugin", plugin], args].concat();
    sluice.call(&args).await
}

/// Every word of four letters or more, with a vowel in it, that stands in a value of the audience: a mask
/// has no vowels, so that none of them comes out by accident.
fn words(world: &World) -> Result<BTreeSet<String>> {
    fn add(value: &Value, words: &mut BTreeSet<String>) {
        match value {
            Value::String(text) => {
                let all = text.split(|c: char| !c.is_alphanumeric());
                let telling = all.filter(|word| {
                    word.chars().filter(|c| c.is_alphabetic()).count() > 3
                        && word.to_lowercase().contains(['a', 'e', 'i', 'o', 'u'])
                });
                words.extend(telling.map(str::to_lowercase));
            }
            Value::Array(items) => items.iter().for_each(|item| add(item, words)),
            Value::Object(object) => object.values().for_each(|value| add(value, words)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for name in ["members.ndjson", "changes.ndjson"] {
        for line in std::fs::read_to_string(world.path(name))?.lines() {
            let value: Value = serde_json::from_str(line)?;
            add(value.get("user").unwrap_or(&value), &mut found);
        }
    }
    ensure!(found.len() > 20, "{found:?}");
    // A method, in every capture.
    found.remove("post");
    Ok(found)
}

/// The words of the calls, without what the host and the plugin put there: what they have in common
/// with the header.
fn words_of_calls(capture: &Capture) -> BTreeSet<String> {
    let bytes = capture.write();
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    let mut lines = text.lines();
    let _header = lines.next();
    lines
        .flat_map(|line| line.split(|c: char| !c.is_alphanumeric()))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_masked_capture_of_every_kind_of_call_holds_nothing_of_a_member_and_replays_the_same()
-> Result<()> {
    let mut world = World::new(60, 71).await?;
    // Masked ones are none, so that the plugin would refuse the rows, and say what it knows.
    let known = ["country", "gender"];
    world
        .tenant
        .fields
        .retain(|(_, to)| !known.contains(&to.as_str()));
    world.configure()?;
    world.append(0..40)?;
    let (path, _) = order(&world, 500, &CallKind::ALL, false)?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(matches!(ended.code, Some(0 | 7)), "{ended:?}");
    ensure!(mode(&path)? == 0o600, "others can read it");
    let capture = folder::read(&path)?;
    let kinds: BTreeSet<_> = capture
        .calls
        .iter()
        .map(|call| call.input.kind().name())
        .collect();
    ensure!(kinds.len() == 4, "{kinds:?}");
    ensure!(capture.header.masked, "{:?}", capture.header);
    let bytes = std::fs::read_to_string(&path)?;
    ensure!(!bytes.contains(KEY), "the key is in it");
    let real = words(&world)?;
    let found: Vec<_> = words_of_calls(&capture)
        .intersection(&real)
        .cloned()
        .collect();
    ensure!(found.is_empty(), "members' words are in it: {found:?}");
    for call in &capture.calls {
        let real = call.real.as_ref().context("it is masked")?;
        ensure!(
            real.alike,
            "{} went another way: {} and {}",
            call.input.kind().name(),
            real.ended,
            call.outcome.summary()
        );
    }

    let sent = world.simulator.requests().len();
    let same = replay(&world.sluice, &path, "plugin.wasm", &[]).await?;
    ensure!(same.code == Some(0), "{same:?}");
    let all = format!("{} the same, 0 differ", capture.calls.len());
    ensure!(same.stdout.contains(&all), "{same:?}");
    // The same bytes whenever it is asked for, also of what differs.
    std::fs::write(world.path("other.wasm"), with_another_flag()?)?;
    let differs = replay(&world.sluice, &path, "other.wasm", &["--json"]).await?;
    ensure!(differs.code == Some(9), "{differs:?}");
    let again = replay(&world.sluice, &path, "other.wasm", &["--json"]).await?;
    ensure!(
        again.stdout == differs.stdout,
        "{}\n{}",
        again.stdout,
        differs.stdout
    );
    ensure!(
        world.simulator.requests().len() == sent,
        "a replay has sent something"
    );
    Ok(())
}

/// One change of one member, so that the batch is the same each time.
async fn one_change() -> Result<World> {
    let mut world = World::of(&[], &[]).await?;
    world.tenant.members = None;
    world.tenant.tuning = "lanes = 1\n".to_owned();
    world.configure()?;
    Ok(world)
}

fn change(number: u64) -> String {
    json!({"change": "enter", "user": {"user_id": format!("u{number}"), "email": format!("zoe{number}@example.com"),
        "first_name": "Zoë", "last_name": "Berg", "credits": number, "vip": true, "tags": ["a", 7]}})
    .to_string()
}

/// The plugin counts its batches where it remembers, so what a batch finds there is part of what it did.
#[tokio::test]
async fn what_a_plugin_remembers_is_on_the_tape_masked_or_not() -> Result<()> {
    for reveal in [false, true] {
        let mut world = World::new(10, 73).await?;
        std::fs::write(world.path("plugin.wasm"), version(31, "traps")?)?;
        world.append(0..2)?;
        let (path, _) = order(&world, 2, &[CallKind::Deliver], reveal)?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(matches!(ended.code, Some(0 | 7)), "{ended:?}");
        let capture = Capture::read(&std::fs::read(&path)?)?;
        let changes: Vec<_> = capture
            .calls
            .iter()
            .flat_map(|call| &call.remembers)
            .collect();
        ensure!(
            !changes.is_empty() && changes.iter().all(|change| change.made),
            "{changes:?}"
        );
        let same = replay(&world.sluice, &path, "plugin.wasm", &[]).await?;
        ensure!(same.code == Some(0), "reveal {reveal}: {same:?}");
        // Another version does not count: that differs, though it sends the same.
        std::fs::write(world.path("other.wasm"), version(31, "good")?)?;
        let differs = replay(&world.sluice, &path, "other.wasm", &[]).await?;
        ensure!(differs.code == Some(9), "reveal {reveal}: {differs:?}");
        ensure!(differs.stdout.contains("what it remembers"), "{differs:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_under_another_plugin_shows_the_golden_difference() -> Result<()> {
    let world = one_change().await?;
    std::fs::write(world.path("other.wasm"), with_another_flag()?)?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "live", |status| status["phase"] == "live")
        .await?;
    let asking = ask(
        &world,
        &mut running,
        &["--reveal", "--output", "one.ndjson"],
    )
    .await?;
    append(&world.path("changes.ndjson"), &[change(1)])?;
    let asked = asking.ended().await?;
    ensure!(asked.code == Some(0), "{asked:?}");
    ensure!(
        asked.stdout.contains("with members' values as they are"),
        "{asked:?}"
    );
    ensure!(running.terminate().await?.code == Some(0));
    let path = world.path("one.ndjson");
    ensure!(mode(&path)? == 0o600, "others can read it");
    ensure!(
        std::fs::read_to_string(&path)?.contains("Zoë"),
        "it is masked"
    );

    for (args, name) in [
        (&[][..], "replay.txt"),
        (&["--reveal"], "replay-revealed.txt"),
        (&["--json"], "replay.json"),
    ] {
        let differs = replay(&world.sluice, &path, "other.wasm", args).await?;
        ensure!(differs.code == Some(9), "{differs:?}");
        ensure!(
            args.contains(&"--reveal") || !differs.stdout.contains("Zoë"),
            "{differs:?}"
        );
        let sha256 = |file: &str| -> Result<String> {
            let bytes = std::fs::read(world.path(file))?;
            let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
            Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
        };
        let text = crate::golden_file::Normal::new(&differs.stdout)
            .hide(&sha256("plugin.wasm")?, "HASH")
            .hide(&sha256("other.wasm")?, "OTHER");
        golden(name, &text.text());
    }
    let same = replay(&world.sluice, &path, "plugin.wasm", &["--reveal"]).await?;
    ensure!(same.code == Some(0), "{same:?}");
    Ok(())
}

#[tokio::test]
async fn a_shadow_sends_nothing_shows_what_differs_and_leaves_nothing_behind() -> Result<()> {
    let world = one_change().await?;
    std::fs::write(world.path("other.wasm"), with_another_flag()?)?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "live", |status| status["phase"] == "live")
        .await?;
    let mut sent = 0;
    for (plugin, code) in [("other.wasm", 9), ("plugin.wasm", 0)] {
        let args = [
            "plugin",
            "shadow",
            "retention-science",
            plugin,
            "--batches",
            "2",
            "--timeout-seconds",
            LONG,
        ];
        let shadow = world.sluice.start(&args)?;
        let store = Store::open_read_only(&world.path(".sluice/test/everyone"))?;
        let seen = || {
            let orders = store.capture_orders().unwrap_or_default();
            orders.iter().any(|(_, order)| {
                order
                    .as_ref()
                    .is_some_and(|order| order.stage == OrderStage::Seen)
            })
        };
        running.until_true("the order is seen", seen).await?;
        for number in [1, 2] {
            append(&world.path("changes.ndjson"), &[change(number)])?;
            sent += 1;
            let arrived = world
                .simulator
                .until(move |sim| crate::world::requests(sim, "POST", "/users").len() == sent);
            running.until("the change arrives", arrived).await?;
        }
        let ended = shadow.ended().await?;
        ensure!(ended.code == Some(code), "{ended:?}");
        for says in [
            "test/everyone: 2 batches of retention-science",
            "Nothing was sent.",
            " then, ",
        ] {
            ensure!(ended.stdout.contains(says), "{says}: {ended:?}");
        }
        for value in ["Zoë", "Berg", "zoe1"] {
            ensure!(!ended.stdout.contains(value), "{ended:?}");
        }
        ensure!(
            ended.stdout.contains("send_transactional_goodbye") == (code == 9),
            "{ended:?}"
        );
        let kept = std::fs::read_dir(world.path(".sluice/test/everyone/captures"))?.count();
        ensure!(kept == 0, "{kept} files are left");
        ensure!(store.capture_orders()?.is_empty());
    }
    ensure!(running.terminate().await?.code == Some(0));
    let requests = world.requests("POST", "/users");
    ensure!(
        requests.len() == sent,
        "{} requests for {sent} changes",
        requests.len()
    );
    ensure!(
        requests
            .iter()
            .all(|request| request["body"].get("send_transactional_goodbye").is_none())
    );
    Ok(())
}

#[tokio::test]
async fn with_nothing_running_it_says_so() -> Result<()> {
    let world = one_change().await?;
    let never = world.sluice.call(&["capture", EXPORT]).await?;
    ensure!(
        never.code == Some(3) && never.stderr.contains("nothing runs it"),
        "{never:?}"
    );
    ensure!(world.run(&["--until-idle"]).await?.code == Some(0));
    let ended = world
        .sluice
        .call(&["capture", EXPORT, "--timeout-seconds", LONG])
        .await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    ensure!(
        ended.stderr.contains("nothing runs export test/everyone"),
        "{ended:?}"
    );
    let store = Store::open_read_only(&world.path(".sluice/test/everyone"))?;
    ensure!(
        store.capture_orders()?.is_empty(),
        "the order is still there"
    );
    // What cannot be written is said before anybody has waited.
    std::fs::write(world.path("there.ndjson"), "mine")?;
    for (output, says) in [
        ("there.ndjson", "use --force"),
        ("nowhere/it.ndjson", "its folder is not there"),
        (".", "it is a folder"),
    ] {
        let args = ["capture", EXPORT, "--timeout-seconds", LONG, "--output"];
        let ended = world.sluice.call(&[&args[..], &[output]].concat()).await?;
        ensure!(
            ended.code == Some(2) && ended.stderr.contains(says),
            "{ended:?}"
        );
    }
    ensure!(std::fs::read_to_string(world.path("there.ndjson"))? == "mine");
    Ok(())
}

#[tokio::test]
async fn calls_that_do_not_come_in_time_are_not_waited_for_and_what_there_is_is_written()
-> Result<()> {
    let world = one_change().await?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "live", |status| status["phase"] == "live")
        .await?;
    let none = world
        .sluice
        .call(&["capture", EXPORT, "--timeout-seconds", "1"])
        .await?;
    ensure!(
        none.code == Some(1) && none.stderr.contains("no such call in that time"),
        "{none:?}"
    );
    let (mut batches, limited) = (vec![], ["--batches", "50", "--timeout-seconds", "4"]);
    let asking = world
        .sluice
        .start(&[&["capture", EXPORT], &limited[..]].concat())?;
    let store = Store::open_read_only(&world.path(".sluice/test/everyone"))?;
    let seen = || store.capture_orders().is_ok_and(|orders| orders.len() == 1);
    running.until_true("the order is there", seen).await?;
    // One after the other until the command has had enough.
    let waiting = asking.ended();
    tokio::pin!(waiting);
    let ended = loop {
        batches.push(change(batches.len() as u64));
        append(&world.path("changes.ndjson"), &batches[batches.len() - 1..])?;
        let count = batches.len();
        let arrived = world
            .simulator
            .until(move |sim| crate::world::requests(sim, "POST", "/users").len() >= count.min(5));
        tokio::select! {
            ended = &mut waiting => break ended?,
            () = arrived, if count <= 5 => {}
        }
    };
    ensure!(
        ended.code == Some(0) && ended.stdout.contains(" of 50 calls"),
        "{ended:?}"
    );
    ensure!(running.terminate().await?.code == Some(0));
    Ok(())
}

#[tokio::test]
async fn killed_half_way_neither_side_leaves_anything_that_breaks() -> Result<()> {
    let world = one_change().await?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "live", |status| status["phase"] == "live")
        .await?;
    // Whoever asked is gone: the file waits for nobody, and the next one gets its own.
    ask(&world, &mut running, &[]).await?.kill().await?;
    append(&world.path("changes.ndjson"), &[change(1)])?;
    let asking = world.sluice.start(&[
        "capture",
        EXPORT,
        "--timeout-seconds",
        LONG,
        "--output",
        "two.ndjson",
    ])?;
    let store = Store::open_read_only(&world.path(".sluice/test/everyone"))?;
    let seen = || {
        let orders = store.capture_orders().unwrap_or_default();
        let last = orders.last().and_then(|(_, order)| order.as_ref());
        orders.len() == 2 && last.is_some_and(|order| order.stage == OrderStage::Seen)
    };
    running.until_true("the second order is seen", seen).await?;
    append(&world.path("changes.ndjson"), &[change(2)])?;
    let asked = asking.ended().await?;
    ensure!(asked.code == Some(0), "{asked:?}");
    ensure!(folder::read(&world.path("two.ndjson"))?.calls.len() == 1);

    // The one that runs is killed with an order open: it is begun anew by the next.
    let asking = world.sluice.start(&[
        "capture",
        EXPORT,
        "--timeout-seconds",
        LONG,
        "--output",
        "three.ndjson",
    ])?;
    let seen = || {
        store.capture_orders().is_ok_and(|orders| {
            orders.len() == 2
                && orders.iter().any(|(_, order)| {
                    order
                        .as_ref()
                        .is_some_and(|order| order.stage == OrderStage::Seen)
                })
        })
    };
    running.until_true("the third order is seen", seen).await?;
    running.kill().await?;
    append(&world.path("changes.ndjson"), &[change(3)])?;
    let again = world.run(&["--until-idle"]).await?;
    ensure!(again.code == Some(0), "{again:?}");
    let asked = asking.ended().await?;
    ensure!(asked.code == Some(0), "{asked:?}");
    let status = world.sluice.status().await?;
    ensure!(
        status["adds_up"] == true && status["live"]["received"] == 3,
        "{status}"
    );
    Ok(())
}

/// A plugin with these options and changes, and a place for calls that fail.
fn prepared(plugin: &str, options: &str, changes: &[&str]) -> Result<(tempfile::TempDir, Sluice)> {
    let folder = tempfile::tempdir()?;
    let plugin = component().with_file_name(plugin);
    std::fs::copy(plugin, folder.path().join("plugin.wasm"))?;
    let config = format!(
        "[authorizations.main]\nlabel = \"Probe\"\nplugin = \"plugin.wasm\"\nendpoint = \"http://127.0.0.1:9/v3\"\n\
         allow_http = true\nallow_addresses = [\"127.0.0.0/8\"]\nsecrets = {{ api-key = {{ env = \"{KEY_VARIABLE}\" }} }}\n\
         [exports.everyone]\nauthorization = \"main\"\nlabel = \"Probe\"\naudience = \"probe\"\n\
         user_id_field = \"id\"\nchanges = {{ file = \"changes.ndjson\" }}\nfields = {{ what = \"what\" }}\n\
         options = {{ {options} }}\ntuning = {{ lanes = 1, capture_failures = 2 }}\n"
    );
    std::fs::write(folder.path().join("test.toml"), config)?;
    let lines: Vec<String> = changes
        .iter()
        .enumerate()
        .map(|(id, what)| json!({"change": "update", "user": {"id": id, "what": what}}).to_string())
        .collect();
    append(&folder.path().join("changes.ndjson"), &lines)?;
    let sluice = Sluice::new(folder.path(), KEY);
    Ok((folder, sluice))
}

/// The probe, run.
async fn failing(options: &str, changes: &[&str]) -> Result<(tempfile::TempDir, Sluice, Ended)> {
    let (folder, sluice) = prepared("sluice_probe.wasm", options, changes)?;
    let ended = sluice.call(&["run", "--until-idle"]).await?;
    Ok((folder, sluice, ended))
}

/// One that has clocks and chance gets those of the call when that is made again.
#[tokio::test]
async fn time_and_chance_are_on_the_tape() -> Result<()> {
    let (folder, sluice) = prepared("hostile/wasi.wasm", "", &["moment"])?;
    let directory = folder.path().join(".sluice/test/everyone");
    let (path, _) = order_in(&directory, 1, &[CallKind::Deliver], true)?;
    let ended = sluice.call(&["run", "--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let capture = folder::read(&path)?;
    let [rejected] = capture.calls[0].outcome.rejected() else {
        anyhow::bail!("{capture:?}");
    };
    let told = rejected.reason.split(' ').count();
    ensure!(told == 4, "{rejected:?}");
    for _ in 0..2 {
        let same = replay(&sluice, &path, "plugin.wasm", &[]).await?;
        ensure!(same.code == Some(0), "{same:?}");
    }
    // Another call has others.
    let mut other = capture.clone();
    other.calls[0].began = None;
    std::fs::write(&path, other.write())?;
    let differs = replay(&sluice, &path, "plugin.wasm", &[]).await?;
    ensure!(differs.code == Some(9), "{differs:?}");
    Ok(())
}

#[tokio::test]
async fn a_call_on_which_the_plugin_traps_is_kept_and_traps_again() -> Result<()> {
    let (folder, sluice, ended) = failing("every_call = \"trap\"", &["Quokka"]).await?;
    ensure!(ended.code == Some(6), "{ended:?}");
    let kept = folder::kept(&folder.path().join(".sluice/test/everyone"))?;
    ensure!(!kept.is_empty() && kept.len() <= 2, "{kept:?}");
    let last = &kept[kept.len() - 1].path;
    let capture = folder::read(last)?;
    ensure!(
        matches!(capture.calls[0].outcome, Outcome::Trap { .. }),
        "{capture:?}"
    );
    ensure!(!std::fs::read_to_string(last)?.contains("Quokka"));
    let same = replay(&sluice, last, "plugin.wasm", &[]).await?;
    ensure!(same.code == Some(0), "{same:?}");
    let listed = sluice.call(&["capture", EXPORT, "--list"]).await?;
    ensure!(listed.code == Some(0), "{listed:?}");
    for says in [
        "deliver",
        "`deliver` trapped",
        "probe 0.1.0",
        "failed-",
        "yes",
    ] {
        ensure!(listed.stdout.contains(says), "{says}: {listed:?}");
    }
    Ok(())
}

/// A trap that depends on a value is kept, and it is told that it does not show with masked ones.
#[tokio::test]
async fn a_failure_that_only_the_real_values_show_is_kept_as_such() -> Result<()> {
    let (folder, sluice, ended) = failing("", &["good", "trap", "good"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let kept = folder::kept(&folder.path().join(".sluice/test/everyone"))?;
    ensure!(!kept.is_empty() && kept.len() <= 2, "{kept:?}");
    let capture = folder::read(&kept[kept.len() - 1].path)?;
    let real = capture.calls[0].real.clone().context("it is masked")?;
    ensure!(
        !real.alike && real.ended.contains("`deliver` trapped"),
        "{real:?}"
    );
    let listed = sluice.call(&["capture", EXPORT, "--list"]).await?;
    ensure!(listed.stdout.contains(" no "), "{listed:?}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_capture_is_refused_without_quoting_it() -> Result<()> {
    let world = one_change().await?;
    let path = world.path("bad.ndjson");
    for (text, says) in [
        ("", "line 1 is cut off"),
        ("Quokka", "line 1 is no JSON"),
        (
            r#"{"sluice_capture":"Quokka"}"#,
            "line 1 is JSON, but not what belongs there",
        ),
        (
            r#"{"sluice_capture":99,"Quokka":1}"#,
            "capture of format 99",
        ),
    ] {
        std::fs::write(&path, text)?;
        let ended = replay(&world.sluice, &path, "plugin.wasm", &[]).await?;
        ensure!(
            ended.code == Some(3) && ended.stderr.contains(says),
            "{ended:?}"
        );
        ensure!(!ended.stderr.contains("Quokka"), "{ended:?}");
    }
    Ok(())
}
