//! Makes a call again from its tape: in the sandbox, within the limits of the capture, and nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use super::call::{self, Input};
use super::exchange::CapturedExchange;
use super::memory::{CapturedChange, CapturedText, Memories};
use super::outcome::Outcome;
use super::remembering::{Recalling, Remembering};
use crate::capability::http::{Exchange, Policy, Tape};
use crate::capability::{Http, LogSink, StagedFile, State};
use crate::plugin::types::Settings;
use crate::plugin::{CallError, Grant, Limits, Moment, Plugin, Session, Turns};
use crate::usage::{Usage, Used};

/// How long a component may compute after the last answer, before a request that is never answered ends the call.
const GRACE: Duration = Duration::from_millis(500);

/// What a plugin works under while its calls are made again.
#[derive(Clone)]
pub struct Rig {
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    pub(crate) turns: Turns,
}

/// What came of a call that was made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// Its requests with what the tape had for them, and the place on the tape where that stood.
    pub exchanges: Vec<(CapturedExchange, Option<usize>)>,
    /// The places on the tape that it did not ask for.
    pub left: Vec<usize>,
    /// What it found of what the plugin remembers, in order.
    pub state: Vec<CapturedText>,
    /// What it changed of it, in order. Nothing has changed but in memory.
    pub remembers: Vec<CapturedChange>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it has used.
    pub used: Used,
}

/// A call that is to be made again.
#[derive(Debug)]
pub(super) struct Again<'a> {
    pub input: &'a Input,
    pub tape: Vec<Exchange>,
    /// What it finds of what the plugin remembers.
    pub state: Vec<CapturedText>,
    /// When it began; now, if that is not known.
    pub moment: Option<Moment>,
    /// Whether a request may get the answer of another path.
    pub any_path: bool,
    /// How the call ended that the tape is of, if it waited too long: so it ends again where the tape does.
    /// A request that was given up, by a plugin that went on without its answer, is never answered here either.
    pub over: Option<Outcome>,
}

impl Rig {
    /// Makes a captured call under a plugin. The tape is that of the capture.
    pub async fn replay(&self, plugin: &Plugin, captured: &call::Call) -> Replayed {
        let again = Again {
            input: &captured.input,
            tape: captured.exchanges.iter().map(Into::into).collect(),
            state: captured.state.clone(),
            moment: captured.began.as_ref().map(|began| began.0),
            any_path: false,
            over: captured.outcome.of_waiting(),
        };
        self.play(plugin, again).await
    }

    pub(super) async fn play(&self, plugin: &Plugin, again: Again<'_>) -> Replayed {
        let tape = Tape::new(self.policy.clone(), again.tape, again.any_path);
        let memory = Recalling::new(again.state);
        let remembering = Remembering::new(memory.clone());
        let usage = Arc::<Usage>::default();
        let grant = Grant {
            http: Http::Tape(tape.clone()),
            log: LogSink::keeping(&self.limits),
            state: State::Kept(remembering.clone()),
            staged: staged(again.input),
            turns: self.turns.clone(),
            usage: usage.clone(),
            moment: again.moment,
        };
        let call = self.call(plugin, again.input, grant);
        let outcome = match again.over {
            None => call.await,
            Some(over) => tokio::select! {
                biased;
                outcome = call => outcome,
                () = silence(&tape) => over,
                () = memory.ended() => over,
            },
        };
        let (played, left) = tape.take();
        // No capture has more than a tape holds: that there is more differs anyway.
        let (Memories { state, remembers }, _) = remembering.take_part();
        let exchanges = played.iter().map(|played| (played.into(), played.of));
        Replayed {
            exchanges: exchanges.collect(),
            left,
            state,
            remembers,
            outcome,
            used: usage.take().used,
        }
    }

    async fn call(&self, plugin: &Plugin, input: &Input, grant: Grant) -> Outcome {
        let session = match plugin.open(&self.settings, grant, self.limits).await {
            Ok(session) => session,
            Err(error) => return Outcome::of::<()>(&Err(error)),
        };
        match self.answer(session, input).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::of::<()>(&Err(error)),
        }
    }

    async fn answer(&self, session: Session, input: &Input) -> Result<Outcome, CallError> {
        use super::seen::Seen;
        Ok(match input {
            Input::Stage { offset, rows } => {
                session.stage(&call::flat(rows), *offset).await?.seen()
            }
            Input::Submit { file } => session.submit(&call::file(file)).await?.seen(),
            Input::Poll { token } => session.poll(token).await?.seen(),
            Input::Deliver { rows } => session.deliver(&call::flat(rows)).await?.seen(),
        })
    }
}

/// Returns when the tape has ended, and the component does nothing about it.
async fn silence(tape: &Tape) {
    loop {
        tape.ended().await;
        tokio::time::sleep(GRACE).await;
        if tape.is_over() {
            return;
        }
    }
}

/// The file of a `submit`: by name and size. Nobody reads it, since nothing is sent.
fn staged(input: &Input) -> Option<StagedFile> {
    match input {
        Input::Submit { file } => Some(StagedFile {
            id: file.id.clone(),
            path: "it is in no capture".into(),
            bytes: file.bytes,
            sent: Arc::default(),
        }),
        _ => None,
    }
}
