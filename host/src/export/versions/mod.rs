//! Several versions of an export's plugin: which one works, and the swap from one to another while it
//! runs.
//!
//! `record` is what is kept, `tally` what versions did and `judge` what follows from it (all pure); `running`
//! says whose turn a batch is, `canary` sends it, `tend` makes every step durable, `take_up` sees to what is
//! wanted, `alone` ends the trial of a candidate that there is nothing to compare with, `rollouts` is what the
//! exports of a process know of each other's swaps, `source` loads versions, `start` decides with which one it
//! begins.

mod alone;
mod canary;
mod judge;
mod poll;
mod record;
mod rollouts;
mod running;
mod source;
mod start;
mod take_up;
mod tally;
mod tend;

pub use record::{EndedSwap, Plan, Swap, SwapOutcome, Version, Versions, Wanted};
pub use rollouts::Rollouts;
pub use source::{Supplied, Unfit, VersionSource};
pub use tally::Tally;

pub(super) use canary::deliver;
pub(super) use poll::poll;
pub(super) use running::{Running, Shown};
pub(super) use source::{Bring, FromSource};
pub use start::NoVersion;
pub(super) use start::{record_start, start};
pub(super) use tend::tend;

use super::exporter::Exporter;

/// A name for a swap: names of later ones come later.
pub fn swap_id(sha256: &str, now_ms: i64) -> String {
    format!("{now_ms:013}-{}", sha256.get(..12).unwrap_or(sha256))
}

/// The routes that one version may use and another may not, but for those that were agreed to.
fn new_routes(old: &[String], new: &dyn Exporter, agreed: &[String]) -> Vec<String> {
    let mut more = new.routes();
    more.retain(|route| !old.contains(route) && !agreed.contains(route));
    more
}

fn asks_for(routes: &[String]) -> String {
    format!(
        "it asks for routes that the active version does not have: {}. `sluice plugin swap` with \
         --consent-routes agrees to them",
        routes.join(", ")
    )
}
