//! Whether `deliver` sends every row, in order, and the same again after a crash.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::capability::http::{Asked, Script};
use crate::plugin::flat::{Kind, Rows};
use crate::plugin::types::{Delivery, Problem};

use super::answers::{Good, always, mentions, position, response};
use super::bench::{Bench, Called};
use super::open::told;
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::subject::{Subject, is_of_identity};

/// Rows of the batches that are tried, if the plugin takes as many.
const ROWS: usize = 12;

/// What became of each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub delivered: BTreeSet<usize>,
    pub rejected: BTreeSet<usize>,
    pub retried: BTreeSet<usize>,
    /// Why rows are to be sent again, or the call did nothing.
    pub why: Option<Problem>,
    pub asked: Vec<Asked>,
}

/// How many rows a batch has.
pub fn rows_of_a_batch(bench: &Bench) -> usize {
    match bench.manifest().limits.deliver_rows as usize {
        0 => ROWS,
        most => most.min(ROWS),
    }
}

pub async fn call(
    bench: &Bench,
    subject: &Subject,
    rows: &Rows,
    script: Box<Script>,
) -> Called<Delivery> {
    bench
        .deliver(&subject.settings, &subject.policy, rows, script)
        .await
}

/// Delivers rows; what became of each.
pub async fn decide(
    bench: &Bench,
    subject: &Subject,
    rows: &Rows,
    script: Box<Script>,
) -> Result<Decided, Amiss> {
    let called = call(bench, subject, rows, script).await;
    let all: BTreeSet<usize> = (0..rows.len()).collect();
    let asked = called.asked.clone();
    match called.decided() {
        Err(error) => broken(error),
        Ok(Err(problem)) => Ok(Decided {
            delivered: BTreeSet::new(),
            rejected: BTreeSet::new(),
            retried: all,
            why: Some(problem),
            asked,
        }),
        Ok(Ok(delivery)) => {
            let rejected: BTreeSet<_> = delivery
                .rejected
                .iter()
                .map(|rejection| rejection.row as usize)
                .collect();
            let retried: BTreeSet<_> = delivery.retry.iter().map(|&row| row as usize).collect();
            Ok(Decided {
                delivered: &(&all - &rejected) - &retried,
                rejected,
                retried,
                why: delivery.why,
                asked,
            })
        }
    }
}

/// The rule says something only where rows can be told apart in requests.
pub fn marker(subject: &Subject, number: usize) -> Result<String, Amiss> {
    match subject.marker(number) {
        Some(marker) => Ok(marker),
        None => skip("no mapped value stands in a request as it is, so rows cannot be told apart"),
    }
}

pub async fn accepts(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let numbers: Vec<usize> = (1..=rows_of_a_batch(bench)).collect();
    for change in [Kind::Update, Kind::Enter] {
        let rows = subject.rows(numbers.iter().copied(), change);
        let script = always(Ok(good.delivered.clone()));
        let decided = decide(bench, subject, &rows, script).await?;
        ensure(decided.delivered.len() == rows.len(), || {
            let why = decided.why.as_ref().map_or("", super::open::kind);
            format!(
                "of {} rows {} were rejected and {} are to be repeated {why}",
                rows.len(),
                decided.rejected.len(),
                decided.retried.len()
            )
        })?;
        ensure(!decided.asked.is_empty(), || {
            format!("nothing was sent for {} rows", rows.len())
        })?;
        if subject.key.is_none() {
            continue;
        }
        for &number in &numbers {
            let marker = marker(subject, number)?;
            let sent = decided
                .asked
                .iter()
                .any(|asked| mentions(&asked.request, &marker));
            ensure(sent, || {
                format!("row {number} of {} was in no request", rows.len())
            })?;
        }
    }
    Ok(())
}

pub async fn nothing(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let script = always(Ok(good.delivered.clone()));
    let called = call(bench, subject, &Rows::default(), script).await;
    let requests = called.asked.len();
    ensure(requests == 0, || format!("{requests} requests"))?;
    let answer = called.decided();
    ensure(matches!(answer, Ok(Ok(_))), || told(&answer))
}

