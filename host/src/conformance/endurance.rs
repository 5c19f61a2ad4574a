//! What must hold whatever a plugin is given: it needs no more than its share, and it answers.

use crate::plugin::CallError;
use crate::plugin::flat::Kind;

use super::answers::{Good, always, body, response};
use super::bench::Bench;
use super::deliver::{call, rows_of_a_batch};
use super::report::{Outcome, broken, ensure};
use super::rows::random;
use super::stage;
use super::subject::Subject;

/// Rows of a random batch, if the plugin takes as many.
const ROWS: usize = 12;

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
    for count in [few, many].into_iter().filter(|_| subject.imports) {
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
        let script = good.delivered.script();
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
    let [few, many] = *peaks else { return Ok(()) };
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
        let staged = stage::rows_of_a_batch(bench);
        let rows = random(seed, staged.min(ROWS), subject.columns(), Some(Kind::Scan));
        bench.stage(&subject.settings, &rows, batch % 2).await;
        let rows = random(seed, count, subject.columns(), None);
        let script = match batch % 4 {
            0 => always(Ok(response(422, "{\"errors\":["))),
            1 => always(Ok(response(503, ""))),
            _ => good.delivered.script(),
        };
        call(bench, subject, &rows, script).await;
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
