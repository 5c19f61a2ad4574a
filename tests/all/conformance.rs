//! `sluice plugin test`: our own plugins pass, and for every rule there is a plugin that is caught by it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice::conformance::{Author, Rule, examine};
use sluice::plugin::{Engine, Limits, LoadLimits};

use crate::process::{Sluice, component};

/// What the program says of a component that it is asked to test.
async fn tested(file: &str, more: &[&str]) -> Result<(Option<i32>, Value)> {
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), "");
    let file = component().with_file_name(file);
    let path = file.to_str().context("a path in UTF-8")?;
    let args = [&["plugin", "test", path, "--json"], more].concat();
    let ended = sluice.call(&args).await?;
    let report = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    Ok((ended.code, report))
}

/// The rules with this outcome, with what was seen.
fn rules(report: &Value, outcome: &str) -> Vec<String> {
    let rules = report["rules"].as_array().into_iter().flatten();
    rules
        .filter(|rule| rule["outcome"] == outcome)
        .map(|rule| format!("{}: {}", rule["rule"], rule["seen"]))
        .collect()
}

#[tokio::test]
async fn our_own_exporters_keep_every_rule() -> Result<()> {
    for (file, skipped) in [("webhook.wasm", 0), ("retention_science.wasm", 0)] {
        for seed in ["1", "2"] {
            let (code, report) = tested(file, &["--seed", seed]).await?;
            let broken = rules(&report, "failed");
            ensure!(broken.is_empty(), "{file}: {broken:#?}");
            ensure!(code == Some(0) && report["passed"] == true, "{report:#}");
            let passed_over = rules(&report, "skipped");
            ensure!(passed_over.len() <= skipped, "{file}: {passed_over:#?}");
        }
    }
    Ok(())
}

/// What is broken is told in a way that one can act on.
#[tokio::test]
async fn what_is_broken_is_told_with_what_was_seen_and_how_to_mend_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), "");
    let (file, options) = guest(Rule::DeliverThrottled);
    let path = file.to_str().context("a path in UTF-8")?;
    let test = ["plugin", "test", path, "--options", &options];
    let ended = sluice.call(&test).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for says in [
        "FAILED   deliver-throttled\n",
        "\ndeliver-throttled\n  expected  429 is throttled with the Retry-After",
        "\n  seen      with `Retry-After: 7` retry-after-ms is None\n",
        "\n  mend      read `retry-after`",
        "\n40 of 41 rules hold, 1 broken, 0 skipped\n",
    ] {
        ensure!(ended.stdout.contains(says), "not said: {says}\n{ended:?}");
    }
    for (args, code, says) in [
        (
            &["--options", "[]"][..],
            2,
            "--options: expected a JSON object",
        ),
        (&["--config", "mine.toml"], 2, "unknown field `option`"),
        (&["--config", "none.toml"], 1, "cannot read none.toml"),
    ] {
        std::fs::write(folder.path().join("mine.toml"), "[option]\n")?;
        let ended = sluice
            .call(&[&["plugin", "test", path], args].concat())
            .await?;
        ensure!(ended.code == Some(code), "{ended:?}");
        ensure!(ended.stderr.contains(says), "{ended:?}");
    }
    let ended = sluice.call(&["plugin", "test", "mine.toml"]).await?;
    ensure!(ended.code == Some(4), "{ended:?}");
    Ok(())
}

