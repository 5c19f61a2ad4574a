//! Whether `deliver` makes of the destination's answers what the host can rely on.

use std::collections::BTreeSet;

use crate::capability::http::Script;
use crate::plugin::flat::Kind;
use crate::plugin::types::{Failure, Problem, Response};

use super::answers::{Good, always, garbage, mentions, response, troubles, with_header};
use super::bench::Bench;
use super::deliver::{Decided, decide, marker, rows_of_a_batch};
use super::open::kind;
use super::report::{Amiss, Outcome, ensure};
use super::subject::Subject;

/// What becomes of a batch if every request is answered so.
async fn all_answered(
    bench: &Bench,
    subject: &Subject,
    answer: Result<Response, Failure>,
) -> Result<Decided, Amiss> {
    let rows = subject.rows(1..=rows_of_a_batch(bench), Kind::Update);
    decide(bench, subject, &rows, always(answer)).await
}

/// Nothing was taken, and nothing is at fault but the destination.
fn all_wait(what: &str, decided: &Decided) -> Outcome {
    ensure(
        decided.delivered.is_empty() && decided.rejected.is_empty(),
        || {
            format!(
                "with {what} {} rows count as delivered, and {} were rejected",
                decided.delivered.len(),
                decided.rejected.len()
            )
        },
    )
}

fn found(decided: &Decided) -> &'static str {
    decided.why.as_ref().map_or("nothing", kind)
}

pub async fn unauthorized(bench: &Bench, subject: &Subject) -> Outcome {
    let decided = all_answered(bench, subject, Ok(response(401, "{}"))).await?;
    all_wait("401", &decided)?;
    ensure(
        matches!(decided.why, Some(Problem::Unauthorized(_))),
        || format!("with 401 the reason is `{}`", found(&decided)),
    )
}

pub async fn throttled(bench: &Bench, subject: &Subject) -> Outcome {
    let patience = with_header(response(429, "{}"), "retry-after", "7");
    for (answer, wanted) in [(patience, Some(7_000)), (response(429, ""), None)] {
        let decided = all_answered(bench, subject, Ok(answer)).await?;
        all_wait("429", &decided)?;
        let after = match &decided.why {
            Some(Problem::Throttled(throttle)) => throttle.retry_after_ms,
            _ => {
                return super::report::broken(format!(
                    "with 429 the reason is `{}`",
                    found(&decided)
                ));
            }
        };
        ensure(wanted.is_none() || after == wanted, || {
            format!("with `Retry-After: 7` retry-after-ms is {after:?}")
        })?;
    }
    Ok(())
}

pub async fn transient(bench: &Bench, subject: &Subject) -> Outcome {
    for (what, answer) in troubles() {
        let decided = all_answered(bench, subject, answer).await?;
        all_wait(&what, &decided)?;
        ensure(matches!(decided.why, Some(Problem::Transient(_))), || {
            format!("with {what} the reason is `{}`", found(&decided))
        })?;
    }
    Ok(())
}

pub async fn odd(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    for (what, answer) in garbage(&good.delivered) {
        // Whether that is a success with 2xx is the destination's to say; but it has to be decided.
        all_answered(bench, subject, Ok(answer.clone())).await?;
        for status in [301, 404, 500] {
            let answer = Response {
                status,
                ..answer.clone()
            };
            let decided = all_answered(bench, subject, Ok(answer)).await?;
            ensure(decided.delivered.is_empty(), || {
                let rows = decided.delivered.len();
                format!("with {status} and {what} {rows} rows count as delivered")
            })?;
        }
    }
    for status in [100, 301, 304, 307, 600, 999, 0] {
        let moved = with_header(response(status, "{}"), "location", "https://other.invalid/");
        let decided = all_answered(bench, subject, Ok(moved)).await?;
        ensure(decided.delivered.is_empty(), || {
            format!(
                "with {status} {} rows count as delivered",
                decided.delivered.len()
            )
        })?;
    }
    Ok(())
}

pub async fn refused(bench: &Bench, subject: &Subject) -> Outcome {
    for status in [400, 422] {
        let decided = all_answered(bench, subject, Ok(response(status, "{}"))).await?;
        ensure(decided.delivered.is_empty(), || {
            format!(
                "with {status} {} rows count as delivered",
                decided.delivered.len()
            )
        })?;
        let passing = matches!(
            decided.why,
            Some(Problem::Transient(_) | Problem::Throttled(_))
        );
        ensure(decided.retried.is_empty() || !passing, || {
            format!(
                "with {status} {} rows are repeated for ever",
                decided.retried.len()
            )
        })?;
    }
    Ok(())
}

pub async fn partial(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let count = rows_of_a_batch(bench);
    let markers: Vec<String> = (1..=count)
        .map(|number| marker(subject, number))
        .collect::<Result<_, _>>()?;
    let rows = subject.rows(1..=count, Kind::Update);
    for status in [422, 429, 500] {
        for at_fault in places(count) {
            let (marked, answer) = (markers[at_fault].clone(), good.delivered.clone());
            let script: Box<Script> = Box::new(move |request, _| {
                let bad = mentions(request, &marked);
                Ok(if bad {
                    response(status, "{}")
                } else {
                    answer.clone()
                })
            });
            let decided = decide(bench, subject, &rows, script).await?;
            let accepted = accepted(&decided, &markers);
            let wrong: Vec<_> = decided.delivered.difference(&accepted).collect();
            ensure(wrong.is_empty(), || {
                format!(
                    "row {at_fault} of {count} is answered with {status}: the rows {wrong:?} count as \
                     delivered, and their last request was not accepted"
                )
            })?;
        }
        let answer = good.delivered.clone();
        let script: Box<Script> = Box::new(move |_, number| {
            Ok(if number % 2 == 1 {
                response(status, "{}")
            } else {
                answer.clone()
            })
        });
        let decided = decide(bench, subject, &rows, script).await?;
        let accepted = accepted(&decided, &markers);
        let wrong: Vec<_> = decided.delivered.difference(&accepted).collect();
        ensure(wrong.is_empty(), || {
            format!(
                "every second request is answered with {status}: the rows {wrong:?} count as delivered"
            )
        })?;
    }
    Ok(())
}

/// The rows whose last request was accepted.
fn accepted(decided: &Decided, markers: &[String]) -> BTreeSet<usize> {
    let accepted = |marker: &String| {
        let mut requests = decided.asked.iter().rev();
        let last = requests.find(|asked| mentions(&asked.request, marker));
        last.is_some_and(|asked| {
            let status = asked.answer.as_ref().map(|answer| answer.status);
            status.is_ok_and(|status| (200..300).contains(&status))
        })
    };
    let rows = markers.iter().enumerate();
    rows.filter(|(_, marker)| accepted(marker))
        .map(|(row, _)| row)
        .collect()
}

/// Which rows of a batch are at fault, one after the other. A destination may take one row at a time.
fn places(count: usize) -> BTreeSet<usize> {
    let last = count.saturating_sub(1);
    BTreeSet::from([last.min(1), count / 2, last])
        .into_iter()
        .filter(|place| *place < count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_at_fault_are_within_the_batch_however_small_it_is() {
        for (count, expected) in [
            (0, vec![]),
            (1, vec![0]),
            (2, vec![1]),
            (3, vec![1, 2]),
            (9, vec![1, 4, 8]),
        ] {
            let places: Vec<_> = places(count).into_iter().collect();
            assert_eq!(places, expected, "{count}");
        }
    }
}