pub async fn same_again(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let rows = subject.rows(1..=rows_of_a_batch(bench), Kind::Update);
    for script in [
        || -> Box<Script> { always(Ok(response(503, ""))) },
        || always(Ok(response(422, "{}"))),
    ] {
        let first = decide(bench, subject, &rows, script()).await?;
        let second = decide(bench, subject, &rows, script()).await?;
        ensure(first == second, || {
            "under errors the requests differ".to_owned()
        })?;
    }
    let first = decide(bench, subject, &rows, always(Ok(good.delivered.clone()))).await?;
    let second = decide(bench, subject, &rows, always(Ok(good.delivered.clone()))).await?;
    ensure(first == second, || {
        format!(
            "{} requests the first time, {} the second, and they are not the same",
            first.asked.len(),
            second.asked.len()
        )
    })
}

pub async fn subset(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    marker(subject, 1)?;
    let all: Vec<usize> = (1..=rows_of_a_batch(bench)).collect();
    for keep in [|n: usize| n % 2 == 1, |n: usize| n > 2, |n: usize| n == 1] {
        let some: Vec<usize> = all.iter().copied().filter(|&n| keep(n)).collect();
        let rows = subject.rows(some.iter().copied(), Kind::Update);
        let script = always(Ok(good.delivered.clone()));
        let decided = decide(bench, subject, &rows, script).await?;
        for &number in &all {
            let marker = marker(subject, number)?;
            let sent = decided
                .asked
                .iter()
                .any(|asked| mentions(&asked.request, &marker));
            ensure(sent == some.contains(&number), || {
                let what = if sent {
                    "was sent, and is not"
                } else {
                    "was not sent, and is"
                };
                format!("row {number} {what} in the batch of the rows {some:?}")
            })?;
        }
    }
    Ok(())
}

pub async fn order(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let Some(payload) = subject.payload else {
        return skip("no value that is part of no identity stands in requests as it is");
    };
    if (1..3).contains(&bench.manifest().limits.deliver_rows) {
        return skip("it takes no batch in which a row could stand between two others");
    }
    // Two rows of one member, and one of another between them.
    let mut rows = Rows::default();
    let texts: Vec<String> = [81, 82, 83].map(|n| subject.samples[payload].of(n)).into();
    let kind = subject.samples[payload].kind;
    for (number, text) in [1, 2, 1].into_iter().zip(&texts) {
        subject.row(&mut rows, number, Kind::Update, &[(payload, kind, text)]);
    }
    let mut known = false;
    for column in 0..subject.columns() {
        known = known || is_of_identity(bench, subject, column).await;
    }
    if !known {
        return skip("`stage` names no identities, so no two rows are of one member");
    }
    let decided = decide(bench, subject, &rows, always(Ok(good.delivered.clone()))).await?;
    let place = |text: &str| {
        let of = |asked: &Asked| position(&asked.request, text).map(|at| (asked.together, at));
        decided
            .asked
            .iter()
            .rev()
            .find_map(|asked| Some((of(asked)?, asked)))
    };
    let (Some((first, one)), Some((last, other))) = (place(&texts[0]), place(&texts[2])) else {
        return broken("two rows of one member were not both sent");
    };
    ensure(first.0 != last.0 || one == other, || {
        "two rows of one member went out at once".to_owned()
    })?;
    ensure(first < last, || {
        "the later of two rows of one member went out first".to_owned()
    })?;
    // The earlier one has to be repeated: the later one must not be taken before it.
    let marked = texts[0].clone();
    let once = AtomicBool::new(true);
    let answer = good.delivered.clone();
    let script: Box<Script> = Box::new(move |request, _| {
        let fails = mentions(request, &marked) && once.swap(false, Ordering::Relaxed);
        Ok(if fails {
            response(503, "")
        } else {
            answer.clone()
        })
    });
    let decided = decide(bench, subject, &rows, script).await?;
    let overtakes = decided.retried.contains(&0) && decided.delivered.contains(&2);
    ensure(!overtakes, || {
        "the earlier of two rows of one member is to be repeated, the later one was delivered"
            .to_owned()
    })
}
