//! Performs what the machine asks for, and commits what comes of it.

use std::sync::Arc;

use super::context::{Commit, Context, Done, Halt, trouble};
use super::isolate::is_crash;
use super::machine::{Effect, Input, Reason, State, Trouble, resume, step};
use super::retry::CALLS;
use super::{backfill, live, scan};
use crate::plugin::CallError;
use crate::store::StoreError;

/// How often a plugin may fail in a call that concerns no single row before the export parks.
const CRASHES: u32 = 5;

/// Works on an export until the host stops.
///
/// # Errors
/// The store's: then nothing more can be made durable, and the export must not go on.
pub(super) async fn drive(context: Arc<Context>) -> Result<(), StoreError> {
    let recorded = context.store.run(|store| store.recorded()).await?;
    let first = State::first(context.spec.members.is_some());
    let was_parked = matches!(recorded, Some(ref r) if matches!(r.state, State::Parked { .. }));
    let (mut state, mut effect) = resume(recorded.map_or(first, |recorded| recorded.state));
    if was_parked {
        tracing::info!(export = %context.name, phase = state.phase(), "was parked; trying again");
    }
    context.commit(Commit::Nothing, state.clone()).await?;
    if let Some(trouble) = check(&context).await {
        (state, effect) = settle(
            &context,
            state,
            Done {
                input: Input::Trouble(trouble),
                commit: Commit::Nothing,
            },
        )
        .await?;
    }
    let mut attempt = 0;
    loop {
        context.meters.set_state(&state);
        context.bump();
        let done = match perform(&context, &effect, &state, attempt).await {
            Ok(done) => done,
            Err(Halt::Stopped) => return Ok(()),
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Trouble(trouble)) => Done {
                input: Input::Trouble(trouble),
                commit: Commit::Nothing,
            },
        };
        let waiting = matches!(done.input, Input::Pending { .. });
        let (next, wanted) = settle(&context, state, done).await?;
        state = next;
        match wanted {
            Effect::Again { retry_after_ms } => {
                let pause = CALLS.pause_ms(attempt, rand::random(), retry_after_ms);
                attempt += 1;
                if !context.pause(pause).await {
                    return Ok(());
                }
            }
            wanted => {
                attempt = if waiting { attempt + 1 } else { 0 };
                effect = wanted;
            }
        }
    }
}

/// Asks whether the credential is accepted before any work is done. A destination that is down is
/// no reason not to scan.
async fn check(context: &Arc<Context>) -> Option<Trouble> {
    let check = async { context.session(None).await?.check().await };
    let checked = tokio::select! {
        checked = check => checked,
        () = context.stop.cancelled() => return None,
    };
    match checked.map_err(trouble) {
        Ok(()) => None,
        Err(Trouble::Passing { message, .. }) => {
            tracing::warn!(export = %context.name, %message, "the destination cannot be checked; going on");
            None
        }
        Err(trouble) => Some(trouble),
    }
}

/// Asks the machine, commits, and tells.
async fn settle(
    context: &Arc<Context>,
    state: State,
    done: Done,
) -> Result<(State, Effect), StoreError> {
    let before = state.phase();
    let message = match &done.input {
        Input::Trouble(Trouble::Passing { message, .. }) => Some(message.clone()),
        _ => None,
    };
    let (next, effect) = step(state, done.input);
    context.commit(done.commit, next.clone()).await?;
    let export = &context.name;
    if let Some(message) = message {
        tracing::warn!(%export, phase = next.phase(), %message, "trying again");
        context.note(message).await?;
    }
    if next.phase() != before {
        if let State::Parked { reason, .. } = &next {
            tracing::error!(%export, was = before, %reason, "parked; everything is kept");
            context.note(reason.to_string()).await?;
        } else {
            tracing::info!(%export, from = before, to = next.phase(), "phase");
            context.meters.say("");
        }
    }
    Ok((next, effect))
}

async fn perform(
    context: &Arc<Context>,
    effect: &Effect,
    state: &State,
    attempt: u32,
) -> Result<Done, Halt> {
    if context.stop.is_cancelled() {
        return Err(Halt::Stopped);
    }
    let crash = |error: CallError| match is_crash(&error) && attempt + 1 >= CRASHES {
        true => Halt::from(Reason::PluginFails(error.to_string())),
        false => Halt::from(error),
    };
    match effect {
        Effect::Scan => scan::scan(context).await,
        Effect::Seal => backfill::seal(context).await,
        Effect::Submit(file) => backfill::submit(context, *file, crash).await,
        Effect::Poll(file) => backfill::poll(context, *file, state, attempt, crash).await,
        Effect::Deliver { until } => live::deliver(context, *until).await,
        Effect::Rest | Effect::Again { .. } => {
            context.stop.cancelled().await;
            Err(Halt::Stopped)
        }
    }
}
