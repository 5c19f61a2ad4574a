//! Live delivery: which users go out together, and what became of them.

use std::collections::HashMap;

use sluice_guest::http::{Failure, Request, Response};
use sluice_guest::{Batch, Cell, Change, Delivery, Problem, Rejection, Row};

use crate::options::Exit;
use crate::row::{self, Identities};
use crate::session::Session;
use crate::user_json;
use crate::value::Value;
use crate::verdict::{Call, Verdict, judge};

/// Sends requests at once and answers in their order, as the contract's `send-all`.
pub trait SendAll: FnMut(&[Request]) -> Vec<Result<Response, Failure>> {}
impl<T: FnMut(&[Request]) -> Vec<Result<Response, Failure>>> SendAll for T {}

/// One row that is to be sent.
struct Sending<'a> {
    row: Row<'a>,
    values: Vec<Value<'a>>,
    identities: Vec<String>,
}

/// Sends a batch. Rows that share an identity go out one after the other, in their order; all
/// others at once. A problem of the whole batch loses no row that was accepted before it.
pub fn deliver(
    batch: &Batch,
    session: &Session,
    mut send_all: impl SendAll,
) -> Result<Delivery, Problem> {
    let mut outcome = Outcome::default();
    let waves = waves(batch, session, &mut outcome)?;
    for wave in waves {
        let (now, later): (Vec<_>, Vec<_>) = wave
            .into_iter()
            .partition(|sending| outcome.may_send(sending));
        for sending in &later {
            outcome.hold(sending);
        }
        if now.is_empty() {
            continue;
        }
        let requests: Vec<_> = now
            .iter()
            .map(|sending| user_json::request(&session.plan, &session.options, &sending.values))
            .collect();
        let mut answers = send_all(&requests).into_iter();
        for sending in &now {
            let missing = || Err(Failure::Other("the host gave no answer".to_owned()));
            let answer = answers.next().unwrap_or_else(missing);
            let cells: Vec<Cell<'_>> = sending.row.cells().collect();
            let shown: Vec<&str> = cells
                .iter()
                .map(|cell| cell.text)
                .chain(sending.values.iter().map(Value::as_text))
                .collect();
            match judge(Call::User(session.options.users_method), &answer, &shown) {
                Verdict::Accepted => {}
                Verdict::Rejected(reason) => outcome.reject(sending.row.index, None, reason),
                Verdict::Problem(problem) => outcome.retry(sending, problem),
                // Of a user nothing is judged so.
                Verdict::Gone(said) => outcome.retry(sending, Problem::Transient(said)),
            }
        }
    }
    Ok(outcome.finish())
}

/// The rows in waves: within one, no two rows share an identity; across them, the order of those
/// that do is kept. Rows that can not be sent go to the outcome.
fn waves<'a>(
    batch: &'a Batch,
    session: &Session,
    outcome: &mut Outcome,
) -> Result<Vec<Vec<Sending<'a>>>, Problem> {
    let Session { plan, options } = session;
    let mut scratch = Identities::default();
    let mut waves: Vec<Vec<Sending<'a>>> = Vec::new();
    for row in session.rows(batch)?.iter() {
        if row.change == Change::Exited && options.exit == Exit::Ignore {
            continue;
        }
        let mut values = Vec::with_capacity(plan.targets.len());
        if let Err(refusal) = row::read(row, plan, options, &mut values) {
            outcome.reject(row.index, refusal.field, refusal.reason);
            continue;
        }
        let identities: Vec<_> = scratch.of(plan, &values).map(str::to_owned).collect();
        let known = &mut outcome.known;
        let free = identities.iter().filter_map(|identity| known.get(identity));
        let wave = free.map(|known| known.free).max().unwrap_or(0);
        for identity in &identities {
            known.insert(
                identity.clone(),
                Known {
                    free: wave + 1,
                    held: false,
                },
            );
        }
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        if let Some(wave) = waves.get_mut(wave) {
            wave.push(Sending {
                row,
                values,
                identities,
            });
        }
    }
    Ok(waves)
}

/// What is known of an identity.
struct Known {
    /// The first wave in which no row has it.
    free: usize,
    /// Whether a row that has it is to be retried: later rows of the same user wait for it.
    held: bool,
}

/// What became of the rows so far.
#[derive(Default)]
struct Outcome {
    rejected: Vec<Rejection>,
    retry: Vec<u32>,
    why: Option<Problem>,
    known: HashMap<String, Known>,
}

impl Outcome {
    /// Whether a row can go out: nothing before it waits, and the destination takes more.
    fn may_send(&self, sending: &Sending<'_>) -> bool {
        let stopped = self
            .why
            .as_ref()
            .is_some_and(|why| gravity(why) > (Gravity::Transient, 0));
        let is_held = |id: &String| self.known.get(id).is_some_and(|known| known.held);
        !stopped && !sending.identities.iter().any(is_held)
    }

    fn reject(&mut self, row: u32, field: Option<String>, reason: String) {
        self.rejected.push(Rejection { row, field, reason });
    }

    fn hold(&mut self, sending: &Sending<'_>) {
        self.retry.push(sending.row.index);
        for identity in &sending.identities {
            if let Some(known) = self.known.get_mut(identity) {
                known.held = true;
            }
        }
    }

    fn retry(&mut self, sending: &Sending<'_>, problem: Problem) {
        self.hold(sending);
        // Of two that are equally grave, the first stays.
        if self
            .why
            .as_ref()
            .is_none_or(|why| gravity(&problem) > gravity(why))
        {
            self.why = Some(problem);
        }
    }

    fn finish(mut self) -> Delivery {
        self.retry.sort_unstable();
        self.rejected.sort_by_key(|rejection| rejection.row);
        Delivery {
            rejected: self.rejected,
            retry: self.retry,
            why: self.why,
            extra: Vec::new(),
        }
    }
}

/// How grave a problem is for the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gravity {
    Transient,
    Throttled,
    Settings,
    Credential,
}

/// Gravity, and among throttled ones the delay in milliseconds plus one.
fn gravity(problem: &Problem) -> (Gravity, u64) {
    match problem {
        Problem::Transient(_) => (Gravity::Transient, 0),
        Problem::Throttled(throttle) => {
            let delay = throttle.retry_after_ms.map_or(0, |ms| u64::from(ms) + 1);
            (Gravity::Throttled, delay)
        }
        Problem::InvalidSettings(_) | Problem::Fatal(_) => (Gravity::Settings, 0),
        Problem::Unauthorized(_) => (Gravity::Credential, 0),
    }
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
