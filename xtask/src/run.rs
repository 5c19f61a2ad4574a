//! Running what was built: the demo, the tests, the benchmarks.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::{languages, plugin, root, say, target};

/// One selection of packages for everything, so that cargo resolves features once and builds
/// nothing twice.
const EVERYTHING: [&str; 2] = ["--release", "--workspace"];

/// Builds everything and runs the demo.
pub fn demo(members: u64, changes: u64) -> Result<()> {
    let components = build()?;
    let mut demo = Command::new(target().join("release/sluice-demo"));
    demo.current_dir(root())
        .arg("--sluice")
        .arg(target().join("release/sluice"))
        .arg("--component")
        .arg(components.join("retention_science.wasm"))
        .args([
            "--members",
            &members.to_string(),
            "--changes",
            &changes.to_string(),
        ]);
    run(&mut demo, "the demo")
}

/// Builds everything and runs every test.
pub fn test(rest: &[String]) -> Result<()> {
    let components = build()?;
    say("testing");
    let mut test = cargo("test");
    test.args(EVERYTHING)
        // Whoever waits that long wants to hear of all that fail.
        .arg("--no-fail-fast")
        .args(rest)
        .env("SLUICE_COMPONENTS", components);
    run(&mut test, "a test")?;
    // Once more at the end, where it is read.
    languages::skipped();
    Ok(())
}

/// Builds everything and runs the soak, which is a test that nobody runs in passing.
pub fn soak(minutes: u64, seed: Option<u64>) -> Result<()> {
    // A second is shorter than any plan takes: so the seeds of two soaks never meet.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let components = build()?;
    say(format_args!("soaking for {minutes} minutes"));
    let mut test = cargo("test");
    test.args(EVERYTHING)
        .args(["--test", "all", "--"])
        .args(["--exact", "chaos::soak::soak", "--ignored", "--nocapture"])
        .env("SLUICE_COMPONENTS", components)
        .env("SLUICE_SOAK_MINUTES", minutes.to_string())
        .env("SLUICE_SEED", seed.unwrap_or(now).to_string());
    run(&mut test, "the soak")
}

/// Builds everything and runs the benchmarks.
pub fn bench() -> Result<()> {
    let components = build()?;
    let mut bench = Command::new(target().join("release/sluice-demo"));
    bench
        .current_dir(root())
        .arg("--sluice")
        .arg(target().join("release/sluice"))
        .arg("--component")
        .arg(components.join("retention_science.wasm"))
        .arg("--bench");
    run(&mut bench, "the benchmark")?;
    for what in ["limits", "languages"] {
        let mut bench = cargo("bench");
        bench
            .args(["--workspace", "--bench", what])
            .env("SLUICE_COMPONENTS", &components);
        run(&mut bench, &format!("the benchmark of {what}"))?;
    }
    Ok(())
}

fn build() -> Result<std::path::PathBuf> {
    let components = plugin::build()?;
    say("building the host and everything around it (the first time takes minutes)");
    let mut build = cargo("build");
    build.args(EVERYTHING);
    run(&mut build, "the build")?;
    Ok(components)
}

/// As if a person had typed it: what cargo tells a program that it runs, like its package's name,
/// is not handed on. Build scripts look at such variables, and would build anew each time that
/// xtask and a person take turns.
pub fn cargo(command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo.current_dir(root()).arg(command);
    cargo
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {what}"))?;
    ensure!(status.success(), "{what} failed ({status})");
    Ok(())
}
