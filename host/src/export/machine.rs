//! The export machine: what follows from what. Pure: no clock, no async, no I/O.
//!
//! ```text
//! Scanning ─► Sealing ─► Submitting ─► Importing ─► CatchingUp ─► Live
//!     └──────────┴───────────┴─────────────┴────────────┴──────────┴──► Parked(reason)
//! ```
//!
//! `run` performs an effect, learns an input from it, asks `step`, and commits the new state in
//! the transaction that also holds whatever the effect has brought. After a crash it asks `resume`
//! what to do in the state that is on disk: so each effect must bear repetition.

use serde::{Deserialize, Serialize};

/// Where an export is. Durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum State {
    /// Reading the whole audience into staged files.
    Scanning,
    /// The scan is over; superseded rows are cut out of the staged files.
    Sealing,
    /// Starting the import jobs, one a file.
    Submitting {
        /// The files whose jobs are still to be started, the next one first.
        submitting: Vec<u32>,
        /// The files whose jobs were started.
        waiting: Vec<u32>,
    },
    /// Waiting for the import jobs.
    Importing {
        /// The files whose jobs have not ended.
        waiting: Vec<u32>,
        /// For how long they were waited for, in milliseconds. Only time in which somebody really
        /// waited counts: so neither a clock that jumps nor a night without sluice makes a job
        /// overdue.
        waited_ms: u64,
        /// A person had it asked about once more after it was found to be beyond help, and since then
        /// nothing was heard of it.
        #[serde(default)]
        doubted: bool,
    },
    /// Sending the changes that waited for the import.
    CatchingUp {
        /// The last place in the line when the import had succeeded.
        until: i64,
    },
    /// Sending changes as they come.
    Live,
    /// Not working until a person has done something; the data is kept.
    Parked {
        /// What is to be done.
        reason: Reason,
        /// Where it goes on.
        from: Box<State>,
    },
}

/// Why an export is parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", content = "message", rename_all = "kebab-case")]
pub enum Reason {
    /// The destination refused the credential.
    Unauthorized(String),
    /// The plugin or the destination refused the settings.
    InvalidSettings(String),
    /// An import job failed.
    ImportFailed(String),
    /// An import job was pending for too long.
    ImportTimeout(String),
    /// The plugin says that it can not work.
    Fatal(String),
    /// The plugin fails on every row.
    PluginFails(String),
    /// A source cannot be read on.
    Source(String),
    /// An operator said so.
    Paused(String),
    /// A staged file is not what was written.
    Staged(String),
    /// It would take more than it was granted.
    Limit(String),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, message) = match self {
            Self::Unauthorized(m) => ("the destination refused the credential", m),
            Self::InvalidSettings(m) => ("the settings were refused", m),
            Self::ImportFailed(m) => ("an import job failed", m),
            Self::ImportTimeout(m) => ("an import job takes too long", m),
            Self::Fatal(m) => ("the destination cannot be worked with", m),
            Self::PluginFails(m) => ("the plugin fails on every row", m),
            Self::Source(m) => ("a source cannot be read", m),
            Self::Paused(m) => ("paused", m),
            Self::Staged(m) => ("a staged file is damaged", m),
            Self::Limit(m) => ("a limit of this export is reached", m),
        };
        write!(f, "{what}: {message}")
    }
}

impl Reason {
    /// The names of all kinds.
    pub const WHYS: [&str; 10] = [
        "unauthorized",
        "invalid-settings",
        "import-failed",
        "import-timeout",
        "fatal",
        "plugin-fails",
        "source",
        "paused",
        "staged",
        "limit",
    ];

    /// The kind's name, without what was said.
    pub fn why(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "unauthorized",
            Self::InvalidSettings(_) => "invalid-settings",
            Self::ImportFailed(_) => "import-failed",
            Self::ImportTimeout(_) => "import-timeout",
            Self::Fatal(_) => "fatal",
            Self::PluginFails(_) => "plugin-fails",
            Self::Source(_) => "source",
            Self::Paused(_) => "paused",
            Self::Staged(_) => "staged",
            Self::Limit(_) => "limit",
        }
    }
}

impl State {
    /// The names of all phases.
    pub const PHASES: [&str; 7] = [
        "scanning",
        "sealing",
        "submitting",
        "importing",
        "catching-up",
        "live",
        "parked",
    ];

    /// The phase's name.
    pub fn phase(&self) -> &'static str {
        match self {
            Self::Scanning => "scanning",
            Self::Sealing => "sealing",
            Self::Submitting { .. } => "submitting",
            Self::Importing { .. } => "importing",
            Self::CatchingUp { .. } => "catching-up",
            Self::Live => "live",
            Self::Parked { .. } => "parked",
        }
    }

    /// Where a new export begins.
    pub fn first(backfill: bool) -> Self {
        if backfill {
            Self::Scanning
        } else {
            Self::CatchingUp { until: 0 }
        }
    }
}

