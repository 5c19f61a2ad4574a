//! One export: from a source through a plugin to a destination.
//!
//! `machine` says what follows from what (pure); `run` does it. `scan`, `backfill`, `live` and
//! `ingest` are the kinds of work, `retry` says how long to wait (pure), `isolate` finds the row that
//! a plugin fails on; `versions` swaps the plugin while all of that goes on.

mod backfill;
mod batch;
mod bell;
mod clock;
mod context;
mod exporter;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod handle;
mod ingest;
mod isolate;
mod live;
mod machine;
mod memory;
mod meters;
mod observe;
mod refused;
mod retry;
mod run;
mod scan;
mod spec;
mod start;
mod versions;

pub use handle::{Change, Ended, Export, ExportError, Receipt};
pub use machine::{Reason, State};
pub use meters::{Meters, Snapshot};
pub use observe::{Observed, Observer};
pub use spec::ExportSpec;
pub use start::StartError;
pub use versions::{
    EndedSwap, NoVersion, Plan, Rollouts, Supplied, Swap, SwapOutcome, Tally, Unfit, Version,
    VersionSource, Versions, Wanted, swap_id,
};

#[cfg(test)]
pub(crate) mod simulation;
