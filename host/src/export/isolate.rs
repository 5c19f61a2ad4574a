//! Finding the row that a plugin fails on: the same rows in smaller and smaller batches.

use std::future::Future;
use std::ops::Range;

use crate::plugin::CallError;

/// What became of a piece of a batch.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<A> {
    /// The plugin's answer for these rows.
    Answer(A),
    /// One row on which the plugin fails, though it works on none at all.
    Poison(CallError),
}

/// The pieces that were settled, in order; the rows behind them are untouched if an error ended it.
pub(super) struct Isolated<A> {
    pub pieces: Vec<(Range<usize>, Piece<A>)>,
    pub error: Option<CallError>,
}

/// Makes a call for rows `0..rows`. A crash is repeated with half of the rows, in order, until the
/// row that causes it is alone: each such row costs at most two calls for every halving. Any other
/// error ends it, and so does a plugin that crashes on no rows at all.
pub(super) async fn isolate<A, F: Future<Output = Result<A, CallError>>>(
    rows: usize,
    mut call: impl FnMut(Range<usize>) -> F,
) -> Isolated<A> {
    let mut pieces = vec![];
    let mut ahead: Vec<Range<usize>> = std::iter::once(0..rows).collect();
    while let Some(range) = ahead.pop() {
        match call(range.clone()).await {
            Ok(answer) => pieces.push((range, Piece::Answer(answer))),
            Err(error) if !is_crash(&error) => {
                return Isolated {
                    pieces,
                    error: Some(error),
                };
            }
            Err(error) if range.len() > 1 => {
                tracing::debug!(%error, rows = range.len(), "looking for the row that it fails on");
                let middle = range.start + range.len() / 2;
                ahead.push(middle..range.end);
                ahead.push(range.start..middle);
            }
            Err(error) => match call(0..0).await {
                Err(other) => {
                    return Isolated {
                        pieces,
                        error: Some(other),
                    };
                }
                Ok(_) => pieces.push((range, Piece::Poison(error))),
            },
        }
    }
    Isolated {
        pieces,
        error: None,
    }
}

/// Whether the plugin itself failed, so that other rows may fare better.
pub(super) fn is_crash(error: &CallError) -> bool {
    match error {
        CallError::Trap { .. } | CallError::Contract { .. } => true,
        CallError::Limit(reached) => reached.by_rows(),
        CallError::Problem(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Reached;

    fn trap() -> CallError {
        CallError::Trap {
            call: "deliver",
            reason: "unreachable".to_owned(),
        }
    }

    async fn run(rows: usize, poison: &[usize]) -> (Vec<usize>, Vec<usize>, usize) {
        let mut calls = 0;
        let isolated = isolate(rows, |range| {
            calls += 1;
            let bad = poison.iter().any(|row| range.contains(row));
            async move { if bad { Err(trap()) } else { Ok(()) } }
        })
        .await;
        assert!(isolated.error.is_none());
        let (mut good, mut bad) = (vec![], vec![]);
        for (range, piece) in isolated.pieces {
            match piece {
                Piece::Answer(()) => good.extend(range),
                Piece::Poison(_) => bad.extend(range),
            }
        }
        (good, bad, calls)
    }

    #[tokio::test]
    async fn only_the_poisonous_rows_are_set_apart_and_order_is_kept() {
        for poison in [vec![], vec![0], vec![99], vec![3, 4, 50]] {
            let (good, bad, calls) = run(100, &poison).await;
            assert_eq!(bad, poison);
            assert!(good.is_sorted() && good.len() == 100 - poison.len());
            assert!(
                calls <= 1 + poison.len() * 16,
                "{calls} calls for {poison:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_plugin_that_always_fails_poisons_no_row() {
        let isolated = isolate(8, |_| async { Err::<(), _>(trap()) }).await;
        assert!(isolated.pieces.is_empty());
        assert_eq!(isolated.error, Some(trap()));
    }

    #[tokio::test]
    async fn a_problem_ends_it_and_keeps_what_was_settled() {
        let problem = CallError::Limit(Reached {
            call: "deliver",
            limit: "wall_seconds",
            value: 1,
            found: String::new(),
        });
        let error = problem.clone();
        let isolated = isolate(4, move |range| {
            let answer = match range {
                Range { start: 0, end: 2 } => Ok(()),
                Range { start: 2, .. } => Err(error.clone()),
                _ => Err(trap()),
            };
            async { answer }
        })
        .await;
        assert_eq!(isolated.pieces, [(0..2, Piece::Answer(()))]);
        assert_eq!(isolated.error, Some(problem));
    }
}
