//! A plugin that traps, loops, eats memory, recurses or asks for what it was not granted: the row
//! that makes it do so is set apart with its reason, and the others go on.

use std::fmt::Write;

use anyhow::{Result, ensure};
use retention_science_simulator::{Config, Simulator};
use sluice::store::{Counts, QuarantineFilter, Store};

use crate::process::{KEY_VARIABLE, Sluice, component};
use crate::world::KEY;

/// What each deed is answered with.
const CRASHES: [(&str, &str); 4] = [
    ("trap", "unreachable"),
    ("loop", "its limit `cpu_ms` = 1000"),
    ("memory", "its limit `memory_mib` = 16"),
    // A Rust guest runs off its own stack, which lies below its data.
    ("recursion", "out of bounds memory access"),
];

/// What the gate says to a request that was not granted.
const REQUESTS: [(&str, &str); 4] = [
    ("path", "no route of the manifest allows this POST request"),
    ("climb", "the path must begin with"),
    ("host", "the path must begin with"),
    ("credential", "header `authorization` is set by the host"),
];

struct Probed {
    ended: crate::process::Ended,
    reasons: Vec<String>,
    counts: Counts,
    requests: usize,
}

/// Runs the probe over rows with these texts in their one mapped field.
async fn run(members: &[&str], changes: &[&str]) -> Result<Probed> {
    let folder = tempfile::tempdir()?;
    let account = Simulator::start(Config {
        api_key: KEY.to_owned(),
        ..Config::default()
    })
    .await?;
    let plugin = component().with_file_name("sluice_probe.wasm");
    let config = format!(
        "[authorizations.main]\nlabel = \"Probe\"\nplugin = {plugin:?}\nendpoint = {:?}\n\
         allow_http = true\nallow_addresses = [\"127.0.0.0/8\"]\nsecrets = {{ api-key = {{ env = \"{KEY_VARIABLE}\" }} }}\n\
         [exports.probe]\nauthorization = \"main\"\nlabel = \"Probe\"\naudience = \"probe\"\n\
         user_id_field = \"id\"\nmembers = {{ file = \"members.ndjson\" }}\n\
         changes = {{ file = \"changes.ndjson\" }}\nfields = {{ what = \"what\" }}\n\
         tuning = {{ lanes = 1 }}\nlimits = {{ cpu_ms = 1000, memory_mib = 16 }}\n",
        account.url()
    );
    std::fs::write(folder.path().join("test.toml"), config)?;
    let mut lines = String::new();
    for (id, what) in members.iter().enumerate() {
        writeln!(lines, "{{\"id\":{id},\"what\":\"{what}\"}}")?;
    }
    std::fs::write(folder.path().join("members.ndjson"), &lines)?;
    lines.clear();
    for (id, what) in changes.iter().enumerate() {
        writeln!(
            lines,
            "{{\"change\":\"update\",\"user\":{{\"id\":{id},\"what\":\"{what}\"}}}}"
        )?;
    }
    std::fs::write(folder.path().join("changes.ndjson"), &lines)?;
    let ended = Sluice::new(folder.path(), KEY)
        .call(&["run", "--until-idle"])
        .await?;
    let store = Store::open_read_only(&folder.path().join(".sluice/test/probe"))?;
    let reasons = store
        .quarantine(&QuarantineFilter::default(), None)?
        .into_iter()
        .map(|row| row.reason)
        .collect();
    let counts = store.ledger()?.counts;
    ensure!(counts.add_up(), "{counts:?}");
    Ok(Probed {
        ended,
        reasons,
        counts,
        requests: account.requests().len(),
    })
}

#[tokio::test]
async fn a_row_of_the_backfill_on_which_the_plugin_fails_is_set_apart_and_the_rest_goes_on()
-> Result<()> {
    let good = "good";
    for (deed, says) in CRASHES {
        let probed = run(
            &[good, good, good, deed, good, good, good, good, good, good],
            &[],
        )
        .await?;
        ensure!(probed.ended.code == Some(7), "{deed}: {:?}", probed.ended);
        ensure!(
            probed.counts.backfill.delivered == 9,
            "{deed}: {:?}",
            probed.counts
        );
        ensure!(probed.reasons.len() == 1, "{deed}: {:?}", probed.reasons);
        ensure!(
            probed.reasons[0].contains(says),
            "{deed}: {:?}",
            probed.reasons
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_change_on_which_the_plugin_fails_is_set_apart_and_the_rest_goes_on() -> Result<()> {
    let changes = [
        "good",
        "trap",
        "good",
        "loop",
        "memory",
        "good",
        "recursion",
        "good",
    ];
    let probed = run(&["good"], &changes).await?;
    ensure!(probed.ended.code == Some(7), "{:?}", probed.ended);
    ensure!(probed.counts.live.delivered == 4, "{:?}", probed.counts);
    for (deed, says) in CRASHES {
        ensure!(
            probed.reasons.iter().any(|reason| reason.contains(says)),
            "{deed}: {:?}",
            probed.reasons
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_first_row_on_which_the_plugin_fails_leaves_the_header_in_its_place() -> Result<()> {
    let probed = run(&["trap", "trap", "good", "good"], &[]).await?;
    ensure!(
        probed.counts.backfill.delivered == 2,
        "{:?} {:?}",
        probed.counts,
        probed.ended
    );
    ensure!(
        probed.counts.backfill.quarantined == 2,
        "{:?}",
        probed.counts
    );
    Ok(())
}

#[tokio::test]
async fn a_request_that_was_not_granted_is_denied_and_never_sent() -> Result<()> {
    let changes: Vec<_> = REQUESTS.iter().map(|(deed, _)| *deed).collect();
    let probed = run(&[], &changes).await?;
    for (deed, says) in REQUESTS {
        let denied = |reason: &String| reason.starts_with("denied: ") && reason.contains(says);
        ensure!(
            probed.reasons.iter().any(denied),
            "{deed}: {:?}",
            probed.reasons
        );
    }
    ensure!(
        probed.requests == 0,
        "{} requests got through",
        probed.requests
    );
    Ok(())
}
