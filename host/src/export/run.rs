//! Performs what the machine asks for, and commits what comes of it.

use std::sync::Arc;

use super::context::{Commit, Context, Done, Halt, trouble};
use super::machine::{Effect, Input, Passing, Reason, State, Trouble, resume, step};
use super::retry::{CHECKS, policy, weigh};
use super::{backfill, live, scan};
use crate::blocking::blocking;
use crate::store::{Command, Store, StoreError};

/// Works on an export until the host stops.
///
/// # Errors
/// The store's: then nothing more can be made durable, and the export must not go on.
pub(super) async fn drive(context: Arc<Context>) -> Result<(), StoreError> {
    let recorded = context.store.run(Store::recorded).await?;
    let first = State::first(context.spec.members.is_some());
    let was_parked = matches!(recorded, Some(ref r) if matches!(r.state, State::Parked { .. }));
    let (mut state, mut effect) = resume(recorded.map_or(first, |recorded| recorded.state));
    if was_parked && !matches!(state, State::Parked { .. }) {
        tracing::info!(export = %context.name, phase = state.phase(), "was parked; trying again");
    }
    context.commit(Commit::Nothing, state.clone()).await?;
    context.store.run(Store::sweep).await?;
    // What operators wanted while nothing ran, before anybody is told where it is.
    while let Some(done) = command(&context).await? {
        (state, effect) = settle(&context, state, done).await?;
    }
    if !matches!(state, State::Parked { .. })
        && let Some(trouble) = check(&context).await
    {
        (state, effect) = settle(&context, state, Done::nothing(Input::Trouble(trouble))).await?;
    }
    // How often the effect was tried, and how often it was asked about without an answer yet.
    let (mut attempt, mut looks) = (0, 0);
    let mut versions = context.versions.changes();
    loop {
        context.meters.set_state(&state);
        context.bump();
        versions.note();
        let done = match perform(&context, &effect, attempt, looks).await {
            Ok(done) => done,
            Err(Halt::Stopped) => return Ok(()),
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Command) => match command(&context).await? {
                Some(done) => done,
                None => continue,
            },
            Err(Halt::Trouble(trouble)) => Done::nothing(Input::Trouble(weigh(trouble, attempt))),
        };
        let waiting = matches!(done.input, Input::Pending { .. });
        let message = match &done.input {
            Input::Trouble(Trouble::Passing { message, .. }) => message.clone(),
            _ => String::new(),
        };
        let (next, wanted) = settle(&context, state, done).await?;
        state = next;
        match wanted {
            Effect::Again {
                kind,
                retry_after_ms,
            } => {
                let pause = policy(kind).pause;
                let pause = pause.pause_ms(attempt, context.clock.dice(), retry_after_ms);
                tracing::warn!(export = %context.name, phase = state.phase(), attempt, %message, "trying again");
                context.note(message, Some(pause)).await?;
                attempt += 1;
                tokio::select! {
                    biased;
                    paused = context.pause(pause) => match paused {
                        Ok(()) | Err(Halt::Command) => {}
                        Err(_) => return Ok(()),
                    },
                    // Another version may do better at once.
                    () = versions.heard(), if kind != Passing::Throttled => attempt = 0,
                }
            }
            wanted => {
                // A question whether the credential is accepted now is the same effect again.
                let again = wanted == Effect::Recheck && effect == Effect::Recheck;
                attempt = if again { attempt + 1 } else { 0 };
                looks = if waiting { looks + 1 } else { 0 };
                effect = wanted;
            }
        }
    }
}

/// Asks whether the credential is accepted before any work is done. A destination that is down is
/// no reason not to scan.
async fn check(context: &Arc<Context>) -> Option<Trouble> {
    let exporter = context.exporter();
    let checked = context.unless_halted(exporter.check()).await.ok()?;
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
    let before = state.clone();
    let (next, effect) = step(state, done.input);
    context.commit(done.commit, next.clone()).await?;
    let export = &context.name;
    if let State::Parked { reason, .. } = &next {
        // Also if it was refused before: another export may have been accepted meanwhile.
        if let Reason::Unauthorized(message) = reason {
            context.account.refuse(Some(message.clone()));
        }
        if before == next {
            return Ok((next, effect));
        }
        // A swap under way may be what it waits for; it looks where the export is.
        context.meters.set_state(&next);
        context.versions.tell();
        match reason {
            Reason::Paused(_) => tracing::info!(%export, was = before.phase(), %reason, "parked"),
            _ => {
                tracing::error!(%export, was = before.phase(), %reason, "parked; everything is kept");
            }
        }
        context.note(reason.to_string(), None).await?;
    } else if next.phase() != before.phase() {
        tracing::info!(%export, from = before.phase(), to = next.phase(), "phase");
        context.meters.say("");
    }
    Ok((next, effect))
}

/// The oldest command that waits. It is taken away in the transaction that obeys it.
async fn command(context: &Arc<Context>) -> Result<Option<Done>, StoreError> {
    // Before they are read: what comes meanwhile is said after that.
    context.commands.send_replace(false);
    let waiting = context.store.run(Store::commands).await?;
    if waiting.len() > 1 {
        context.commands.send_replace(true);
    }
    Ok(waiting.into_iter().next().map(|(id, command)| Done {
        input: match command {
            Command::Pause => Input::Pause,
            Command::Resume => Input::Resume,
        },
        commit: Commit::Command(id),
    }))
}

async fn perform(
    context: &Arc<Context>,
    effect: &Effect,
    attempt: u32,
    looks: u32,
) -> Result<Done, Halt> {
    if context.stop.is_cancelled() {
        return Err(Halt::Stopped);
    }
    if *context.commands.borrow() {
        return Err(Halt::Command);
    }
    let refused = context.account.refused().borrow().clone();
    if let Some(message) = refused
        && !matches!(effect, Effect::Rest | Effect::Recheck)
    {
        return Err(Reason::Unauthorized(message).into());
    }
    match effect {
        // A chunk may take an hour of a plugin's time. One that is given up is scanned again: the
        // staged file is cut to what is durable.
        Effect::Scan => context.unless_halted(scan::scan(context)).await?,
        Effect::Seal => backfill::seal(context).await,
        Effect::Submit(file) => backfill::submit(context, *file).await,
        Effect::Poll(file) => backfill::poll(context, *file, looks).await,
        Effect::Deliver { until } => live::deliver(context, *until).await,
        Effect::Recheck => recheck(context, attempt).await,
        Effect::Rest | Effect::Again { .. } => Err(context.halt().await),
    }
}

/// Asks whether a refused credential is accepted now: at once if it has changed where the operator
/// keeps it or another export was accepted, else after a pause.
async fn recheck(context: &Arc<Context>, attempt: u32) -> Result<Done, Halt> {
    let account = context.account.clone();
    let renewed = blocking(move || account.renew()).await;
    if !matches!(renewed, Ok(true)) {
        let mut refused = context.account.refused();
        let another = refused.wait_for(Option::is_none);
        let pause = context.pause(CHECKS.look_ms(attempt, context.clock.dice()));
        tokio::select! {
            biased;
            paused = pause => paused?,
            _ = another => {}
        }
        let account = context.account.clone();
        if let Err(error) = blocking(move || account.renew()).await {
            let error = format!("{error}; the old one is used");
            context.note(error, None).await?;
        }
    }
    let exporter = context.exporter();
    let checked = context.unless_halted(exporter.check()).await?;
    checked?;
    context.account.refuse(None);
    tracing::info!(export = %context.name, "the credential is accepted again");
    Ok(Done::nothing(Input::Accepted))
}
