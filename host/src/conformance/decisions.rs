//! Whether `deliver` makes of the destination's answers what the host can rely on.

use std::collections::BTreeSet;

use crate::capability::http::Script;
use crate::plugin::flat::Kind;
use crate::plugin::types::{Failure, Problem, Request, Response};

use super::answers::{
    Good, always, garbage, mentions, no_answers, passes, response, troubles, with_header,
};
use super::bench::Bench;
use super::deliver::{Decided, decide, marker, rows_of_a_batch};
use super::open::kind;
use super::report::{Amiss, Outcome, ensure, skip};
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
    if !subject.authenticates {
        return skip("there is no credential that could be refused");
    }
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
        let passes = decided.why.as_ref().is_some_and(|why| passes(&what, why));
        ensure(passes, || {
            format!("with {what} the reason is `{}`", found(&decided))
        })?;
    }
    Ok(())
}

pub async fn odd(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    for (what, answer) in garbage(&good.delivered.longest()) {
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
    for (what, failure) in no_answers() {
        // Whether that passes depends on the destination; but nobody knows what became of a row.
        let decided = all_answered(bench, subject, Err(failure)).await?;
        all_wait(what, &decided)?;
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
    let gone = Failure::Interrupted("the time is over".to_owned());
    for (what, answer) in [
        ("422", Ok(response(422, "{}"))),
        ("429", Ok(response(429, "{}"))),
        ("500", Ok(response(500, "{}"))),
        ("401", Ok(response(401, "{}"))),
        ("no whole answer", Err(gone)),
    ] {
        if what == "401" && !subject.authenticates {
            continue;
        }
        for at_fault in places(count) {
            let (marked, answer) = (markers[at_fault].clone(), answer.clone());
            let fails = move |request: &Request, _| mentions(request, &marked);
            let script = except(good, fails, answer);
            let decided = decide(bench, subject, &rows, script).await?;
            sound(&decided, &markers).map_err(|seen| {
                Amiss::Broken(format!("row {at_fault} of {count} gets {what}: {seen}"))
            })?;
        }
        let script = except(good, |_, number| number % 2 == 1, answer);
        let decided = decide(bench, subject, &rows, script).await?;
        sound(&decided, &markers)
            .map_err(|seen| Amiss::Broken(format!("every second request gets {what}: {seen}")))?;
    }
    Ok(())
}

/// All is well, but for some requests.
fn except(
    good: &Good,
    fails: impl Fn(&Request, usize) -> bool + Send + Sync + 'static,
    answer: Result<Response, Failure>,
) -> Box<Script> {
    let well = good.delivered.clone();
    Box::new(move |request, number| match fails(request, number) {
        true => answer.clone(),
        false => Ok(well.to(request)),
    })
}

/// Whether each row is judged by the last request that it was in; what is wrong if not.
fn sound(decided: &Decided, markers: &[String]) -> Result<(), String> {
    let last = |row: usize| {
        let mut requests = decided.asked.iter().rev();
        let last = requests.find(|asked| mentions(&asked.request, &markers[row]));
        last.map(|asked| asked.answer.as_ref().map_or(0, |answer| answer.status))
    };
    let taken = |row: &&usize| last(**row).is_some_and(|status| (200..300).contains(&status));
    let wrong: Vec<_> = decided.delivered.iter().filter(|row| !taken(row)).collect();
    if !wrong.is_empty() {
        return Err(format!(
            "the rows {wrong:?} count as delivered, and their last request was not accepted"
        ));
    }
    // What says nothing about the row: it may be taken the next time.
    let passing = |row: &&usize| {
        last(**row).is_some_and(|status| matches!(status, 0 | 401 | 403 | 408 | 425 | 429 | 500..))
    };
    let wrong: Vec<_> = decided.rejected.iter().filter(passing).collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the rows {wrong:?} were rejected, and their last request was only refused in passing"
        )),
    }
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