/// What the world has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A chunk of the scan is in the staged files; `end` says that it was the last.
    Scanned {
        /// Whether the source is read to its end.
        end: bool,
    },
    /// Every staged file is complete.
    Sealed {
        /// The files that have rows.
        files: Vec<u32>,
    },
    /// A file's import job was started.
    Submitted {
        /// Which file.
        file: u32,
    },
    /// An import job is not done.
    Pending {
        /// How long it was waited for since it was last asked about, in milliseconds.
        waited_ms: u64,
        /// How long it may be waited for in all.
        limit_ms: u64,
    },
    /// An import job has succeeded.
    Imported {
        /// Whose job.
        file: u32,
        /// The last place in the line of changes now.
        line_end: i64,
    },
    /// An import job has failed.
    ImportFailed(String),
    /// All changes up to a place in the line are done.
    CaughtUp,
    /// The destination accepts the credential.
    Accepted,
    /// An operator wants it to rest.
    Pause,
    /// An operator wants it to go on.
    Resume,
    /// Something stands in the way.
    Trouble(Trouble),
}

/// What stands in the way, as a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It goes away by itself: the same again, after a pause.
    Passing {
        /// Of which kind, which says how long the pause is.
        kind: Passing,
        /// What happened.
        message: String,
        /// How long the destination asked to wait.
        retry_after_ms: Option<u32>,
    },
    /// It needs a person.
    Lasting(Reason),
}

/// Kinds of trouble that goes away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The destination asks for patience.
    Throttled,
    /// No answer, or a server error.
    Transient,
    /// The plugin itself failed in a call that concerns no single row.
    Crash,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read and stage the next chunk of the scan.
    Scan,
    /// Complete the staged files.
    Seal,
    /// Start the import job of a file.
    Submit(u32),
    /// Ask what became of a file's import job, after the usual pause.
    Poll(u32),
    /// Deliver changes until something stands in the way, or until the line is done up to here.
    Deliver {
        /// Where to say that it has caught up.
        until: Option<i64>,
    },
    /// The same as before, after a pause that grows.
    Again {
        /// Which kind of pause.
        kind: Passing,
        /// How long the destination asked to wait.
        retry_after_ms: Option<u32>,
    },
    /// Read the credential anew, and ask whether it is accepted now; in between, pauses that grow.
    Recheck,
    /// Nothing, until a person has done something.
    Rest,
}

/// What to do in a state that was found on disk. Starting again is a person's word to try again,
/// so a parked export goes on where it was, unless it was that person who paused it. A restart may be
/// nobody's word, though, so it alone never gives a job up whose end nobody knows.
pub fn resume(state: State) -> (State, Effect) {
    let state = match state {
        State::Parked {
            reason: Reason::Paused(_),
            ..
        } => state,
        State::Parked { reason, from } => unpark(reason, *from),
        state => state,
    };
    let effect = effect(&state);
    (state, effect)
}

/// A job that has failed is not asked about again: its file is submitted anew.
fn unpark(reason: Reason, from: State) -> State {
    match (reason, from) {
        (Reason::ImportFailed(_) | Reason::ImportTimeout(_), State::Importing { waiting, .. }) => {
            anew(waiting)
        }
        // Paused while it was parked.
        (_, State::Parked { reason, from }) => unpark(reason, *from),
        (_, from) => from,
    }
}

/// A person lets it go on. A job that cannot be asked about may be gone, or only the settings are
/// wrong: so it is asked about once more, and if that is no use either, a person's next word gives it
/// up. One that still runs would bring old values after newer ones: hence never without that word.
fn resumed(reason: Reason, from: State) -> State {
    match (reason, from) {
        (
            Reason::Fatal(_) | Reason::InvalidSettings(_),
            State::Importing {
                waiting,
                waited_ms,
                doubted,
            },
        ) => match doubted {
            true => anew(waiting),
            false => State::Importing {
                waiting,
                waited_ms,
                doubted: true,
            },
        },
        (_, State::Parked { reason, from }) => resumed(reason, *from),
        (reason, from) => unpark(reason, from),
    }
}

/// The file of the job that is asked about, which is the first, is submitted anew.
fn anew(mut waiting: Vec<u32>) -> State {
    let others = waiting.split_off(1);
    State::Submitting {
        submitting: waiting,
        waiting: others,
    }
}

fn effect(state: &State) -> Effect {
    match state {
        State::Scanning => Effect::Scan,
        State::Sealing => Effect::Seal,
        // Neither list is ever empty.
        State::Submitting { submitting, .. } => Effect::Submit(submitting[0]),
        State::Importing { waiting, .. } => Effect::Poll(waiting[0]),
        State::CatchingUp { until } => Effect::Deliver {
            until: Some(*until),
        },
        State::Live => Effect::Deliver { until: None },
        State::Parked {
            reason: Reason::Unauthorized(_),
            ..
        } => Effect::Recheck,
        State::Parked { .. } => Effect::Rest,
    }
}

