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
        /// Since when, in milliseconds since 1970.
        since_ms: i64,
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
    /// A staged file is not what was written.
    Staged(String),
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
            Self::Staged(m) => ("a staged file is damaged", m),
        };
        write!(f, "{what}: {message}")
    }
}

impl State {
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
        /// When.
        now_ms: i64,
    },
    /// An import job is not done.
    Pending {
        /// How long it may still take, by the export's limit; `None` if that is over.
        over_limit: Option<String>,
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
    /// Something stands in the way.
    Trouble(Trouble),
}

/// What stands in the way, as a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It goes away by itself: the same again, after a pause.
    Passing {
        /// What happened.
        message: String,
        /// How long the destination asked to wait.
        retry_after_ms: Option<u32>,
    },
    /// It needs a person.
    Lasting(Reason),
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
        /// How long the destination asked to wait.
        retry_after_ms: Option<u32>,
    },
    /// Nothing, until a person has done something.
    Rest,
}

/// What to do in a state that was found on disk. Starting again is a person's word to try again,
/// so a parked export goes on where it was.
pub fn resume(state: State) -> (State, Effect) {
    let state = match state {
        State::Parked { reason, from } => unpark(reason, *from),
        state => state,
    };
    let effect = effect(&state);
    (state, effect)
}

/// A failed job is not asked about again: its file is submitted anew.
fn unpark(reason: Reason, from: State) -> State {
    match (reason, from) {
        (Reason::ImportFailed(_) | Reason::ImportTimeout(_), State::Importing { waiting, .. }) => {
            State::Submitting {
                submitting: waiting,
                waiting: vec![],
            }
        }
        (_, from) => from,
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
        State::Parked { .. } => Effect::Rest,
    }
}

/// The next state and what to do in it. An input that does not fit the state changes nothing.
pub fn step(state: State, input: Input) -> (State, Effect) {
    let next = match (state, input) {
        (state, Input::Trouble(Trouble::Passing { retry_after_ms, .. })) => {
            return (state, Effect::Again { retry_after_ms });
        }
        (state, Input::Trouble(Trouble::Lasting(reason))) => park(state, reason),
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
            Input::Submitted { file, now_ms },
        ) if submitting.contains(&file) => {
            submitting.retain(|&other| other != file);
            waiting.push(file);
            if submitting.is_empty() {
                State::Importing {
                    waiting,
                    since_ms: now_ms,
                }
            } else {
                State::Submitting {
                    submitting,
                    waiting,
                }
            }
        }
        (
            state @ State::Importing { .. },
            Input::Pending {
                over_limit: Some(message),
            },
        ) => park(state, Reason::ImportTimeout(message)),
        (
            State::Importing {
                mut waiting,
                since_ms,
            },
            Input::Imported { file, line_end },
        ) => {
            waiting.retain(|&other| other != file);
            if waiting.is_empty() {
                State::CatchingUp { until: line_end }
            } else {
                State::Importing { waiting, since_ms }
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
