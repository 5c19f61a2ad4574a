//! What the work on one export shares, and what each piece of work answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::machine::{Input, Reason, State, Trouble};
use super::meters::Meters;
use super::now_ms;
use super::spec::ExportSpec;
use crate::capability::{Http, LogSink, StagedFile};
use crate::plugin::types::{Problem, Settings};
use crate::plugin::{CallError, Grant, Plugin, Session};
use crate::source::Projection;
use crate::store::{Imported, ScanChunk, Store, StoreError, Together};

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

    /// One transaction: what an effect has brought, and the state that it leads to.
    pub async fn commit(self: &Arc<Self>, commit: Commit, state: State) -> Result<(), StoreError> {
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
