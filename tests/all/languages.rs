//! Destinations in Python and JavaScript: the same webhook as the Rust one in `examples/plugins/`, in the
//! real program, killed in between. Where their toolchains are not installed, that is said and not
//! passed over.

#[path = "languages/receiver.rs"]
mod receiver;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice::conformance::{Author, examine};
use sluice::plugin::{Engine, Limits, LoadLimits};
use sluice::store::{QuarantineFilter, Store};
use tokio::sync::Mutex;

use crate::process::{KEY_VARIABLE, Sluice, component};
use crate::world::{KEY, append};

use receiver::Receiver;

/// Members beside those that are special.
const MEMBERS: u64 = 300;

/// Changes of them; each carries its number as `credits`.
const CHANGES: u64 = 120;

/// One at a time: each compiles a whole interpreter, and nobody waits for ever for that.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_python_destination_loses_nothing() -> Result<()> {
    lives_through_kills("python").await
}

#[tokio::test]
async fn a_javascript_destination_loses_nothing() -> Result<()> {
    lives_through_kills("javascript").await
}

#[tokio::test]
async fn a_plugin_in_python_keeps_every_rule() -> Result<()> {
    keeps_every_rule("python").await
}

#[tokio::test]
async fn a_plugin_in_javascript_keeps_every_rule() -> Result<()> {
    keeps_every_rule("javascript").await
}

/// The examples are held to what authors are held to.
async fn keeps_every_rule(language: &str) -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(plugin) = built(language)? else {
        return Ok(());
    };
    let engine = Engine::new();
    let load = LoadLimits {
        compile: std::time::Duration::from_secs(900),
        ..LoadLimits::default()
    };
    // Kept, so that it is compiled once, and with patience.
    let _plugin = engine.load(&plugin, &Limits::default(), &load).await?;
    let report = examine(&engine, &plugin, &Author::default(), 1).await?;
    let broken: Vec<_> = report.broken().collect();
    ensure!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

