//! What README's commands call: `cargo xtask demo`, `cargo xtask test` and their parts.
//!
//! Each does whatever set-up it needs by itself. Depends on next to nothing, so that it can say
//! what it does before anything large is compiled.

mod deny;
mod fuzz;
mod languages;
mod mutants;
mod plugin;
mod run;
mod setup;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Build, show and test sluice.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find a way to compile plugins on this machine, and install what it needs.
    Setup {
        /// Also what plugins in Python and JavaScript need, into target/languages/.
        #[arg(long)]
        all_languages: bool,
    },
    /// Build the plugins into target/components/.
    Plugin {
        /// Build only the plugin of this Cargo.toml, which may be anywhere.
        #[arg(long, value_name = "FILE")]
        manifest_path: Option<PathBuf>,
    },
    /// Build everything, then run a 200,000-member audience into a simulated account.
    Demo {
        /// How many members.
        #[arg(long, default_value_t = 200_000)]
        members: u64,
        /// How many changes.
        #[arg(long, default_value_t = 2_000)]
        changes: u64,
    },
    /// Run every test.
    Test {
        /// What to pass on to `cargo test`, like a test's name.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Kill the program and break its destination, with a new plan each time, until the time is over.
    Soak {
        /// How long new plans are begun.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// The first plan's seed; the next ones follow. If not given, one that was not used before.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Put faults into a copy of the code, one after the other, and look whether the tests notice.
    Mutants {
        /// Only those with this in their name.
        only: Option<String>,
    },
    /// Throw made-up inputs at what reads the words of strangers: configuration, sources, requests,
    /// answers. What breaks a promise is kept as a seed.
    Fuzz {
        /// One of the targets in tests/fuzz/; without it all of them.
        target: Option<String>,
        /// How long each runs.
        #[arg(long, default_value_t = 10)]
        minutes: u64,
        /// How many run side by side.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
    },
    /// Look at licences, origins and advisories of everything that is built in.
    Deny,
    /// Measure: memory over audience sizes, rows per second, what exports notice of bad neighbours, what
    /// batches notice of swaps, and what the limits cost.
    Bench,
}

fn main() -> Result<()> {
    let command = Args::parse().command;
    match command {
        Command::Setup { all_languages } => {
            setup::toolchain()?;
            if all_languages {
                languages::install()?;
            }
            Ok(())
        }
        Command::Plugin {
            manifest_path: Some(manifest),
        } => plugin::build_one(&manifest).map(drop),
        Command::Plugin {
            manifest_path: None,
        } => plugin::build().map(drop),
        Command::Demo { members, changes } => run::demo(members, changes),
        Command::Test { rest } => run::test(&rest),
        Command::Soak { minutes, seed } => run::soak(minutes, seed),
        Command::Mutants { only } => mutants::run(only.as_deref()),
        Command::Fuzz {
            target,
            minutes,
            at_once,
        } => fuzz::run(target.as_deref(), minutes, at_once),
        Command::Deny => deny::run(),
        Command::Bench => run::bench(),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or the workspace's own.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

fn say(what: impl std::fmt::Display) {
    eprintln!("xtask  {what}");
}
