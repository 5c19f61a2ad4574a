//! A whole audience into a simulated account, with the real program and the real plugin: what
//! `cargo xtask demo` and `cargo xtask bench` run.

mod bench;
mod config;
mod demo;
mod isolation;
mod neighbours;
mod sluice;
mod swaps;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Shows sluice at work, or measures it.
#[derive(Parser)]
struct Args {
    /// The `sluice` program.
    #[arg(long)]
    sluice: PathBuf,
    /// The Retention Science component.
    #[arg(long)]
    component: PathBuf,
    /// How many members.
    #[arg(long, default_value_t = 200_000)]
    members: u64,
    /// How many changes.
    #[arg(long, default_value_t = 2_000)]
    changes: u64,
    /// Measure instead.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "all")]
    bench: Option<Bench>,
}

/// What to measure.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Bench {
    All,
    /// Memory and speed over audience sizes.
    Size,
    /// What exports notice of bad neighbours.
    Isolation,
    /// What batches notice of swaps.
    Swaps,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let Some(what) = args.bench else {
        return demo::demo(&args.sluice, &args.component, args.members, args.changes).await;
    };
    let wanted = |one| what == Bench::All || what == one;
    if wanted(Bench::Size) {
        bench::bench(&args.sluice, &args.component).await?;
    }
    if wanted(Bench::Isolation) {
        isolation::bench(&args.sluice, &args.component).await?;
    }
    if wanted(Bench::Swaps) {
        swaps::bench(&args.sluice, &args.component).await?;
    }
    Ok(())
}
