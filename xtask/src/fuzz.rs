//! `cargo xtask fuzz`: throws made-up inputs at what reads the words of strangers, and keeps every
//! input that breaks a promise as a seed, which is tested from then on.
//!
//! The targets run without a sanitizer: the code that they reach is safe Rust, and so the toolchain
//! that builds everything else builds them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};

use crate::run::cargo;
use crate::setup::output;
use crate::{root, say, target};

/// One input is done in well under a millisecond; one that takes ten seconds keeps a host busy.
const SLOW_SECONDS: u32 = 10;

/// Longer ones find nothing that these do not, and take longer.
const LONGEST_BYTES: u32 = 4096;

/// What became of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    target: String,
    runs: u64,
    edges: u64,
    inputs: u64,
    findings: Vec<PathBuf>,
}

/// Runs one target, or all, for so many minutes each; an error if anything was found.
pub fn run(only: Option<&str>, minutes: u64, at_once: usize) -> Result<()> {
    let all = targets(&root())?;
    if let Some(only) = only {
        ensure!(
            all.iter().any(|target| target == only),
            "there is no target {only}; there are: {}",
            all.join(", ")
        );
    }
    let chosen: Vec<String> = all
        .into_iter()
        .filter(|target| only.is_none_or(|only| only == target))
        .collect();
    let binaries = build()?;
    say(format_args!(
        "fuzzing {} for {minutes} minutes each, {at_once} at a time",
        chosen.join(", ")
    ));
    let waiting = Mutex::new(chosen.into_iter().rev().collect::<Vec<_>>());
    let work = || -> Result<Vec<Outcome>> {
        let mut done = vec![];
        let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
        while let Some(target) = next() {
            done.push(fuzz(&binaries, target, minutes)?);
        }
        Ok(done)
    };
    let mut outcomes = std::thread::scope(|scope| -> Result<Vec<Outcome>> {
        let workers: Vec<_> = (0..at_once.max(1)).map(|_| scope.spawn(work)).collect();
        let mut outcomes = vec![];
        for worker in workers {
            match worker.join() {
                Ok(done) => outcomes.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(outcomes)
    })?;
    outcomes.sort_by(|a, b| a.target.cmp(&b.target));
    println!("{}", table(&outcomes));
    let found: Vec<_> = outcomes.iter().flat_map(|one| &one.findings).collect();
    for seed in &found {
        println!("found: {}", seed.display());
    }
    if !found.is_empty() {
        bail!(
            "{} inputs break a promise. Each is a seed now: `cargo xtask test --lib \
             every_seed_keeps_every_promise` says which promise it was; give it a name when it is mended",
            found.len()
        );
    }
    Ok(())
}

/// The targets, by the files that define them.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("tests/fuzz/fuzz_targets");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let name = file?.file_name().into_string().unwrap_or_default();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    Ok(names.into_iter().collect())
}

/// Builds the targets; answers the folder with the programs.
fn build() -> Result<PathBuf> {
    install("cargo-fuzz", "fuzz")?;
    say("building the fuzz targets (the first time takes minutes)");
    let folder = target().join("fuzz");
    let status = cargo("fuzz")
        .args(["build", "--fuzz-dir", "tests/fuzz", "--sanitizer", "none"])
        .env("CARGO_TARGET_DIR", &folder)
        .status()
        .context("cannot start cargo fuzz")?;
    ensure!(
        status.success(),
        "the fuzz targets do not build; the messages are above. They need a C++ compiler"
    );
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    Ok(folder.join(host).join("release"))
}

/// Sees to it that a subcommand of cargo is there.
pub fn install(package: &str, command: &str) -> Result<()> {
    let there = Command::new("cargo")
        .args([command, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    say(format_args!(
        "{package} is not installed: installing it from the registry (takes minutes)"
    ));
    let status = cargo("install")
        .args([package, "--locked"])
        .status()
        .context("cannot start cargo install")?;
    ensure!(status.success(), "cannot install {package}");
    Ok(())
}

/// Runs one target until the time is over or something is found.
fn fuzz(binaries: &Path, target: String, minutes: u64) -> Result<Outcome> {
    let tests = root().join("tests/fuzz");
    let (corpus, seeds, artifacts) = (
        tests.join("corpus").join(&target),
        tests.join("seeds").join(&target),
        tests.join("artifacts").join(&target),
    );
    for folder in [&corpus, &seeds, &artifacts] {
        std::fs::create_dir_all(folder)?;
    }
    let before = artefacts(&artifacts)?;
    let mut fuzzer = Command::new(binaries.join(&target))
        .current_dir(&tests)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={}", minutes * 60))
        .arg(format!("-timeout={SLOW_SECONDS}"))
        .arg(format!("-max_len={LONGEST_BYTES}"))
        .args(["-print_final_stats=1", "-rss_limit_mb=1024"])
        .arg(&corpus)
        .arg(&seeds)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {target}"))?;
    let mut outcome = Outcome {
        target,
        ..Outcome::default()
    };
    let mut log = String::new();
    if let Some(lines) = fuzzer.stderr.take() {
        for line in BufReader::new(lines).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            read(&line, &mut outcome);
            log += &line;
            log.push('\n');
        }
    }
    let status = fuzzer.wait()?;
    for artefact in artefacts(&artifacts)?.difference(&before) {
        outcome.findings.push(keep(artefact, &seeds)?);
    }
    std::fs::write(artifacts.with_extension("log"), &log)?;
    ensure!(
        status.success() || !outcome.findings.is_empty(),
        "{} ended with {status} and left no input; its log is {}",
        outcome.target,
        artifacts.with_extension("log").display()
    );
    say(format_args!(
        "{}: {} runs, {} findings",
        outcome.target,
        outcome.runs,
        outcome.findings.len()
    ));
    Ok(outcome)
}

/// What a line of the fuzzer tells.
fn read(line: &str, outcome: &mut Outcome) {
    let number = |text: &str| text.trim().parse().ok();
    if let Some(runs) = line.strip_prefix("stat::number_of_executed_units:") {
        outcome.runs = number(runs).unwrap_or(outcome.runs);
    }
    let Some((runs, rest)) = line
        .strip_prefix('#')
        .and_then(|line| line.split_once('\t'))
    else {
        return;
    };
    outcome.runs = number(runs).unwrap_or(outcome.runs);
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "cov:" => {
                outcome.edges = words
                    .next()
                    .and_then(number)
                    .map_or(outcome.edges, |n: u64| n.max(outcome.edges));
            }
            "corp:" => {
                let inputs = words.next().and_then(|word| word.split('/').next());
                outcome.inputs = inputs.and_then(number).unwrap_or(outcome.inputs);
            }
            _ => {}
        }
    }
}

