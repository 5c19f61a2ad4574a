//! The end of a candidate that works alone, the active version having stopped for a person, and gets nothing
//! through. Batches cannot tell whether that is the destination's fault; the versions' `check` can.

use std::sync::Arc;

use super::record::{Swap, SwapOutcome};
use crate::export::context::Context;

/// Batches in a row that come to nothing, after which it is asked whether the destination is there. With
/// their pauses that takes longer than most outages in which `check` is accepted and batches are not.
const FRUITLESS: u32 = 100;

/// Whether such a swap is over, and why.
pub(super) async fn ended(context: &Arc<Context>, swap: &Swap) -> Option<(SwapOutcome, String)> {
    if !in_vain(swap) || !lives(context).await {
        return None;
    }
    let why = format!(
        "its latest {} batches came to nothing, though the destination accepts endpoint and credential",
        swap.new.fruitless
    );
    let outcome = SwapOutcome::RolledBack;
    context
        .rollouts
        .decide_for(&context.name, &swap.id, outcome, &why);
    Some((outcome, why))
}

/// Whether there is reason to ask.
fn in_vain(swap: &Swap) -> bool {
    swap.alone && swap.new.fruitless >= FRUITLESS
}

/// Whether the destination is there, as one of the versions finds out.
async fn lives(context: &Arc<Context>) -> bool {
    let versions = [
        context.versions.candidate(),
        Some(context.versions.active()),
    ];
    for version in versions.into_iter().flatten() {
        let checked = tokio::select! {
            biased;
            () = context.stop.cancelled() => return false,
            checked = version.check() => checked,
        };
        if checked.is_ok() {
            return true;
        }
    }
    false
}