/// An engine's own `fetch` goes through the gate: what was granted arrives with the credential, however
/// many at once; what was not is denied, also behind a body of megabytes.
#[tokio::test]
async fn fetch_in_javascript_goes_through_the_gate() -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(webhook) = built("javascript")? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), KEY);
    let receiver = Receiver::start().await?;
    let path = |name: &str| folder.path().join(name);
    let plugin = webhook.with_file_name("javascript_fetch.wasm");
    let live =
        tenant(&receiver.url(), &plugin).replace("members = { file = \"members.ndjson\" }\n", "");
    std::fs::write(path("test.toml"), live)?;
    let endpoint = receiver.url();
    let asked = [
        (
            "GET|https://destination/members|0|1".to_owned(),
            "1 times, answered 200: {}",
        ),
        (
            format!("GET|{endpoint}/members|0|1"),
            "1 times, answered 200: {}",
        ),
        (
            "POST|https://destination/members|1000|200".to_owned(),
            r#"200 times, answered 200: {"rejected":[]}"#,
        ),
        (
            "POST|https://destination/admin|3000000|1".to_owned(),
            "no answer: TypeError",
        ),
        (
            "POST|https://evil.test/members|3000000|1".to_owned(),
            "no answer: TypeError",
        ),
        (
            "POST|http://169.254.169.254/latest|10|1".to_owned(),
            "no answer: TypeError",
        ),
    ];
    let change = |(n, (what, _)): (usize, &(String, &str))| {
        json!({"change": "update", "user": {"user_id": n, "external": what}}).to_string()
    };
    let changes: Vec<_> = asked.iter().enumerate().map(change).collect();
    append(&path("changes.ndjson"), &changes)?;
    let ended = sluice.call(&["run", "--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let store = Store::open_read_only(&path(".sluice/test/everyone"))?;
    let rows = store.quarantine(&QuarantineFilter::default(), None)?;
    let mut found: Vec<_> = rows.iter().map(|row| row.reason.as_str()).collect();
    let mut expected = asked.each_ref().map(|(_, says)| *says);
    found.sort_unstable();
    expected.sort_unstable();
    ensure!(found == expected, "{found:#?}\n{ended:?}");
    Ok(())
}

/// What interpreters need of memory, stack and CPU fits into the defaults.
#[tokio::test]
async fn the_limits_have_room_for_an_interpreter() -> Result<()> {
    let _turn = TURN.lock().await;
    for language in ["python", "javascript"] {
        let Some(plugin) = built(language)? else {
            continue;
        };
        let folder = tempfile::tempdir()?;
        let sluice = Sluice::new(folder.path(), KEY);
        let receiver = Receiver::start().await?;
        std::fs::write(
            folder.path().join("test.toml"),
            tenant(&receiver.url(), &plugin),
        )?;
        // The largest batches that the manifest asks for, of wide rows.
        let wide = |n: u64| json!({"user_id": n, "external": n, "name": "é".repeat(1_000)});
        let members: Vec<_> = (0..2_500).map(|n| wide(n).to_string()).collect();
        append(&folder.path().join("members.ndjson"), &members)?;
        let ended = sluice.call(&["run", "--until-idle"]).await?;
        ensure!(ended.code == Some(0), "{language}: {ended:?}");
        ensure!(receiver.state().members.len() == 2_500, "{language}");
        let status = sluice.status().await?;
        let peak = &status["usage"][0]["peak_memory_bytes"];
        let peak = peak
            .as_u64()
            .with_context(|| format!("no peak: {status:#}"))?;
        println!("{language}: {} MiB of memory", peak >> 20);
    }
    Ok(())
}

async fn lives_through_kills(language: &str) -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(plugin) = built(language)? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), KEY);
    let receiver = Receiver::start().await?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("test.toml"), tenant(&receiver.url(), &plugin))?;

    let member =
        |n: u64| json!({"user_id": n, "external": n, "name": format!("member {n}"), "credits": 0});
    let mut members: Vec<_> = (0..MEMBERS).map(|n| member(n).to_string()).collect();
    members.push(AWKWARD.to_owned());
    members.push(json!({"user_id": "nobody", "external": "  ", "name": "no key"}).to_string());
    append(&path("members.ndjson"), &members)?;

    // Killed when the file has arrived, and nobody has heard so.
    receiver.state().silent_at = Some("POST /v1/imports");
    let mut running = sluice.start(&["run"])?;
    running
        .until("the import", receiver.until_silent(1))
        .await?;
    running.kill().await?;
    ensure!(receiver.state().imports.len() == 1, "one import");

    let change = |number: u64| {
        let (n, kind) = (
            number * 7 % MEMBERS,
            ["enter", "update", "exit"][number as usize % 3],
        );
        let user = json!({"user_id": n, "external": n, "credits": number + 1});
        json!({"change": kind, "user": user}).to_string()
    };
    let (first, rest) = (CHANGES / 2, CHANGES);
    let changes: Vec<_> = (0..first).map(change).collect();
    append(&path("changes.ndjson"), &changes)?;

    // Killed when changes have arrived, and nobody has heard so.
    receiver.state().silent_at = Some("POST /v1/members");
    let mut running = sluice.start(&["run"])?;
    running.until("changes", receiver.until_silent(2)).await?;
    let printed = format!(
        "INFO the receiver took file 1 with {} rows export=test/everyone",
        MEMBERS + 1
    );
    ensure!(running.said().contains(&printed), "{}", running.said());
    running.kill().await?;

    // A destination in a bad mood, and two members that it does not want.
    receiver.state().moods = vec![503, 429, 500];
    let mut changes: Vec<_> = (first..rest).map(change).collect();
    for (n, name) in [(3, "poison"), (5, "unwanted")] {
        let user = json!({"user_id": n, "external": n, "name": name, "credits": CHANGES + n});
        changes.push(json!({"change": "update", "user": user}).to_string());
    }
    append(&path("changes.ndjson"), &changes)?;
    let ended = sluice.call(&["run", "--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let status = sluice.status().await?;
    ensure!(
        status["adds_up"] == true && status["phase"] == "live",
        "{status:#}"
    );
    ensure!(status["live"]["pending"] == 0, "{status:#}");
    let store = Store::open_read_only(&path(".sluice/test/everyone"))?;
    let mut reasons: Vec<_> = store
        .quarantine(&QuarantineFilter::default(), None)?
        .into_iter()
        .map(|row| (row.field.unwrap_or_default(), row.reason))
        .collect();
    reasons.sort();
    let expected = [
        ("", "the receiver answered 422"),
        ("", "the receiver rejected it"),
        ("id", "`id` is empty"),
    ];
    ensure!(
        reasons
            .iter()
            .map(|(field, reason)| (&**field, &**reason))
            .eq(expected),
        "{reasons:?}"
    );
    proved(&receiver)
}

/// The account holds the newest of each member, nothing older came after it, and the awkward one came
/// as it was written.
fn proved(receiver: &Receiver) -> Result<()> {
    let state = receiver.state();
    let mut newest: HashMap<String, u64> = (0..MEMBERS).map(|n| (n.to_string(), 0)).collect();
    for number in 0..CHANGES {
        newest.insert((number * 7 % MEMBERS).to_string(), number + 1);
    }
    for (id, credits) in &newest {
        let found = state.members.get(id).map(|member| &member["credits"]);
        ensure!(
            found == Some(&Value::from(*credits)),
            "{id}: {found:?}, not {credits}"
        );
    }
    ensure!(
        state.members.len() as u64 == MEMBERS + 1,
        "{}",
        state.members.len()
    );
    let mut last: HashMap<&str, u64> = HashMap::new();
    for (id, credits) in &state.changed {
        let before = last.insert(id, *credits).unwrap_or(0);
        ensure!(before <= *credits, "{id}: {credits} after {before}");
    }
    for import in &state.imports {
        ensure!(import.len() as u64 == MEMBERS + 1, "{} lines", import.len());
        ensure!(import.iter().any(|line| line == AS_WRITTEN), "{import:#?}");
    }
    Ok(())
}

/// A member of everything that goes wrong on the way through languages. A byte order mark at the
/// beginning of a text is a part of it.
const AWKWARD: &str = r#"{"user_id":"x","external":"\ufeffx\"\\,ö","name":"\ufeffZo\u00eb \ud83d\ude80\r\n\u0001\t/","credits":123456789012345678901234567890,"ratio":1.10e5,"tags":["a",{"b":null,"c":"é"}],"gone":null,"yes":true}"#;

/// The same as a line of the file.
const AS_WRITTEN: &str = concat!(
    r#"{"id":""#,
    "\u{feff}",
    r#"x\"\\,ö","name":""#,
    "\u{feff}",
    r#"Zoë 🚀\r\n\u0001\t/","credits":123456789012345678901234567890,"ratio":1.10e5,"tags":["a",{"b":null,"c":"é"}],"gone":null,"yes":true}"#,
);

/// The tenant's file. How long it takes to compile is the machine's, which tests keep busy.
fn tenant(endpoint: &str, plugin: &std::path::Path) -> String {
    format!(
        "[authorizations.main]\nlabel = \"Main\"\nplugin = {plugin:?}\n\
         limits = {{ compile_seconds = 900 }}\n\
         endpoint = \"{endpoint}\"\nallow_http = true\nallow_addresses = [\"127.0.0.0/8\"]\n\
         secrets = {{ token = {{ env = \"{KEY_VARIABLE}\" }} }}\n\n\
         [exports.everyone]\nauthorization = \"main\"\nlabel = \"Everyone\"\n\
         audience = \"everyone\"\nuser_id_field = \"user_id\"\n\
         members = {{ file = \"members.ndjson\" }}\nchanges = {{ file = \"changes.ndjson\" }}\n\
         fields = {{ external = \"id\", name = \"name\", credits = \"credits\", ratio = \"ratio\", \
         tags = \"tags\", gone = \"gone\", yes = \"yes\" }}\n"
    )
}

/// The component of a language, if it was built. If not, that is said where it is seen: past what
/// the test harness keeps to itself of tests that pass.
fn built(language: &str) -> Result<Option<PathBuf>> {
    let examples = component().with_file_name("examples");
    let file = examples.join(format!("{language}_webhook.wasm"));
    if file.exists() {
        return Ok(Some(file));
    }
    // In one piece, since others write there, too.
    let skipped = format!(
        "\nSKIPPED: the {language} plugin is not built, so nothing is tested of it; \
         `cargo xtask setup --all-languages` installs what that needs\n"
    );
    std::io::stderr().write_all(skipped.as_bytes())?;
    Ok(None)
}
