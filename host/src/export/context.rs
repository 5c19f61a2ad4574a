//! What the work on one export shares, and what each piece of work answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bell::Bell;
use super::clock::Clock;
use super::exporter::Exporter;
use super::isolate::is_crash;
use super::machine::{Input, Passing, Reason, State, Trouble};
use super::meters::Meters;
use super::spec::ExportSpec;
use super::versions::{Bring, Rollouts, Running};
use crate::capability::http::Account;
use crate::plugin::CallError;
use crate::plugin::types::Problem;
use crate::source::Projection;
use crate::store::{Imported, ScanChunk, Store, StoreError, Together};
use crate::usage::{Bills, Usage};

/// Rows in a row that a plugin may fail on before it is the plugin that is at fault.
const POISON_IN_A_ROW: u32 = 20;

/// Everything that the work on one export shares.
pub(super) struct Context {
    pub spec: ExportSpec,
    pub name: String,
    pub projection: Arc<Projection>,
    pub together: Together,
    /// The versions of its plugin.
    pub versions: Running,
    /// Where other versions come from.
    pub bring: Box<dyn Bring>,
    /// What other exports say of the same swap.
    pub rollouts: Rollouts,
    /// What the exports of the authorization share.
    pub account: Arc<Account>,
    pub store: Store,
    pub clock: Clock,
    pub meters: Arc<Meters>,
    /// What the host's work is counted into: the bill of the version that it was started with.
    pub usage: Arc<Usage>,
    /// What the calls of every version are counted into.
    pub bills: Bills,
    pub stop: CancellationToken,
    /// Whether a command of an operator waits.
    pub commands: watch::Sender<bool>,
    /// Rings whenever something was accepted, settled, or a phase began.
    pub activity: Bell,
    /// Whether the changes source has nothing more for now.
    pub source_at_end: watch::Sender<bool>,
    pub poison: AtomicU32,
}

/// Who decides about rows: one version of the plugin.
pub(super) struct By(Arc<dyn Exporter>);

impl By {
    /// Its name and version.
    pub fn names(&self) -> (&str, &str) {
        let manifest = self.0.manifest();
        (&manifest.name, &manifest.version)
    }
}

/// What an effect has brought, to be committed with the state that it leads to.
pub(super) struct Done {
    pub input: Input,
    pub commit: Commit,
}

impl Done {
    /// An input that brings no data with it.
    pub fn nothing(input: Input) -> Self {
        Self {
            input,
            commit: Commit::Nothing,
        }
    }
}

/// What is committed beside the state.
pub(super) enum Commit {
    Nothing,
    Scan(Box<ScanChunk>),
    Sealed,
    Submitted {
        file: u32,
        token: String,
        /// The SHA-256 of the component that began the job.
        by: String,
    },
    Imported(Box<Imported>),
    /// An operator's command was obeyed.
    Command(i64),
}

/// Why an effect has brought nothing.
pub(super) enum Halt {
    Trouble(Trouble),
    Store(StoreError),
    /// The host is stopping.
    Stopped,
    /// An operator wants something.
    Command,
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        match error {
            // The store itself is sound: a person can put the file back.
            StoreError::Staged { .. } => Reason::Staged(error.to_string()).into(),
            error => Self::Store(error),
        }
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
    /// The version of the plugin that works now. Whoever makes several calls that belong together
    /// holds on to it.
    pub fn exporter(&self) -> Arc<dyn Exporter> {
        self.versions.active()
    }

    /// The name and version of the plugin that works now, for what is kept.
    pub fn by(&self) -> By {
        By(self.exporter())
    }

    /// Marks what was used as due, whichever version used it. Whether any is.
    pub fn fall_due(&self, now_ms: i64) -> bool {
        let bills = self.bills.all().into_iter();
        bills.fold(false, |due, bill| bill.usage.fall_due(now_ms) | due)
    }

