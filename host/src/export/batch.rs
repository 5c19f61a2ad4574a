//! One batch on its way to the destination: from waiting changes to rows, from an answer to outcomes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::clock::Clock;
use super::context::{Context, trouble};
use super::exporter::Exporter;
use super::isolate::{Piece, is_crash, isolate};
use super::machine::{Passing, Reason, Trouble};
use super::retry::CALLS;
use crate::plugin::CallError;
use crate::plugin::flat::Rows;
use crate::plugin::types::Delivery;
use crate::store::{Outcome, Pending};

/// Changes with what became of them.
pub(super) type Settled = Vec<(Pending, Outcome)>;

/// Changes that are sent together.
pub(super) struct Batch {
    /// As the plugin gets them.
    pub rows: Rows,
    /// The same, row by row.
    pub pending: Vec<Pending>,
}

/// What came of a batch.
#[derive(Default)]
pub(super) struct Delivered {
    /// What is settled.
    pub settled: Settled,
    /// What stands in the way of the rest.
    pub trouble: Option<Trouble>,
    /// Whether the plugin failed, on a row or on all.
    pub crashed: bool,
}

impl Batch {
    /// Makes rows of changes. Those that cannot be read are settled at once.
    pub fn new(context: &Context, taken: Vec<Pending>) -> (Self, Settled) {
        let mut batch = Self {
            rows: Rows::default(),
            pending: vec![],
        };
        let mut unreadable = vec![];
        for pending in taken {
            let (payload, kind) = (&pending.payload, pending.kind);
            match context
                .projection
                .push_payload(payload, kind, &mut batch.rows)
            {
                Ok(()) => batch.pending.push(pending),
                Err(error) => {
                    let outcome = Outcome::Rejected {
                        field: None,
                        reason: format!("what was kept of it {error}"),
                    };
                    unreadable.push((pending, outcome));
                }
            }
        }
        (batch, unreadable)
    }

    /// Some of its rows.
    pub fn pick(&self, indices: &[usize], columns: usize) -> Self {
        Self {
            rows: self.rows.pick(indices, columns),
            pending: indices
                .iter()
                .map(|&index| self.pending[index].clone())
                .collect(),
        }
    }
}

/// Has a version send a batch. A row that it fails on is found and set apart.
pub(super) async fn deliver(
    context: &Arc<Context>,
    by: &Arc<dyn Exporter>,
    batch: &Batch,
) -> Delivered {
    let columns = context.projection.columns();
    let isolated = isolate(batch.rows.len(), |range| {
        let (rows, by) = (batch.rows.slice(range, columns), by.clone());
        async move { by.deliver(&rows).await }
    })
    .await;
    let mut done = Delivered::default();
    let mut hindrance = None;
    for (range, piece) in isolated.pieces {
        let pending = |row: usize| batch.pending[range.start + row].clone();
        match piece {
            Piece::Answer(delivery) => {
                context.poison.store(0, Ordering::Relaxed);
                let rows = range.len();
                let why = sort(&context.clock, delivery, rows, pending, &mut done.settled);
                hindrance = hindrance.or(why);
            }
            Piece::Poison(error) => {
                done.crashed = true;
                if let Err(reason) = context.poisoned(&error) {
                    done.trouble = Some(Trouble::Lasting(reason));
                    return done;
                }
                let reason = format!("the plugin failed on this row: {error}");
                let outcome = Outcome::Rejected {
                    field: None,
                    reason,
                };
                done.settled.push((pending(0), outcome));
            }
        }
    }
    let ended = isolated.error.map(|error| match is_crash(&error) {
        true => {
            done.crashed = true;
            Trouble::Lasting(Reason::PluginFails(error.to_string()))
        }
        false => trouble(error),
    });
    done.trouble = ended.or(hindrance);
    done
}

/// Sorts the rows of one answer into outcomes. Rows to retry are put off one by one where others
/// got through; where none did, the whole lane waits, and so does one that was told to.
pub(super) fn sort(
    clock: &Clock,
    delivery: Delivery,
    rows: usize,
    pending: impl Fn(usize) -> Pending,
    settled: &mut Settled,
) -> Option<Trouble> {
    let why = delivery
        .why
        .map(|problem| trouble(CallError::Problem(problem)));
    let mut rejected: HashMap<usize, _> = delivery
        .rejected
        .into_iter()
        .map(|rejection| (rejection.row as usize, rejection))
        .collect();
    let retry: HashSet<usize> = delivery.retry.iter().map(|&row| row as usize).collect();
    let stuck = retry.len() == rows && rows > 0;
    let asked = matches!(
        why,
        Some(Trouble::Passing {
            kind: Passing::Throttled,
            ..
        })
    );
    let hindrance = match why {
        Some(Trouble::Passing {
            retry_after_ms: None,
            ..
        }) if !stuck => None,
        _ if retry.is_empty() => None,
        why => why,
    };
    let now = clock.now_ms();
    for row in 0..rows {
        let pending = pending(row);
        let outcome = if let Some(rejection) = rejected.remove(&row) {
            Outcome::Rejected {
                field: rejection.field,
                reason: rejection.reason,
            }
        } else if !retry.contains(&row) {
            Outcome::Delivered
        } else if hindrance.is_none() {
            let pause = CALLS.pause_ms(pending.attempt, clock.dice(), None);
            Outcome::Retry {
                not_before_ms: now + pause as i64,
                asked,
            }
        } else {
            continue;
        };
        settled.push((pending, outcome));
    }
    hindrance
}