/// The next state and what to do in it. An input that does not fit the state changes nothing.
pub fn step(state: State, input: Input) -> (State, Effect) {
    let next = match (state, input) {
        (
            state @ State::Parked {
                reason: Reason::Unauthorized(_),
                ..
            },
            Input::Trouble(Trouble::Passing { .. }),
        ) => state,
        (
            state,
            Input::Trouble(Trouble::Passing {
                kind,
                retry_after_ms,
                ..
            }),
        ) => {
            return (
                state,
                Effect::Again {
                    kind,
                    retry_after_ms,
                },
            );
        }
        // What a person has paused, only a person lets go on.
        (
            state @ State::Parked {
                reason: Reason::Paused(_),
                ..
            },
            Input::Trouble(Trouble::Lasting(_)) | Input::Accepted | Input::Pause,
        ) => state,
        (state, Input::Pause) => State::Parked {
            reason: Reason::Paused("by `sluice pause`; `sluice resume` lets it go on".to_owned()),
            from: Box::new(state),
        },
        (State::Parked { reason, from }, Input::Resume) => resumed(reason, *from),
        (
            State::Parked {
                reason: Reason::Unauthorized(_),
                from,
            },
            Input::Accepted,
        ) => *from,
        (state, Input::Trouble(Trouble::Lasting(reason))) => {
            let reason = said(reason, &state);
            park(state, reason)
        }
        (State::Scanning, Input::Scanned { end: true }) => State::Sealing,
        (State::Sealing, Input::Sealed { files }) if files.is_empty() => {
            State::CatchingUp { until: 0 }
        }
        (State::Sealing, Input::Sealed { files }) => State::Submitting {
            submitting: files,
            waiting: vec![],
        },
        (
            State::Submitting {
                mut submitting,
                mut waiting,
            },
            Input::Submitted { file },
        ) if submitting.contains(&file) => {
            submitting.retain(|&other| other != file);
            waiting.push(file);
            if submitting.is_empty() {
                importing(waiting, 0)
            } else {
                State::Submitting {
                    submitting,
                    waiting,
                }
            }
        }
        (
            State::Importing {
                waiting,
                waited_ms: before,
                ..
            },
            Input::Pending {
                waited_ms,
                limit_ms,
            },
        ) => {
            let waited_ms = before.saturating_add(waited_ms);
            let state = importing(waiting, waited_ms);
            if waited_ms < limit_ms {
                state
            } else {
                park(state, Reason::ImportTimeout(overdue(waited_ms, limit_ms)))
            }
        }
        (
            State::Importing {
                mut waiting,
                waited_ms,
                ..
            },
            Input::Imported { file, line_end },
        ) => {
            waiting.retain(|&other| other != file);
            if waiting.is_empty() {
                State::CatchingUp { until: line_end }
            } else {
                importing(waiting, waited_ms)
            }
        }
        (state @ State::Importing { .. }, Input::ImportFailed(message)) => {
            park(state, Reason::ImportFailed(message))
        }
        (State::CatchingUp { .. }, Input::CaughtUp) => State::Live,
        (state, _) => state,
    };
    let effect = effect(&next);
    (next, effect)
}

fn overdue(waited_ms: u64, limit_ms: u64) -> String {
    format!(
        "pending for {} minutes; `import_timeout_minutes` allows {}. Look at the job in the \
         destination; `sluice resume`, or starting again, submits the file anew",
        waited_ms / 60_000,
        limit_ms / 60_000
    )
}

/// Waiting for jobs that are heard of.
fn importing(waiting: Vec<u32>, waited_ms: u64) -> State {
    State::Importing {
        waiting,
        waited_ms,
        doubted: false,
    }
}

/// What stands in the way of a job says what to do about the job, too.
fn said(reason: Reason, state: &State) -> Reason {
    let State::Importing { doubted, .. } = state else {
        return reason;
    };
    let remedy = match doubted {
        false => "`sluice resume` asks about the import job once more",
        true => {
            "look at the import job in the destination; if it is gone or has ended, \
             `sluice resume` submits its file anew"
        }
    };
    let more = |message: String| format!("{message}. {remedy}");
    match reason {
        Reason::Fatal(message) => Reason::Fatal(more(message)),
        Reason::InvalidSettings(message) => Reason::InvalidSettings(more(message)),
        reason => reason,
    }
}

fn park(state: State, reason: Reason) -> State {
    match state {
        State::Parked { from, .. } => State::Parked { reason, from },
        from => State::Parked {
            reason,
            from: Box::new(from),
        },
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
