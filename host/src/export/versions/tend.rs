//! Tends the versions of a running export: has `take_up` see to what is wanted, hears the verdicts, and makes
//! each step durable before it takes effect.

use std::sync::Arc;

use super::alone;
use super::record::{SwapOutcome, Versions};
use super::take_up::take_up;
use crate::export::context::Context;
use crate::export::machine::{Reason, State};
use crate::store::{Command, Store, StoreError};

/// Tends them until the host stops.
///
/// # Errors
/// The store's.
pub(in crate::export) async fn tend(context: Arc<Context>) -> Result<(), StoreError> {
    let mut tellings = context.versions.tellings();
    let mut verdicts = context.rollouts.listen();
    let mut activity = context.activity.listen();
    let mut durable = Versions {
        swap: None,
        ..context.versions.versions()
    };
    retell(&context);
    loop {
        tellings.note();
        verdicts.note();
        activity.note();
        let wanted = context.store.run(Store::versions_wanted).await?;
        for (number, wanted) in wanted {
            take_up(&context, number, wanted).await?;
        }
        judge(&context).await?;
        // What the batches of a swap came to, for a crash and for `status`.
        let now = context.versions.versions();
        if now.swap.is_some() && now != durable {
            let kept = now.clone();
            context
                .store
                .run(move |store| store.record_versions(&kept, None))
                .await?;
        }
        durable = now;
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(()),
            () = tellings.heard() => {}
            () = verdicts.heard() => {}
            // A scan that ends may be what a promotion waits for.
            () = activity.heard(), if durable.swap.as_ref().is_some_and(|swap| swap.decided) => {}
        }
    }
}

/// What came of the last swap before a restart: other exports of it may not have heard.
fn retell(context: &Context) {
    if let Some(last) = context.versions.versions().last
        && last.for_all
    {
        let outcome = match last.outcome {
            // The others had begun.
            SwapOutcome::Refused => SwapOutcome::RolledBack,
            outcome => outcome,
        };
        context
            .rollouts
            .decide_for(&context.name, &last.id, outcome, &last.why);
    }
}

/// Whether another version of the plugin may be what an export waits for.
fn fixable(reason: &Reason) -> bool {
    match reason {
        Reason::InvalidSettings(_)
        | Reason::ImportFailed(_)
        | Reason::ImportTimeout(_)
        | Reason::Fatal(_)
        | Reason::PluginFails(_)
        | Reason::Limit(_) => true,
        Reason::Unauthorized(_) | Reason::Source(_) | Reason::Paused(_) | Reason::Staged(_) => {
            false
        }
    }
}

/// Looks whether the swap under way is decided.
async fn judge(context: &Arc<Context>) -> Result<(), StoreError> {
    let mut versions = context.versions.versions();
    let Some(swap) = &mut versions.swap else {
        return Ok(());
    };
    let at = at(context).await?;
    if let State::Parked { reason, from } = &at
        && fixable(reason)
    {
        if !matches!(**from, State::Live | State::CatchingUp { .. }) {
            let why = "the export was parked before it had batches to compare";
            end(context, versions, (SwapOutcome::Promoted, why, false), None).await?;
            return go_on(context).await;
        }
        if swap.widen() {
            let widened = versions.clone();
            record(context, versions, None).await?;
            context.versions.note(widened);
            return go_on(context).await;
        }
    }
    if swap.plan.batches == 0 && !swap.decided {
        let why = "without a canary, as was said";
        return end(context, versions, (SwapOutcome::Promoted, why, false), None).await;
    }
    if swap.decided {
        if !scans(&at) {
            let why = "it was decided while a backfill was staged, which has ended";
            end(context, versions, (SwapOutcome::Promoted, why, false), None).await?;
        }
        return Ok(());
    }
    let tallies = (&swap.old, &swap.new);
    let reported = context
        .rollouts
        .report(&swap.id, &context.name, tallies, &swap.plan);
    let ended = match reported {
        Some(ended) => Some(ended),
        None => alone::ended(context, swap).await,
    };
    let Some((outcome, why)) = ended else {
        return Ok(());
    };
    end(context, versions, (outcome, &why, true), None).await
}

pub(super) async fn end(
    context: &Arc<Context>,
    mut versions: Versions,
    (outcome, why, for_all): (SwapOutcome, &str, bool),
    number: Option<i64>,
) -> Result<(), StoreError> {
    let now = context.now_ms();
    if outcome == SwapOutcome::Promoted && scans(&at(context).await?) {
        if let Some(swap) = &mut versions.swap {
            swap.decided = true;
        }
        let decided = versions.clone();
        record(context, versions, number).await?;
        context.versions.note(decided);
        return Ok(());
    }
    match for_all {
        true => versions.end_for_all(outcome, why, now),
        false => versions.end(outcome, why, now),
    }
    if let Some(active) = context.versions.known(&versions.active.sha256) {
        versions.routes = active.routes();
    }
    let ended = versions.clone();
    record(context, versions, number).await?;
    let (name, from) = (
        &context.name,
        ended.last.as_ref().map(|last| last.from.to_string()),
    );
    let to = ended.last.as_ref().map(|last| last.to.to_string());
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    match outcome {
        SwapOutcome::Promoted => tracing::info!(export = %name, %from, %to, why, "promoted"),
        _ => tracing::error!(export = %name, %from, %to, why, "rolled back; nothing is lost"),
    }
    context.versions.end(ended, outcome);
    put_off_no_longer(context).await?;
    forget(context).await
}

/// The export may do better now than when it was parked.
async fn go_on(context: &Arc<Context>) -> Result<(), StoreError> {
    let now = context.now_ms();
    context
        .store
        .run(move |store| store.command(Command::Resume, now))
        .await?;
    context.commands.send_replace(true);
    Ok(())
}

/// Where the export is. Before the driver has said so, the disk knows.
async fn at(context: &Context) -> Result<State, StoreError> {
    if let Some(state) = context.meters.state() {
        return Ok(state);
    }
    let recorded = context.store.run(Store::recorded).await?;
    let first = State::first(context.spec.members.is_some());
    Ok(recorded.map_or(first, |recorded| recorded.state))
}

/// Whether a backfill is being staged, by a version that is able to: who stages the rest must be who has
/// begun. It is no less so while the export is parked for another reason than its plugin.
fn scans(at: &State) -> bool {
    match at {
        State::Scanning | State::Sealing => true,
        State::Parked { reason, from } => !fixable(reason) && scans(from),
        _ => false,
    }
}

/// Batches are planned anew, those as well that wait to be sent again.
pub(super) async fn put_off_no_longer(context: &Context) -> Result<(), StoreError> {
    context.store.run(Store::put_off_no_longer).await?;
    context.bump();
    Ok(())
}

/// Gives up versions that nobody needs any more: each holds compiled code.
async fn forget(context: &Context) -> Result<(), StoreError> {
    let needed = context.store.run(Store::components).await?;
    context.versions.forget(&needed);
    Ok(())
}

pub(super) async fn record(
    context: &Arc<Context>,
    versions: Versions,
    number: Option<i64>,
) -> Result<(), StoreError> {
    let kept = versions.clone();
    context
        .store
        .run(move |store| store.record_versions(&kept, number))
        .await
}