/// What the author says is what is used.
#[tokio::test]
async fn the_author_says_what_is_mapped_and_what_the_destination_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("conformance.toml");
    let path = config.to_str().context("a path in UTF-8")?;
    let text =
        "[options]\nmembers_path = \"/people\"\n[fields]\nid = \"{n}\"\nage = 36\nname = \"Ada\"\n";
    std::fs::write(&config, text)?;
    let (code, report) = tested("webhook.wasm", &["--config", path]).await?;
    ensure!(code == Some(0), "{report:#}");
    ensure!(
        report["mapping"] == serde_json::json!(["id", "age", "name"]),
        "{report:#}"
    );
    ensure!(
        report["options"] == r#"{"members_path":"/people"}"#,
        "{report:#}"
    );
    // A destination that speaks otherwise: no job can be read out of what it says.
    std::fs::write(&config, "[answers.submitted]\nbody = '{\"job\": 17}'\n")?;
    let (code, report) = tested("webhook.wasm", &["--config", path]).await?;
    let broken = rules(&report, "failed");
    ensure!(code == Some(1) && broken.len() == 1, "{broken:#?}");
    ensure!(
        broken[0].starts_with("\"submit-sends-file\""),
        "{broken:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_new_plugin_is_never_written_over_anything() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), "");
    let mine = folder.path().join("mine/acme-crm");
    std::fs::create_dir_all(&mine)?;
    for (args, code) in [
        (&["acme-crm", "--dir", "mine"][..], Some(2)),
        (&["Acme CRM"], Some(2)),
        (&["acme-crm", "--dir", "none"], Some(1)),
        (&["acme-crm"], Some(0)),
        (&["acme-crm"], Some(2)),
    ] {
        let ended = sluice.call(&[&["plugin", "new"], args].concat()).await?;
        ensure!(ended.code == code, "{args:?}: {ended:?}");
    }
    ensure!(
        std::fs::read_dir(&mine)?.next().is_none(),
        "something was written"
    );
    ensure!(folder.path().join("acme-crm/src/lib.rs").exists());
    Ok(())
}

/// What else a fault breaks beside its own rule, because it cannot be done without.
const ALSO: [(Rule, &[Rule]); 4] = [
    (Rule::ManifestRoutes, &[Rule::OpenAccepts]),
    (
        Rule::StageSame,
        &[Rule::StageHeader, Rule::StageChunks, Rule::StageKind],
    ),
    (Rule::TokenBounded, &[Rule::Survives]),
    (Rule::PollFresh, &[Rule::PollDecides]),
];

/// The guest that breaks a rule, and the options that ask it to.
fn guest(rule: Rule) -> (PathBuf, String) {
    let folder = component().with_file_name("bad");
    let name = rule.name();
    match name.starts_with("manifest-") {
        true => (
            folder.join(format!("{}.wasm", name.replace('-', "_"))),
            "{}".to_owned(),
        ),
        false => (
            folder.join("by_option.wasm"),
            serde_json::json!({ "how": name }).to_string(),
        ),
    }
}

async fn broken_by(engine: &Engine, file: &Path, options: &str) -> Result<BTreeSet<Rule>> {
    let author = Author::default().with_options(options)?;
    let report = examine(engine, file, &author, 1).await?;
    Ok(report.broken().map(|(rule, _)| rule).collect())
}

#[tokio::test]
async fn for_every_rule_a_bad_plugin_is_caught_by_it() -> Result<()> {
    let engine = Engine::new();
    let (by_option, _) = guest(Rule::Survives);
    let (limits, load) = (Limits::default(), LoadLimits::default());
    // Kept, so that it is compiled once.
    let _plugin = engine.load(&by_option, &limits, &load).await?;
    let none = broken_by(&engine, &by_option, "{}").await?;
    ensure!(none.is_empty(), "it is good unless it is asked: {none:?}");
    let mut wrong = vec![];
    for rule in Rule::ALL {
        let (file, options) = guest(rule);
        let broken = broken_by(&engine, &file, &options).await?;
        let also = ALSO.iter().find(|(of, _)| *of == rule);
        let mut wanted: BTreeSet<_> = also.into_iter().flat_map(|(_, all)| all.iter()).collect();
        wanted.insert(&rule);
        if broken.iter().collect::<BTreeSet<_>>() != wanted {
            wrong.push(format!("{rule:?}: {broken:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// A guest that no rule asks for proves nothing.
#[test]
fn every_bad_guest_has_its_rule() -> Result<()> {
    let mut asked = BTreeSet::new();
    for rule in Rule::ALL {
        asked.insert(guest(rule).0.with_extension("rs"));
    }
    let asked: BTreeSet<_> = asked.iter().filter_map(|path| path.file_name()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/bad/guests");
    let guests: BTreeSet<_> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    let guests: BTreeSet<_> = guests.iter().map(|name| name.as_os_str()).collect();
    ensure!(asked == guests, "asked for {asked:?}\nthere are {guests:?}");
    Ok(())
}
