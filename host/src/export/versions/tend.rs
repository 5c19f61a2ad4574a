//! Tends the versions of a running export: takes up what is wanted, hears the verdicts, and makes each
//! step durable before it takes effect. Loading happens here, beside the work on batches.

use std::sync::Arc;

use super::record::{Plan, SwapOutcome, Version, Versions, Wanted};
use super::start::meter;
use super::{alone, asks_for, new_routes, swap_id};
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

async fn take_up(
    context: &Arc<Context>,
    number: i64,
    wanted: Option<Wanted>,
) -> Result<(), StoreError> {
    let mut versions = context.versions.versions();
    let (now, before) = (context.now_ms(), versions.before.clone());
    match (wanted, before) {
        (
            Some(Wanted::Begin {
                id,
                to,
                configured,
                plan,
                routes,
            }),
            _,
        ) => {
            if let Some(configured) = configured {
                versions.configured = configured;
            }
            begin(context, number, versions, (&id, &to), &plan, Some(&routes)).await
        }
        (Some(Wanted::Promote), _) if versions.swap.is_some() => {
            let id = versions.swap.as_ref().map(|swap| swap.id.clone());
            let why = "an operator said so";
            context
                .rollouts
                .decide(&id.unwrap_or_default(), SwapOutcome::Promoted, why);
            end(
                context,
                versions,
                (SwapOutcome::Promoted, why, true),
                Some(number),
            )
            .await
        }
        (Some(Wanted::RollBack), _) if versions.swap.is_some() => {
            let id = versions.swap.as_ref().map(|swap| swap.id.clone());
            let why = "an operator said so";
            context
                .rollouts
                .decide(&id.unwrap_or_default(), SwapOutcome::RolledBack, why);
            let verdict = (SwapOutcome::RolledBack, why, true);
            end(context, versions, verdict, Some(number)).await
        }
        // Back to the version before, which had its routes.
        (Some(Wanted::RollBack), Some(before)) => {
            let id = swap_id(&before.sha256, now);
            let plan = Plan {
                percent: 100,
                batches: 0,
                leaders: vec![],
            };
            begin(context, number, versions, (&id, &before), &plan, None).await
        }
        (Some(Wanted::Promote | Wanted::RollBack) | None, _) => {
            tracing::warn!(export = %context.name, "no swap is under way; there is nothing to promote or roll back");
            record(context, versions, Some(number)).await
        }
    }
}

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
        let active = versions.clone();
        record(context, versions, Some(number)).await?;
        context.versions.end(active, SwapOutcome::RolledBack);
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
            tracing::error!(export = %name, version = %to, %why, "a swap is refused; the active version stays");
            // One verdict for all that are swapped together.
            context
                .rollouts
                .decide_for(name, id, SwapOutcome::RolledBack, &why);
            versions.refuse(id, to, &why, now);
            record(context, versions.clone(), Some(number)).await?;
            context.versions.note(versions);
            return Ok(());
        }
    };
    let by = candidate.clone();
    context
        .store
        .run(move |store| meter(store, by.as_ref(), now))
        .await?;
    versions.begin(id, to, plan, now);
    let begun = versions.clone();
    record(context, versions, Some(number)).await?;
    tracing::info!(
        export = %name, from = %begun.active, %to, percent = plan.percent, batches = plan.batches,
        "a swap has begun"
    );
    // Whether it needs batches at all is for `judge`, which looks again after a crash.
    context.versions.begin(begun, candidate);
    put_off_no_longer(context).await
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

async fn end(
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
async fn put_off_no_longer(context: &Context) -> Result<(), StoreError> {
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

async fn record(
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
