//! Performs what the machine asks for, and commits what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::isolate::is_crash;
use super::machine::{Effect, Input, Reason, State, Trouble, resume, step};
use super::meters::Meters;
use super::retry::CALLS;
use super::spec::ExportSpec;
use super::{backfill, live, now_ms, scan};
use crate::capability::{Http, LogSink, StagedFile};
use crate::plugin::types::{Problem, Settings};
use crate::plugin::{CallError, Grant, Plugin, Session};
use crate::source::Projection;
use crate::store::{Imported, ScanChunk, Store, StoreError, Together};

/// How often a plugin may fail in a call that concerns no single row before the export parks.
const CRASHES: u32 = 5;

/// Rows in a row that a plugin may fail on before it is the plugin that is at fault.
const POISON_IN_A_ROW: u32 = 20;

/// Everything that the work on one export shares.
pub(super) struct Context {
    pub spec: ExportSpec,
    pub name: String,
    pub settings: Settings,
    pub projection: Arc<Projection>,
    pub together: Together,
    pub plugin: Plugin,
    pub http: Http,
    pub store: Store,
    pub meters: Arc<Meters>,
    pub stop: CancellationToken,
    /// Changes whenever something was accepted, settled, or a phase began.
    pub activity: watch::Sender<u64>,
    /// Whether the changes source has nothing more for now.
    pub source_at_end: watch::Sender<bool>,
    pub poison: AtomicU32,
}

/// What an effect has brought, to be committed with the state that it leads to.
pub(super) struct Done {
    pub input: Input,
    pub commit: Commit,
}

/// What is committed beside the state.
pub(super) enum Commit {
    Nothing,
    Scan(Box<ScanChunk>),
    Sealed,
    Submitted { file: u32, token: String },
    Imported(Box<Imported>),
}

/// Why an effect has brought nothing.
pub(super) enum Halt {
    Trouble(Trouble),
    Store(StoreError),
    /// The host is stopping.
    Stopped,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Reason> for Halt {
    fn from(reason: Reason) -> Self {
        Self::Trouble(Trouble::Lasting(reason))
    }
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Self::Trouble(trouble(error))
    }
}

impl Context {
    /// A fresh instance for one call.
    pub async fn session(&self, staged: Option<StagedFile>) -> Result<Session, CallError> {
        let grant = Grant {
            http: self.http.clone(),
            log: LogSink::new(&self.name),
            staged,
        };
        self.plugin
            .open(&self.settings, grant, self.spec.limits())
            .await
    }

    /// The plugin's name and version, for what is kept.
    pub fn by(&self) -> (&str, &str) {
        (&self.plugin.manifest.name, &self.plugin.manifest.version)
    }

    /// Counts a row that the plugin failed on; an error once it is too many in a row.
    pub fn poisoned(&self, error: &CallError) -> Result<(), Reason> {
        match self.poison.fetch_add(1, Ordering::Relaxed) {
            n if n + 1 >= POISON_IN_A_ROW => Err(Reason::PluginFails(error.to_string())),
            _ => Ok(()),
        }
    }

    pub fn bump(&self) {
        self.activity.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Waits; `false` if the host is stopping meanwhile.
    pub async fn pause(&self, ms: u64) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(Duration::from_millis(ms)) => true,
        }
    }

    async fn commit(self: &Arc<Self>, commit: Commit, state: State) -> Result<(), StoreError> {
        let context = self.clone();
        let now = now_ms();
        self.store
            .run(move |store| match commit {
                Commit::Nothing => store.record(&state, now),
                Commit::Scan(chunk) => store.commit_scan(&chunk, &state, context.by(), now),
                Commit::Sealed => store.finish_scan(&state, now),
                Commit::Submitted { file, token } => store.submitted(file, &token, &state, now),
                Commit::Imported(job) => store.imported(&job, &state, context.by(), now),
            })
            .await
    }

    /// Remembers what stands in the way, for `status` and for whoever watches.
    pub async fn note(&self, error: String) -> Result<(), StoreError> {
        self.meters.say(&error);
        self.store
            .run(move |store| store.record_error(&error, now_ms()))
            .await
    }
}

/// A call's error as a decision.
pub(super) fn trouble(error: CallError) -> Trouble {
    let passing = |message, retry_after_ms| Trouble::Passing {
        message,
        retry_after_ms,
    };
    let message = error.to_string();
    match error {
        CallError::Problem(Problem::InvalidSettings(_)) => {
            Trouble::Lasting(Reason::InvalidSettings(message))
        }
        CallError::Problem(Problem::Unauthorized(message)) => {
            Trouble::Lasting(Reason::Unauthorized(message))
        }
        CallError::Problem(Problem::Throttled(throttle)) => {
            passing(message, throttle.retry_after_ms)
        }
        CallError::Problem(Problem::Fatal(message)) => Trouble::Lasting(Reason::Fatal(message)),
        _ => passing(message, None),
    }
}

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
