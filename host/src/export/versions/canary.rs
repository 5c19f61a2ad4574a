//! A batch under a swap. The candidate goes first; what it fails on, refuses or rejects is the active
//! version's to decide, in the same breath: so a bad candidate costs time, and never a row.

use std::sync::Arc;

use super::running::Turn;
use super::tally::Observation;
use crate::export::batch::{Batch, Delivered, deliver as deliver_plain, sort};
use crate::export::context::{Context, trouble};
use crate::export::exporter::Exporter;
use crate::export::machine::Trouble;
use crate::plugin::CallError;
use crate::plugin::types::Problem;
use crate::store::Outcome;

/// Has whoever's turn it is send a batch, and notes how it did.
pub(in crate::export) async fn deliver(
    context: &Arc<Context>,
    turn: &Turn,
    batch: &Batch,
) -> Delivered {
    let began = tokio::time::Instant::now();
    let mut seen = Observation {
        rows: batch.rows.len() as u64,
        ..Observation::default()
    };
    let done = match &turn.arbiter {
        None => {
            let done = deliver_plain(context, &turn.by, batch).await;
            seen.took_ms = began.elapsed().as_millis() as u64;
            done
        }
        Some(arbiter) => canary(context, &turn.by, arbiter, batch, &mut seen).await,
    };
    let put_off = |(_, outcome): &(_, Outcome)| matches!(outcome, Outcome::Retry { .. });
    seen.hindered = done.trouble.is_some() || done.settled.iter().any(put_off);
    context.versions.observe(turn, &seen);
    done
}

async fn canary(
    context: &Arc<Context>,
    candidate: &Arc<dyn Exporter>,
    arbiter: &Arc<dyn Exporter>,
    batch: &Batch,
    seen: &mut Observation,
) -> Delivered {
    let began = tokio::time::Instant::now();
    let answer = candidate.deliver(&batch.rows).await;
    seen.took_ms = began.elapsed().as_millis() as u64;
    let delivery = match answer {
        Ok(delivery) => delivery,
        Err(error) => match blame(&error) {
            None => {
                return Delivered {
                    trouble: Some(trouble(error)),
                    ..Delivered::default()
                };
            }
            Some(blame) => {
                seen.said = Some(error.to_string());
                let done = deliver_plain(context, arbiter, batch).await;
                match blame {
                    Blame::Crash => seen.crashed = !done.crashed,
                    Blame::Refusal => {
                        let shared = matches!(done.trouble, Some(Trouble::Lasting(_)));
                        seen.refused = !shared;
                    }
                }
                return done;
            }
        },
    };
    let mut done = Delivered::default();
    let (clock, rows) = (&context.clock, batch.rows.len());
    let pending = |row: usize| batch.pending[row].clone();
    if let Some(rejection) = delivery.rejected.first() {
        seen.said = Some(rejection.reason.clone());
    }
    let mut rejected: Vec<usize> = delivery
        .rejected
        .iter()
        .map(|rejection| rejection.row as usize)
        .collect();
    rejected.sort_unstable();
    rejected.dedup();
    done.trouble = sort(clock, delivery, rows, pending, &mut done.settled);
    if rejected.is_empty() {
        return done;
    }
    done.settled
        .retain(|(_, outcome)| !matches!(outcome, Outcome::Rejected { .. }));
    let again = batch.pick(&rejected, context.projection.columns());
    let second = deliver_plain(context, arbiter, &again).await;
    let delivered = |(_, outcome): &&(_, Outcome)| *outcome == Outcome::Delivered;
    seen.rejected = second.settled.iter().filter(delivered).count() as u64;
    done.settled.extend(second.settled);
    done.trouble = second.trouble.or(done.trouble);
    done
}

/// What a candidate may be to blame for. Whatever the destination is to blame for is neither.
enum Blame {
    Crash,
    Refusal,
}

fn blame(error: &CallError) -> Option<Blame> {
    match error {
        CallError::Trap { .. } | CallError::Contract { .. } | CallError::Limit(_) => {
            Some(Blame::Crash)
        }
        CallError::Problem(Problem::Throttled(_) | Problem::Transient(_)) => None,
        CallError::Problem(
            Problem::Fatal(_) | Problem::InvalidSettings(_) | Problem::Unauthorized(_),
        ) => Some(Blame::Refusal),
    }
}