/// The inputs that the fuzzer left: all but those that were only slow.
fn artefacts(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kinds = ["crash-", "timeout-", "oom-"];
        if kinds.iter().any(|kind| name.starts_with(kind)) {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Copies an input to the seeds, under a name that is short enough to talk about.
fn keep(artefact: &Path, seeds: &Path) -> Result<PathBuf> {
    let name = artefact.file_name().unwrap_or_default().to_string_lossy();
    let (kind, hash) = name.split_once('-').unwrap_or(("crash", &name));
    let short: String = hash.chars().take(8).collect();
    let seed = seeds.join(format!("found-{kind}-{short}"));
    std::fs::copy(artefact, &seed)?;
    Ok(seed)
}

fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![format!(
        "{:<12} {:>12} {:>8} {:>8} {:>9}",
        "target", "runs", "edges", "inputs", "findings"
    )];
    lines.extend(outcomes.iter().map(|one| {
        format!(
            "{:<12} {:>12} {:>8} {:>8} {:>9}",
            one.target,
            one.runs,
            one.edges,
            one.inputs,
            one.findings.len()
        )
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzzer_tells_is_read() {
        let mut outcome = Outcome::default();
        for line in [
            "INFO: Running with entropic power schedule (0xFF, 100).",
            "#12\tINITED cov: 250 ft: 300 corp: 8/512b exec/s: 0 rss: 40Mb",
            "#4096\tpulse  cov: 311 ft: 900 corp: 31/2Kb lim: 40 exec/s: 2048 rss: 41Mb",
            "#5000\tDONE   cov: 311 ft: 900 corp: 31/2Kb lim: 40 exec/s: 2048 rss: 41Mb",
            "stat::number_of_executed_units: 5000",
            "stat::peak_rss_mb:              41",
        ] {
            read(line, &mut outcome);
        }
        assert_eq!(
            (outcome.runs, outcome.edges, outcome.inputs),
            (5000, 311, 31)
        );
    }

    #[test]
    fn every_target_is_in_the_table() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let names = targets(&root).unwrap();
        assert!(names.len() >= 6, "{names:?}");
        let outcomes: Vec<_> = names
            .iter()
            .map(|name| Outcome {
                target: name.clone(),
                ..Outcome::default()
            })
            .collect();
        let table = table(&outcomes);
        assert!(names.iter().all(|name| table.contains(name)), "{table}");
    }
}
