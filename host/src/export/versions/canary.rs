//! A batch under a swap. The candidate goes first; what it fails on, refuses or rejects is the active
//! version's to decide, in the same breath: so a bad candidate costs time, and never a row.

use std::sync::Arc;

use super::running::Turn;
use super::tally::Observation;
use crate::export::batch::{Batch, Delivered, Settled, deliver as deliver_plain, sort};
use crate::export::context::{Context, trouble};
use crate::export::exporter::Exporter;
use crate::export::machine::Trouble;
use crate::plugin::CallError;
use crate::plugin::types::{Problem, Rejection};
use crate::store::Outcome;

/// Has whoever's turn it is send a batch, and notes how it did.
pub(in crate::export) async fn deliver(
    context: &Arc<Context>,
    turn: &Turn,
    batch: &Batch,
) -> Delivered {
    let began = tokio::time::Instant::now();
    let mut seen = Observation::default();
    let done = match &turn.arbiter {
        None => {
            let done = deliver_plain(context, &turn.by, batch).await;
            seen.took_ms = began.elapsed().as_millis() as u64;
            seen.rows = settled(&done.settled);
            seen.tells = seen.rows > 0;
            seen.hindered = hindered(&done);
            done
        }
        Some(arbiter) => canary(context, &turn.by, arbiter, batch, &mut seen).await,
    };
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
                seen.hindered = true;
                return Delivered {
                    trouble: Some(trouble(error)),
                    ..Delivered::default()
                };
            }
            Some(blame) => {
                seen.said = Some(error.to_string());
                let done = deliver_plain(context, arbiter, batch).await;
                seen.rows = settled(&done.settled);
                match blame {
                    Blame::Crash => seen.crashed = !done.crashed,
                    // Only what the other gets through shows that it could be done.
                    Blame::Refusal => {
                        let shared = matches!(done.trouble, Some(Trouble::Lasting(_)));
                        seen.refused = !shared && seen.rows > 0;
                    }
                }
                seen.tells = seen.crashed || seen.refused;
                return done;
            }
        },
    };
    let mut done = Delivered::default();
    let (clock, rows) = (&context.clock, batch.rows.len());
    let pending = |row: usize| batch.pending[row].clone();
    let said = delivery.rejected.first().map(|first| named(context, first));
    let mut rejected: Vec<usize> = delivery
        .rejected
        .iter()
        .map(|rejection| rejection.row as usize)
        .collect();
    rejected.sort_unstable();
    rejected.dedup();
    done.trouble = sort(clock, delivery, rows, pending, &mut done.settled);
    done.settled
        .retain(|(_, outcome)| !matches!(outcome, Outcome::Rejected { .. }));
    seen.hindered = hindered(&done);
    seen.rows = settled(&done.settled);
    seen.tells = seen.rows > 0;
    if rejected.is_empty() {
        return done;
    }
    let again = batch.pick(&rejected, context.projection.columns());
    let second = deliver_plain(context, arbiter, &again).await;
    let delivered = |(_, outcome): &&(_, Outcome)| *outcome == Outcome::Delivered;
    let judged = settled(&second.settled);
    seen.rejected = second.settled.iter().filter(delivered).count() as u64;
    seen.said = said.filter(|_| seen.rejected > 0).flatten();
    seen.rows += judged;
    // As long as nobody has said that it was right, it has proved nothing.
    seen.tells = judged == rejected.len() as u64;
    done.settled.extend(second.settled);
    done.trouble = second.trouble.or(done.trouble);
    done
}

/// Whether rows have to be sent again.
fn hindered(done: &Delivered) -> bool {
    let put_off = |(_, outcome): &(_, Outcome)| matches!(outcome, Outcome::Retry { .. });
    done.trouble.is_some() || done.settled.iter().any(put_off)
}

/// Rows that came to their end.
fn settled(settled: &Settled) -> u64 {
    let ended = |(_, outcome): &&(_, Outcome)| !matches!(outcome, Outcome::Retry { .. });
    settled.iter().filter(ended).count() as u64
}

/// The field that a rejection names. Its reason may quote the row, so it goes nowhere but into quarantine;
/// and a name that is not the operator's may be anything.
fn named(context: &Context, rejection: &Rejection) -> Option<String> {
    let field = rejection.field.as_deref()?;
    let mut mapped = context.spec.fields.iter();
    let known = mapped.any(|one| one.destination == field || one.source == field);
    known.then(|| format!("it named the field `{field}`"))
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
