//! Takes up what is wanted of versions. Loading happens here, beside the work on batches.

use std::sync::Arc;

use super::record::{Plan, SwapOutcome, Version, Versions, Wanted};
use super::start::meter;
use super::tend::{end, put_off_no_longer, record};
use super::{asks_for, new_routes, swap_id};
use crate::export::context::Context;
use crate::store::StoreError;

/// Why a swap ends that a person has ended.
const SAID_SO: &str = "an operator said so";

/// Why a swap has ended that never began.
const WITHDRAWN: &str = "an operator withdrew it before it had begun";

/// Takes up one wish, which has this number.
///
/// # Errors
/// The store's.
pub(super) async fn take_up(
    context: &Arc<Context>,
    number: i64,
    wanted: Option<Wanted>,
) -> Result<(), StoreError> {
    let mut versions = context.versions.versions();
    let under_way = versions.swap.as_ref().map(|swap| swap.id.clone());
    match wanted {
        Some(Wanted::Begin {
            id,
            to,
            configured,
            plan,
            routes,
        }) => {
            if let Some(configured) = configured {
                versions.configured = configured;
            }
            begin(context, number, versions, (&id, &to), &plan, Some(&routes)).await
        }
        Some(Wanted::Withdrawn { id, to, configured }) => {
            withdrawn(context, number, versions, (&id, &to), configured).await
        }
        Some(Wanted::Promote { swap }) if is_meant(&under_way, &swap) => {
            decided(context, number, versions, SwapOutcome::Promoted).await
        }
        Some(Wanted::RollBack { swap }) if is_meant(&under_way, &swap) => {
            decided(context, number, versions, SwapOutcome::RolledBack).await
        }
        Some(Wanted::RollBack { swap })
            if under_way.is_none()
                && swap.as_ref().is_none_or(|swap| versions.has_promoted(swap)) =>
        {
            go_back(context, number, versions).await
        }
        Some(Wanted::GoBack { from }) if under_way.is_none() && from == versions.active.sha256 => {
            go_back(context, number, versions).await
        }
        Some(Wanted::Promote { .. } | Wanted::RollBack { .. } | Wanted::GoBack { .. }) | None => {
            nothing(context, number, versions).await
        }
    }
}

/// Whether a word is about the swap under way, if there is one.
fn is_meant(under_way: &Option<String>, swap: &Option<String>) -> bool {
    under_way.is_some() && (swap.is_none() || swap == under_way)
}

/// The swap under way ends as an operator says, in all exports.
async fn decided(
    context: &Arc<Context>,
    number: i64,
    versions: Versions,
    outcome: SwapOutcome,
) -> Result<(), StoreError> {
    let id = versions.swap.as_ref().map(|swap| swap.id.clone());
    let rollouts = &context.rollouts;
    rollouts.decide(&id.unwrap_or_default(), outcome, SAID_SO);
    end(context, versions, (outcome, SAID_SO, true), Some(number)).await
}

/// Back to the version before, which had its routes.
async fn go_back(
    context: &Arc<Context>,
    number: i64,
    versions: Versions,
) -> Result<(), StoreError> {
    let Some(before) = versions.before.clone() else {
        return nothing(context, number, versions).await;
    };
    let id = swap_id(&before.sha256, context.now_ms());
    let plan = Plan {
        percent: 100,
        batches: 0,
        leaders: vec![],
    };
    begin(context, number, versions, (&id, &before), &plan, None).await
}

/// There is nothing that it could be about.
async fn nothing(
    context: &Arc<Context>,
    number: i64,
    versions: Versions,
) -> Result<(), StoreError> {
    tracing::warn!(
        export = %context.name,
        "the swap that was to be promoted or rolled back is not under way; nothing is done"
    );
    record(context, versions, Some(number)).await
}

/// A swap that never began has ended, in every export that might still begin it.
async fn withdrawn(
    context: &Arc<Context>,
    number: i64,
    mut versions: Versions,
    (id, to): (&str, &Version),
    configured: Option<String>,
) -> Result<(), StoreError> {
    tracing::info!(export = %context.name, %to, "a swap was withdrawn before it had begun");
    if let Some(configured) = configured {
        versions.configured = configured;
    }
    versions.withdraw(id, to, WITHDRAWN, context.now_ms());
    record(context, versions.clone(), Some(number)).await?;
    context.versions.note(versions);
    let rollouts = &context.rollouts;
    rollouts.decide(id, SwapOutcome::RolledBack, WITHDRAWN);
    Ok(())
}

/// Begins a swap, unless it is withdrawn while its candidate is loaded.
async fn begin(
    context: &Arc<Context>,
    number: i64,
    mut versions: Versions,
    (id, to): (&str, &Version),
    plan: &Plan,
    agreed: Option<&[String]>,
) -> Result<(), StoreError> {
    let name = &context.name;
    let now = context.now_ms();
    if to.sha256 == versions.active.sha256 {
        versions.stay(id, now);
        if still(context, &versions, number).await? {
            context.versions.end(versions, SwapOutcome::RolledBack);
        }
        return Ok(());
    }
    let brought = match context.versions.known(&to.sha256) {
        Some(known) => Ok(known),
        None => {
            let brought = tokio::select! {
                biased;
                // It is taken up at the next start.
                () = context.stop.cancelled() => return Ok(()),
                brought = context.bring.bring(&to.sha256) => brought,
            };
            brought.map_err(|unfit| unfit.to_string())
        }
    };
    let granted = context.versions.versions().routes;
    let fits = brought.and_then(|candidate| {
        let more = agreed.map_or_else(Vec::new, |agreed| {
            new_routes(&granted, candidate.as_ref(), agreed)
        });
        match more.is_empty() {
            true => Ok(candidate),
            false => Err(asks_for(&more)),
        }
    });
    // What was counted while it was loaded.
    let configured = versions.configured;
    versions = context.versions.versions();
    versions.configured = configured;
    let candidate = match fits {
        Ok(candidate) => candidate,
        Err(why) => {
            versions.refuse(id, to, &why, now);
            if still(context, &versions, number).await? {
                tracing::error!(export = %name, version = %to, %why, "a swap is refused; the active version stays");
                context.versions.note(versions);
                // One verdict for all that are swapped together.
                let rollouts = &context.rollouts;
                rollouts.decide_for(name, id, SwapOutcome::RolledBack, &why);
            }
            return Ok(());
        }
    };
    let by = candidate.clone();
    context
        .store
        .run(move |store| meter(store, by.as_ref(), now))
        .await?;
    versions.begin(id, to, plan, now);
    if !still(context, &versions, number).await? {
        return Ok(());
    }
    tracing::info!(
        export = %name, from = %versions.active, %to, percent = plan.percent, batches = plan.batches,
        "a swap has begun"
    );
    // Whether it needs batches at all is for `judge`, which looks again after a crash.
    context.versions.begin(versions, candidate);
    put_off_no_longer(context).await
}

/// Makes durable what a wish has led to, if it is still one. What came in its place is taken up next.
async fn still(
    context: &Arc<Context>,
    versions: &Versions,
    number: i64,
) -> Result<bool, StoreError> {
    let kept = versions.clone();
    context
        .store
        .run(move |store| store.record_if_wanted(&kept, number))
        .await
}
