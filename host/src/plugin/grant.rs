//! What an instance is given.

use std::sync::Arc;

use super::moment::Moment;
use super::turn::Turns;
use crate::capability::{Http, LogSink, StagedFile, State};
use crate::usage::Usage;

/// What an instance may do besides computing.
#[derive(Clone)]
pub struct Grant {
    /// Requests to the destination.
    pub http: Http,
    /// Lines for the operator.
    pub log: LogSink,
    /// What it remembers.
    pub state: State,
    /// The one file that it may send.
    pub staged: Option<StagedFile>,
    /// Turns at computing, which it shares with the other calls of its export.
    pub turns: Turns,
    /// Who pays for it.
    pub usage: Arc<Usage>,
    /// When it begins, if that is not now.
    pub moment: Option<Moment>,
}

impl Grant {
    /// Nothing but lines for the operator.
    pub fn none(log: LogSink) -> Self {
        Self {
            http: Http::Nothing,
            log,
            state: State::Nothing,
            staged: None,
            turns: Turns::default(),
            usage: Arc::default(),
            moment: None,
        }
    }
}
