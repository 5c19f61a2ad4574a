//! Live delivery: lanes side by side, each in order.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Settled};
use super::context::{Context, Done, Halt};
use super::exporter::Exporter;
use super::machine::{Input, Passing, Reason, Trouble};
use super::retry::{CALLS, RETRY_AFTER_CAP_MS, policy};
use super::versions;
use crate::store::{Outcome, Store, StoreError};
use crate::usage::cpu::on_behalf;

/// Rows of a `deliver` call if the plugin leaves it to the host.
const DELIVER_ROWS: u32 = 100;

/// The largest batch, whatever the plugin asks for: what is in memory at a time, and what one call may be
/// wrong about.
const MOST_DELIVER_ROWS: u32 = 1_000;

/// How long a stopping host waits for batches that are under way. What is cut off is sent again.
const DRAIN: Duration = Duration::from_secs(20);

/// Why delivery came to its end.
enum End {
    /// Something to tell the machine.
    Input(Input),
    /// The host is stopping, or an operator wants something.
    Halt(Halt),
}

/// Delivers until something stands in the way, or all up to `until` is done.
pub(super) async fn deliver(context: &Arc<Context>, until: Option<i64>) -> Result<Done, Halt> {
    let halt = context.stop.child_token();
    let mut lanes = JoinSet::new();
    for lane in 0..context.spec.tuning.lanes {
        let work = run_lane(context.clone(), lane, halt.clone());
        lanes.spawn(on_behalf(&context.usage, work));
    }
    let mut refused = context.account.refused();
    let ended = tokio::select! {
        biased;
        halted = context.halt() => Ok(End::Halt(halted)),
        // Another export of the authorization has heard it; the machine hears it from `perform`.
        _ = refused.wait_for(Option::is_some) => Ok(End::Halt(Halt::Command)),
        Some(ended) = lanes.join_next() => ended_lane(ended),
        done = caught_up(context, until) => done.map(|()| End::Input(Input::CaughtUp)),
    };
    halt.cancel();
    let drained = async {
        let mut first = ended?;
        while let Some(ended) = lanes.join_next().await {
            // What a second lane says counts only if the first had nothing to say.
            if let (End::Halt(_) | End::Input(Input::CaughtUp), End::Input(input)) =
                (&first, ended_lane(ended)?)
            {
                first = End::Input(input);
            }
        }
        Ok::<_, StoreError>(first)
    };
    // Only a host that stops is in a hurry. Whoever else wants delivery to end waits for the batches
    // under way, however slow the destination is: their calls have a deadline of their own.
    let cut_off = async {
        context.stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        biased;
        ended = drained => match ended? {
            End::Input(input) => Ok(Done::nothing(input)),
            End::Halt(halt) => Err(halt),
        },
        () = cut_off => Err(Halt::Stopped),
    }
}

type LaneEnd = Result<Option<Reason>, StoreError>;

fn ended_lane(ended: Result<LaneEnd, tokio::task::JoinError>) -> Result<End, StoreError> {
    match ended {
        Ok(Ok(Some(reason))) => Ok(End::Input(Input::Trouble(Trouble::Lasting(reason)))),
        Ok(Ok(None)) => Ok(End::Halt(Halt::Stopped)),
        Ok(Err(error)) => Err(error),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

async fn caught_up(context: &Context, until: Option<i64>) -> Result<(), StoreError> {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    let mut activity = context.activity.listen();
    loop {
        activity.note();
        match context.store.run(Store::line).await? {
            Some((first, _)) if first <= until => {}
            _ => return Ok(()),
        }
        activity.heard().await;
    }
}

/// One lane: one batch at a time, in order; ends when asked to, or with what needs a person.
async fn run_lane(context: Arc<Context>, lane: u32, halt: CancellationToken) -> LaneEnd {
    let lanes = context.spec.tuning.lanes;
    let horizon = RETRY_AFTER_CAP_MS as i64 + CALLS.cap_ms as i64;
    let mut activity = context.activity.listen();
    let mut attempt = 0;
    let mut versions = context.versions.changes();
    while !halt.is_cancelled() {
        activity.note();
        versions.note();
        let limit = match context.versions.deliver_rows() {
            0 => DELIVER_ROWS,
            rows => rows.min(MOST_DELIVER_ROWS),
        };
        let now = context.now_ms();
        let taken = context
            .store
            .run(move |store| store.take(lane, lanes, limit, now, horizon))
            .await?;
        if taken.is_empty() {
            if lane == 0 {
                context.store.run(Store::trim).await?;
            }
            let due = context
                .store
                .run(move |store| store.next_due_ms(lane, lanes))
                .await?;
            let wait = due.map_or(i64::MAX, |due| (due - context.now_ms()).max(1)) as u64;
            tokio::select! {
                biased;
                () = halt.cancelled() => {}
                () = activity.heard() => {}
                () = tokio::time::sleep(Duration::from_millis(wait.min(CALLS.cap_ms))) => {}
            }
            continue;
        }
        let turn = context.versions.turn(&context.name);
        let (batch, unreadable) = Batch::new(&context, taken);
        let mut done = versions::deliver(&context, &turn, &batch).await;
        done.settled.extend(unreadable);
        settle(&context, turn.judge(), done.settled).await?;
        if versions.rang() {
            // What this batch has put off was put off for a version that is gone.
            context.store.run(Store::put_off_no_longer).await?;
        }
        match done.trouble {
            None => attempt = 0,
            Some(Trouble::Lasting(reason)) => return Ok(Some(reason)),
            Some(Trouble::Passing {
                kind,
                message,
                retry_after_ms,
            }) => {
                tracing::warn!(export = %context.name, lane, attempt, %message, "delivery will be tried again");
                let pause = policy(kind).pause;
                let pause = pause.pause_ms(attempt, context.clock.dice(), retry_after_ms);
                context.note(message, Some(pause)).await?;
                attempt += 1;
                tokio::select! {
                    biased;
                    () = halt.cancelled() => {}
                    // Another version may do better at once; but a destination that asked for patience
                    // did not ask a version.
                    () = versions.heard(), if kind != Passing::Throttled => attempt = 0,
                    () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                }
            }
        }
    }
    Ok(None)
}

async fn settle(
    context: &Arc<Context>,
    by: &Arc<dyn Exporter>,
    outcomes: Settled,
) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let delivered = outcomes
        .iter()
        .filter(|(_, outcome)| *outcome == Outcome::Delivered)
        .count();
    let (shared, by) = (context.clone(), by.clone());
    context
        .store
        .run(move |store| {
            let manifest = by.manifest();
            let by = (manifest.name.as_str(), manifest.version.as_str());
            store.settle(&outcomes, by, shared.now_ms())
        })
        .await?;
    context
        .meters
        .delivered
        .fetch_add(delivered as u64, Ordering::Relaxed);
    context.bump();
    Ok(())
}
