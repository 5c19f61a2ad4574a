//! `sluice plugin test`: our own plugins pass, and for every rule there is a plugin that is caught by it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice::conformance::{Author, Report, Rule, examine};
use sluice::plugin::{Engine, Limits, LoadLimits, Plugin};

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
    ensure!(ended.code == Some(11), "{ended:?}");
    for says in [
        "FAILED   deliver-throttled\n",
        "\ndeliver-throttled\n  expected  429 is throttled with the Retry-After",
        "\n  seen      with `Retry-After: 7` retry-after-ms is None\n",
        "\n  mend      read `retry-after`",
        "\n43 of 44 rules hold, 1 broken, 0 skipped\n",
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
    ensure!(code == Some(11) && broken.len() == 1, "{broken:#?}");
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
const ALSO: [(Rule, &[Rule]); 5] = [
    (Rule::ManifestRoutes, &[Rule::OpenAccepts]),
    (
        Rule::StageSame,
        &[Rule::StageHeader, Rule::StageChunks, Rule::StageKind],
    ),
    (Rule::TokenBounded, &[Rule::Survives]),
    (Rule::PollFresh, &[Rule::PollDecides]),
    (
        Rule::DeliverTransient,
        &[Rule::DeliverOdd, Rule::DeliverPartial],
    ),
];

/// Further ways to break a rule, each behind a `/`, and each in a part of it that would else go unseen.
const FACETS: [(Rule, &[&str]); 6] = [
    (Rule::OpenOptions, &["fatal"]),
    (Rule::PollToken, &["waits"]),
    (Rule::DeliverFrames, &["mark"]),
    (Rule::DeliverOdd, &["too-large"]),
    (Rule::DeliverPartial, &["passing"]),
    (
        Rule::Secrecy,
        &["check", "submit", "poll", "report", "why", "key"],
    ),
];

/// Kinds of destinations that only the author's file can tell from a broken plugin, or that are told by
/// themselves: what the file says, and what is broken without it.
const KINDS: [(&str, &str, &[Rule]); 10] = [
    ("tabs", "", &[]),
    ("plain-tabs", "", &[]),
    ("semicolons", "", &[]),
    ("carets", "[stage]\ndelimiter = \"^\"\n", &[]),
    ("forms", "", &[]),
    ("busy", "", &[]),
    (
        "no-import",
        "without = [\"import\"]\n",
        &[Rule::OpenAccepts],
    ),
    (
        "ignores-exits",
        "exits = \"ignored\"\n",
        &[Rule::DeliverExits],
    ),
    (
        "asks-first",
        "[[answers.delivered]]\nmethod = \"GET\"\npath = \"/check\"\nbody = '{\"list\": 7}'\n\
         [[answers.delivered]]\nbody = '{}'\n",
        &[Rule::DeliverAccepts, Rule::DeliverExits],
    ),
    (
        "open-to-all",
        "without = [\"authentication\"]\n",
        &[
            Rule::CheckDecides,
            Rule::SubmitDecides,
            Rule::PollDecides,
            Rule::DeliverUnauthorized,
        ],
    ),
];

/// The guest whose fault is none, but that its manifest allows one row at a time.
const ONE_BY_ONE: &str = "one_by_one.wasm";

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

async fn examined(engine: &Engine, file: &Path, options: &str, author: &str) -> Result<Report> {
    let author = Author::parse(author)?.with_options(options)?;
    Ok(examine(engine, file, &author, 1).await?)
}

async fn broken_by(engine: &Engine, file: &Path, options: &str) -> Result<BTreeSet<Rule>> {
    let report = examined(engine, file, options, "").await?;
    Ok(report.broken().map(|(rule, _)| rule).collect())
}

/// The guest whose fault is an option, and an engine that keeps its code.
async fn by_option() -> Result<(Engine, PathBuf, Plugin)> {
    let engine = Engine::new();
    let (file, _) = guest(Rule::Survives);
    let (limits, load) = (Limits::default(), LoadLimits::default());
    let plugin = engine.load(&file, &limits, &load).await?;
    Ok((engine, file, plugin))
}

#[tokio::test]
async fn for_every_rule_a_bad_plugin_is_caught_by_it() -> Result<()> {
    let (engine, by_option, _plugin) = by_option().await?;
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

#[tokio::test]
async fn each_part_of_a_rule_catches_the_plugin_that_breaks_it_there() -> Result<()> {
    let (engine, file, _plugin) = by_option().await?;
    let mut wrong = vec![];
    for (rule, facets) in FACETS {
        for facet in facets {
            let how = format!("{}/{facet}", rule.name());
            let options = serde_json::json!({ "how": how }).to_string();
            let broken = broken_by(&engine, &file, &options).await?;
            if broken != BTreeSet::from([rule]) {
                wrong.push(format!("{how}: {broken:?}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// What the contract leaves to a destination is no fault of its plugin.
#[tokio::test]
async fn every_kind_of_destination_passes_if_its_author_says_what_it_is() -> Result<()> {
    let (engine, file, _plugin) = by_option().await?;
    let mut wrong = vec![];
    for (kind, author, unsaid) in KINDS {
        let options = serde_json::json!({ "kind": kind }).to_string();
        let report = examined(&engine, &file, &options, author).await?;
        let broken: Vec<_> = report.broken().collect();
        if !broken.is_empty() {
            wrong.push(format!("{kind}: {broken:#?}"));
        }
        // Only what there is not is passed over.
        let skipped = report.skipped().map(|(rule, _)| rule.name());
        let parts: &[&str] = match kind {
            "no-import" => &["stage-", "submit-", "token-", "poll-"],
            "open-to-all" => &["deliver-unauthorized"],
            _ => &[],
        };
        for rule in skipped.filter(|rule| !parts.iter().any(|part| rule.starts_with(part))) {
            wrong.push(format!("{kind}: {rule} is skipped"));
        }
        if unsaid.is_empty() {
            continue;
        }
        let broken = broken_by(&engine, &file, &options).await?;
        if broken != unsaid.iter().copied().collect() {
            wrong.push(format!("{kind}, unsaid: {broken:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whatever the form is: a plugin that joins texts is caught, and so is one that does not do without what
/// its author says that there is not.
#[tokio::test]
async fn a_fault_is_found_in_every_kind_of_destination() -> Result<()> {
    let (engine, file, _plugin) = by_option().await?;
    let carets = "[stage]\ndelimiter = \"^\"\n";
    for (kind, how, author, rule) in [
        ("tabs", "stage-frames", "", Rule::StageFrames),
        ("plain-tabs", "stage-frames", "", Rule::StageFrames),
        ("semicolons", "stage-frames", "", Rule::StageFrames),
        ("carets", "stage-frames", carets, Rule::StageFrames),
        ("forms", "deliver-frames", "", Rule::DeliverFrames),
        ("", "", "without = [\"import\"]\n", Rule::SubmitSends),
        ("", "deliver-exits", "", Rule::DeliverExits),
    ] {
        let options = serde_json::json!({ "kind": kind, "how": how }).to_string();
        let report = examined(&engine, &file, &options, author).await?;
        let broken: Vec<_> = report.broken().map(|(rule, _)| rule).collect();
        ensure!(broken == [rule], "{kind} {how}: {broken:?}");
    }
    Ok(())
}

/// The suite keeps to the manifest, as the host does.
#[tokio::test]
async fn no_batch_is_larger_than_the_plugin_takes() -> Result<()> {
    let file = component().with_file_name("bad").join(ONE_BY_ONE);
    let options = serde_json::json!({ "kind": "one-by-one" }).to_string();
    let report = examined(&Engine::new(), &file, &options, "").await?;
    let broken: Vec<_> = report.broken().collect();
    ensure!(broken.is_empty(), "{broken:#?}");
    let skipped: Vec<_> = report.skipped().map(|(rule, _)| rule).collect();
    ensure!(skipped == [Rule::StageChunks], "{skipped:?}");
    Ok(())
}

/// A guest that no rule asks for proves nothing.
#[test]
fn every_bad_guest_has_its_rule() -> Result<()> {
    let mut asked = BTreeSet::from([PathBuf::from(ONE_BY_ONE).with_extension("rs")]);
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
