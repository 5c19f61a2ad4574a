//! `sluice plugin test`: whether a component keeps the contract.

use anyhow::Context;
use serde_json::json;
use sluice::conformance::{Amiss, Author, Report, examine};
use sluice::plugin::Tracks;

use super::args::TestArgs;
use super::exit::Exit;
use super::{engine, logs};

/// The same rows every time, so that a plugin that passes here passes elsewhere.
const SEED: u64 = 1;

pub async fn test(args: TestArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let author = match author(&args)? {
        Ok(author) => author,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Usage);
        }
    };
    let seed = args.seed.unwrap_or(SEED);
    let report = match examine(
        &engine::alone(&args.trust, Tracks::default()),
        &args.file,
        &author,
        seed,
    )
    .await
    {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Ok(Exit::Plugin);
        }
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&as_json(&report))?);
    } else {
        print(&report);
    }
    Ok(match report.broken().next() {
        None => Exit::Fine,
        Some(_) => Exit::Broken,
    })
}

/// What the author has said; the inner error is about that, the outer about reading it.
fn author(args: &TestArgs) -> anyhow::Result<Result<Author, sluice::conformance::AuthorError>> {
    let text = match &args.config {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
    };
    Ok(Author::parse(&text).and_then(|author| match &args.options {
        Some(options) => author.with_options(options),
        None => Ok(author),
    }))
}

fn print(report: &Report) {
    for (rule, outcome) in &report.outcomes {
        let (word, why) = match outcome {
            Ok(()) => ("ok", None),
            Err(Amiss::Broken(_)) => ("FAILED", None),
            Err(Amiss::Skipped(why)) => ("skipped", Some(why)),
        };
        match why {
            None => println!("{word:<8} {}", rule.name()),
            Some(why) => println!("{word:<8} {}: {why}", rule.name()),
        }
    }
    for (rule, seen) in report.broken() {
        println!("\n{}", rule.name());
        println!("  expected  {}", rule.expected());
        println!("  seen      {seen}");
        println!("  mend      {}", rule.remedy());
    }
    let (broken, skipped) = (report.broken().count(), report.skipped().count());
    println!(
        "\n{} of {} rules hold, {broken} broken, {skipped} skipped",
        report.outcomes.len() - broken - skipped,
        report.outcomes.len(),
    );
    println!(
        "mapped {}; options {}; {} calls, at most {} KiB of memory; seed {}",
        match report.mapping.is_empty() {
            true => "nothing".to_owned(),
            false => report.mapping.join(", "),
        },
        match report.options.is_empty() {
            true => "none",
            false => &report.options,
        },
        report.calls,
        report.peak_memory_bytes >> 10,
        report.seed
    );
}

fn as_json(report: &Report) -> serde_json::Value {
    let rules = report.outcomes.iter().map(|(rule, outcome)| {
        let (word, seen) = match outcome {
            Ok(()) => ("ok", None),
            Err(Amiss::Broken(seen)) => ("failed", Some(seen)),
            Err(Amiss::Skipped(why)) => ("skipped", Some(why)),
        };
        json!({
            "rule": rule.name(), "outcome": word, "seen": seen,
            "expected": rule.expected(), "mend": rule.remedy(),
        })
    });
    json!({
        "passed": report.broken().next().is_none(),
        "rules": rules.collect::<Vec<_>>(),
        "mapping": report.mapping,
        "options": report.options,
        "calls": report.calls,
        "peak_memory_bytes": report.peak_memory_bytes,
        "seed": report.seed,
    })
}
