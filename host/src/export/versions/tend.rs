//! Tends the versions of a running export: takes up what is wanted, hears the verdicts, and makes each
//! step durable before it takes effect. Loading happens here, beside the work on batches.

use std::sync::Arc;

use super::record::{Plan, SwapOutcome, Version, Versions, Wanted};
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
        context
            .rollouts
            .decide_for(&context.name, &last.id, last.outcome, &last.why);
    }
}

async fn take_up(
    context: &Arc<Context>,
    number: i64,
    wanted: Option<Wanted>,
) -> Result<(), StoreError> {
    let mut versions = context.versions.versions();
    let now = context.now_ms();
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
        Some(Wanted::Promote) if versions.swap.is_some() => {
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
        Some(Wanted::RollBack) if versions.swap.is_some() => {
            let id = versions.swap.as_ref().map(|swap| swap.id.clone());
            let why = "an operator said so";
            context
                .rollouts
                .decide(&id.unwrap_or_default(), SwapOutcome::RolledBack, why);
            let verdict = (SwapOutcome::RolledBack, why, true);
            end(context, versions, verdict, Some(number)).await
        }
        // Back to the version before, which had its routes.
        Some(Wanted::RollBack) if promoted(&versions).is_some() => {
            let from = promoted(&versions).unwrap_or_else(|| versions.active.clone());
            let id = swap_id(&from.sha256, now);
            let plan = Plan {
                percent: 100,
                batches: 0,
                leaders: vec![],
            };
            begin(context, number, versions, (&id, &from), &plan, None).await
        }
        Some(Wanted::Promote | Wanted::RollBack) | None => {
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
        versions.end(
            SwapOutcome::RolledBack,
            "the active version is wanted again",
            now,
        );
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
    let active = context.versions.active();
    let fits = brought.and_then(|candidate| {
        let more = agreed.map_or_else(Vec::new, |agreed| {
            new_routes(active.as_ref(), candidate.as_ref(), agreed)
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
            return record(context, versions, Some(number)).await;
        }
    };
    let (usage, shared) = (candidate.usage().clone(), context.clone());
    let by = candidate.clone();
    context
        .store
        .run(move |store| {
            let manifest = by.manifest();
            let by = (manifest.name.as_str(), manifest.version.as_str());
            store.meter_too(by, &usage, shared.now_ms())
        })
        .await?;
    let mut plan = plan.clone();
    let state = context.meters.state();
    let waits_for_a_fix = match &state {
        Some(State::Parked { reason, from }) => fixable(reason).then(|| from.clone()),
        _ => None,
    };
    if waits_for_a_fix.is_some() {
        plan.percent = 100;
        plan.leaders.clear();
    }
    versions.begin(id, to, &plan, now);
    if let Some(swap) = &mut versions.swap {
        swap.alone = waits_for_a_fix.is_some();
    }
    let begun = versions.clone();
    record(context, versions, Some(number)).await?;
    context.versions.begin(begun.clone(), candidate);
    tracing::info!(
        export = %name, from = %begun.active, %to, percent = plan.percent, batches = plan.batches,
        "a swap has begun"
    );
    let no_batches = waits_for_a_fix
        .as_deref()
        .is_some_and(|from| !matches!(from, State::Live | State::CatchingUp { .. }));
    if plan.batches == 0 || no_batches {
        let why = match no_batches {
            true => "the export was parked before it had batches to compare",
            false => "without a canary, as was said",
        };
        end(context, begun, (SwapOutcome::Promoted, why, false), None).await?;
    }
    if waits_for_a_fix.is_some() {
        let now = context.now_ms();
        context
            .store
            .run(move |store| store.command(Command::Resume, now))
            .await?;
        context.commands.send_replace(true);
    }
    Ok(())
}

/// The version that the last swap came from.
fn promoted(versions: &Versions) -> Option<Version> {
    let last = versions.last.as_ref()?;
    (last.outcome == SwapOutcome::Promoted).then(|| last.from.clone())
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
    let versions = context.versions.versions();
    let Some(swap) = &versions.swap else {
        return Ok(());
    };
    if swap.decided {
        if !scans(context) {
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
    if outcome == SwapOutcome::Promoted && scans(context) {
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
    context.bump();
    Ok(())
}

/// Whether a backfill is being staged.
fn scans(context: &Context) -> bool {
    let state = context.meters.state();
    matches!(state, Some(State::Scanning | State::Sealing))
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
