//! Whether `deliver` sends every row, nothing that is old, and the same again after a crash.

use std::collections::BTreeSet;

use crate::capability::http::{Asked, Script};
use crate::plugin::flat::{Kind, Rows};
use crate::plugin::types::{Delivery, Failure, Problem};

use super::answers::{Good, always, mentions, response};
use super::author::Exits;
use super::bench::{Bench, Called};
use super::open::told;
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::subject::Subject;

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
    for change in [Kind::Update, Kind::Enter] {
        all_arrive(bench, subject, good, change).await?;
    }
    Ok(())
}

/// Members who leave.
pub async fn exits(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    if subject.exits == Exits::Sent {
        return all_arrive(bench, subject, good, Kind::Exit).await;
    }
    let rows = subject.rows(1..=rows_of_a_batch(bench), Kind::Exit);
    let decided = decide(bench, subject, &rows, good.delivered.script()).await?;
    ensure(decided.delivered.len() == rows.len(), || {
        format!(
            "exits are said to be ignored; of {} {} were rejected and {} are to be repeated",
            rows.len(),
            decided.rejected.len(),
            decided.retried.len()
        )
    })
}

async fn all_arrive(bench: &Bench, subject: &Subject, good: &Good, change: Kind) -> Outcome {
    let numbers: Vec<usize> = (1..=rows_of_a_batch(bench)).collect();
    let rows = subject.rows(numbers.iter().copied(), change);
    let decided = decide(bench, subject, &rows, good.delivered.script()).await?;
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
    for number in numbers {
        let Some(marker) = subject.marker(number) else {
            continue;
        };
        let mut asked = decided.asked.iter();
        let sent = asked.any(|asked| mentions(&asked.request, &marker));
        ensure(sent, || {
            format!("row {number} of {} was in no request", rows.len())
        })?;
    }
    Ok(())
}

pub async fn nothing(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let script = good.delivered.script();
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
    let first = decide(bench, subject, &rows, good.delivered.script()).await?;
    let second = decide(bench, subject, &rows, good.delivered.script()).await?;
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
        let script = good.delivered.script();
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

/// A batch that cannot be delivered, and then the one that the host makes of the same members: with what
/// is newer, merged.
pub async fn order(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let Some(payload) = subject.payload else {
        return skip("no value that is part of no identity stands in requests as it is");
    };
    let count = rows_of_a_batch(bench);
    let text = |row: usize, age: usize| subject.samples[payload].of(1_000 * age + row);
    let batch = |age: usize| {
        let mut rows = Rows::default();
        for row in 0..count {
            let (kind, text) = (subject.samples[payload].kind, text(row, age));
            subject.row(&mut rows, row, Kind::Update, &[(payload, kind, &text)]);
        }
        rows
    };
    let gone = Failure::Interrupted("the time is over".to_owned());
    for (age, answer) in (1..).step_by(3).zip([Ok(response(503, "")), Err(gone)]) {
        // In the first batch all fails, in the second all but what was asked first.
        decide(bench, subject, &batch(age), always(answer.clone())).await?;
        let first = good.delivered.clone();
        let script: Box<Script> = Box::new(move |request, number| match number {
            0 => Ok(first.to(request)),
            _ => answer.clone(),
        });
        let on = async |rows: Rows, script| {
            let Subject {
                settings, policy, ..
            } = subject;
            bench.deliver_on(settings, policy, &rows, script).await
        };
        on(batch(age + 1), script).await;
        let called = on(batch(age + 2), good.delivered.script()).await;
        let sent = |text: &String| {
            let mut all = called.asked.iter();
            all.any(|asked| mentions(&asked.request, text))
        };
        for row in 0..count {
            let old = [age, age + 1].map(|age| text(row, age));
            ensure(!old.iter().any(sent), || {
                format!("what row {row} said before goes out again, behind or beside what is newer")
            })?;
        }
    }
    Ok(())
}
