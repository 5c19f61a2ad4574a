//! `cargo xtask deny`: what is built in has a licence that fits, comes from the registry, and is not
//! on the list of what is not wanted. `deny.toml` holds the rules and their reasons.

use anyhow::{Context, Result, ensure};

use crate::fuzz::install;
use crate::run::cargo;
use crate::say;

/// The workspaces, each with a lock file of its own.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "tests/fuzz/Cargo.toml"];

/// What can be told from the lock file and the sources alone.
const OFFLINE: [&str; 3] = ["bans", "licenses", "sources"];

/// Checks every lock file; an error if a rule is broken.
pub fn run() -> Result<()> {
    install("cargo-deny", "deny")?;
    for manifest in MANIFESTS {
        say(format_args!("{manifest}: {}", OFFLINE.join(", ")));
        let status = check(manifest, &OFFLINE)
            .status()
            .context("cannot start cargo deny")?;
        ensure!(status.success(), "{manifest} breaks a rule of deny.toml");
        say(format_args!("{manifest}: advisories"));
        let output = check(manifest, &["advisories"])
            .output()
            .context("cannot start cargo deny")?;
        let said = String::from_utf8_lossy(&output.stderr);
        eprint!("{said}");
        if !output.status.success() && said.contains("failed to fetch") {
            say("the database of advisories cannot be fetched here: advisories are NOT checked");
        } else {
            ensure!(
                output.status.success(),
                "{manifest} has a crate with an advisory"
            );
        }
    }
    Ok(())
}

fn check(manifest: &str, what: &[&str]) -> std::process::Command {
    let mut deny = cargo("deny");
    deny.args([
        "--manifest-path",
        manifest,
        "--config",
        "deny.toml",
        "check",
    ])
    .args(what);
    deny
}
