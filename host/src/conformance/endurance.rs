//! What must hold whatever a plugin is given: it says no value, it needs no more than its share, and
//! it answers.

use crate::capability::http::Script;
use crate::plugin::CallError;
use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::Rejection;

use super::answers::{Good, always, body, response};
use super::bench::{Bench, Called};
use super::deliver::{call, rows_of_a_batch};
use super::report::{Outcome, broken, ensure};
use super::rows::random;
use super::subject::Subject;

/// A text that stands nowhere by chance.
const SECRET: &str = "kxqvzwjybfp";

/// Random batches of each call.
const BATCHES: u64 = 40;

/// More memory than one row takes, for whatever a batch needs once.
const ROOM: u64 = 8 << 20;

/// Bytes of memory for a byte of the batch and of what is made of it: copies, and growing by halves.
const EACH: u64 = 32;

/// Nobody who only computes has asked for anything, in all calls before.
pub fn silence(bench: &Bench) -> Outcome {
    let mut asked = bench.noticed(|noticed| noticed.outspoken.clone());
    if bench.plugin.asked_to_describe {
        asked.insert("describe");
    }
    ensure(asked.is_empty(), || {
        let asked: Vec<_> = asked.iter().map(|call| format!("`{call}`")).collect();
        format!("requests were asked for by {}", asked.join(" and "))
    })
}

/// No value in what is said, of whatever the destination quotes.
pub async fn secrecy(bench: &Bench, subject: &Subject) -> Outcome {
    for column in 0..subject.columns() {
        for (kind, text) in [
            (cell::TEXT, SECRET.to_owned()),
            (cell::TEXT, format!("{SECRET} <{SECRET}@example.com>")),
            (cell::JSON, format!("[\"{SECRET}\"]")),
        ] {
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Scan, &[(column, kind, &text)]);
            let called = bench.stage(&subject.settings, &rows, 1).await;
            let said = said(&called, |staged| &staged.rejected);
            silent("`stage`", &said, &[SECRET.to_owned()])?;
        }
    }
    let count = rows_of_a_batch(bench);
    for column in 0..subject.columns() {
        let mut rows = Rows::default();
        let sample = &subject.samples[column];
        let mut values = vec![SECRET.to_owned()];
        for number in 0..count {
            let mut text = sample.of(number);
            if sample.is_free_text() {
                text = format!("{text} {SECRET}");
            }
            let but = [(column, sample.kind, text.as_str())];
            subject.row(&mut rows, number, Kind::Update, &but);
            let others = subject.samples.iter().filter(|sample| sample.varies());
            values.extend(others.map(|sample| sample.of(number)));
        }
        for status in [200, 400, 401, 404, 409, 422, 429, 500, 503] {
            let called = call(bench, subject, &rows, quoting(status)).await;
            let said = said(&called, |delivery| &delivery.rejected);
            let what = format!("`deliver`, answered with {status}");
            silent(&what, &said, &values)?;
        }
    }
    Ok(())
}

/// A destination that says back what it was sent.
fn quoting(status: u16) -> Box<Script> {
    Box::new(move |request, _| {
        let sent = String::from_utf8_lossy(&body(request)).into_owned();
        let sent = format!("{} {:?} {sent}", request.path, request.query);
        let said = serde_json::json!({
            "message": sent, "error": sent, "reason": sent, "detail": sent, "title": sent,
            "errors": [{"index": 0, "message": sent, "reason": sent}],
            "rejected": [{"index": 0, "message": sent, "reason": sent}],
        });
        Ok(response(status, &said.to_string()))
    })
}

/// Everything that a call has said for people.
fn said<T>(called: &Called<T>, rejected: impl Fn(&T) -> &Vec<Rejection>) -> Vec<String> {
    let mut said = called.lines.clone();
    match &called.answer {
        Ok(answer) => {
            for rejection in rejected(answer) {
                said.push(rejection.reason.clone());
                said.extend(rejection.field.clone());
            }
        }
        Err(error) => said.push(error.to_string()),
    }
    said
}

fn silent(what: &str, said: &[String], values: &[String]) -> Outcome {
    let tells = said
        .iter()
        .find(|text| values.iter().any(|value| text.contains(value)));
    match tells {
        // Shown, since it is the suite's own value and the author must find the place.
        Some(text) => broken(format!("{what} says: {text}")),
        None => Ok(()),
    }
}

/// Memory over one row and many.
pub async fn memory(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let limits = &bench.manifest().limits;
    let most = |limit: u32| {
        if limit == 0 {
            1_000
        } else {
            limit.min(1_000) as usize
        }
    };
    let mut peaks = vec![];
    let (few, many) = (1, most(limits.stage_rows));
    let mut bytes = 0;
    for count in [few, many] {
        let rows = subject.rows(0..count, Kind::Scan);
        let called = bench.stage(&subject.settings, &rows, 0).await;
        if let Err(error) = &called.answer {
            return broken(format!("with {count} rows {error}"));
        }
        let staged = called
            .answer
            .as_ref()
            .map_or(0, |staged| staged.bytes.len());
        bytes = rows.text_bytes() + staged;
        peaks.push(called.peak);
    }
    bounded("stage", many, bytes as u64, &peaks)?;
    peaks.clear();
    let many = most(limits.deliver_rows);
    for count in [few, many] {
        let rows = subject.rows(0..count, Kind::Update);
        let script = always(Ok(good.delivered.clone()));
        let called = call(bench, subject, &rows, script).await;
        if let Err(error @ (CallError::Limit(_) | CallError::Trap { .. })) = &called.answer {
            return broken(format!("with {count} rows {error}"));
        }
        let sent = called.asked.iter().map(|asked| body(&asked.request).len());
        bytes = rows.text_bytes() + sent.sum::<usize>();
        peaks.push(called.peak);
    }
    bounded("deliver", many, bytes as u64, &peaks)
}

fn bounded(what: &str, rows: usize, bytes: u64, peaks: &[u64]) -> Outcome {
    let (few, many) = (peaks[0], peaks[1]);
    ensure(many <= few + ROOM + EACH * bytes, || {
        format!(
            "`{what}` had {few} bytes for one row, and {many} for {rows} rows that are {bytes} bytes"
        )
    })
}

/// Rows that nobody would make up; and nothing that went wrong in any other call.
pub async fn survives(bench: &Bench, subject: &Subject, good: &Good, seed: u64) -> Outcome {
    let count = rows_of_a_batch(bench);
    for batch in 0..BATCHES {
        let seed = seed.wrapping_mul(1_000).wrapping_add(batch);
        let rows = random(seed, count, subject.columns(), Some(Kind::Scan));
        bench.stage(&subject.settings, &rows, batch % 2).await;
        let rows = random(seed, count, subject.columns(), None);
        let answer = match batch % 4 {
            0 => Ok(response(422, "{\"errors\":[")),
            1 => Ok(response(503, "")),
            _ => Ok(good.delivered.clone()),
        };
        call(bench, subject, &rows, always(answer)).await;
    }
    let failures = bench.noticed(|noticed| noticed.failures.clone());
    match &failures[..] {
        [] => Ok(()),
        [first, others @ ..] => broken(match others.len() {
            0 => first.clone(),
            more => format!("{first}; and {more} more like it"),
        }),
    }
}