    /// Counts a row that the plugin failed on; an error once it is too many in a row.
    pub fn poisoned(&self, error: &CallError) -> Result<(), Reason> {
        match self.poison.fetch_add(1, Ordering::Relaxed) {
            n if n + 1 >= POISON_IN_A_ROW => Err(Reason::PluginFails(error.to_string())),
            _ => Ok(()),
        }
    }

    pub fn bump(&self) {
        self.activity.ring();
    }

    /// Waits; an error if the host is stopping meanwhile, or an operator wants something.
    pub async fn pause(&self, ms: u64) -> Result<(), Halt> {
        tokio::select! {
            biased;
            halt = self.halt() => Err(halt),
            () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(()),
        }
    }

    /// Does something that may be given up at any moment; an error as for `pause`.
    pub async fn unless_halted<T>(&self, work: impl Future<Output = T>) -> Result<T, Halt> {
        tokio::select! {
            biased;
            halt = self.halt() => Err(halt),
            done = work => Ok(done),
        }
    }

    /// Returns when the host is stopping or an operator wants something.
    pub async fn halt(&self) -> Halt {
        let mut commands = self.commands.subscribe();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Halt::Stopped,
            // The sender lives as long as `self`.
            _ = commands.wait_for(|waiting| *waiting) => Halt::Command,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// One transaction: what an effect has brought, and the state that it leads to.
    pub async fn commit(self: &Arc<Self>, commit: Commit, state: State) -> Result<(), StoreError> {
        let context = self.clone();
        let now = self.now_ms();
        // What was used goes along: it is one more line in a transaction that happens anyway.
        self.fall_due(now);
        self.store
            .run(move |store| {
                match commit {
                    Commit::Nothing => return store.record(&state, now),
                    Commit::Command(id) => return store.obeyed(id, &state, now),
                    Commit::Submitted { file, token, by } => {
                        return store.submitted(file, (&token, &by), &state, now);
                    }
                    Commit::Scan(chunk) => {
                        store.commit_scan(&chunk, &state, context.by().names(), now)?;
                    }
                    Commit::Sealed => store.finish_scan(&state, now)?,
                    Commit::Imported(job) => {
                        store.imported(&job, &state, context.by().names(), now)?;
                        // The version that began the job may not be needed any more.
                        context.versions.forget(&store.components()?);
                    }
                }
                // These have changed what lies on the disk.
                context.usage.staged(store.staged_bytes()?, now);
                Ok(())
            })
            .await
    }

    /// Remembers what stands in the way, for `status` and for whoever watches, and after how many
    /// milliseconds it is tried again.
    pub async fn note(&self, error: String, pause_ms: Option<u64>) -> Result<(), StoreError> {
        self.meters.say(&error);
        let now = self.now_ms();
        self.store
            .run(move |store| {
                let again = pause_ms.map(|pause| now.saturating_add_unsigned(pause));
                store.record_error(&error, now, again)
            })
            .await
    }
}

/// A call's error as a decision.
pub(super) fn trouble(error: CallError) -> Trouble {
    let passing = |kind, message, retry_after_ms| Trouble::Passing {
        kind,
        message,
        retry_after_ms,
    };
    let crash = is_crash(&error);
    let message = error.to_string();
    match error {
        CallError::Problem(Problem::InvalidSettings(_)) => {
            Trouble::Lasting(Reason::InvalidSettings(message))
        }
        CallError::Problem(Problem::Unauthorized(message)) => {
            Trouble::Lasting(Reason::Unauthorized(message))
        }
        CallError::Problem(Problem::Throttled(throttle)) => {
            passing(Passing::Throttled, message, throttle.retry_after_ms)
        }
        CallError::Problem(Problem::Fatal(message)) => Trouble::Lasting(Reason::Fatal(message)),
        _ if crash => passing(Passing::Crash, message, None),
        _ => passing(Passing::Transient, message, None),
    }
}
