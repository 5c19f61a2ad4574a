//! Whatever a source writes: a line is read or refused, and what is read crosses the border as it
//! was written.
//!
//! An input is text. Its first line is the mapping: the user id field, then the columns, with commas
//! between them; every other one is read both as a member and as a change.

use std::sync::Arc;

use serde_json::Value;

use super::members::{self, ScannedBatch};
use super::{LineFormat, Projection};
use crate::plugin::flat::{Kind, Rows, cell};
use crate::store::Incoming;

/// Member lines and change lines, through the projection into a flat batch and back.
pub fn ndjson(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mapping = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut names = mapping.split(',').map(str::to_owned);
    let user_id = names.next().unwrap_or_default();
    let columns: Vec<String> = names.collect();
    let projection = Projection::new(&user_id, columns.iter().cloned());
    let format = LineFormat {
        projection: Arc::new(projection.clone()),
        audience: "vip".to_owned(),
    };
    let mut batch = ScannedBatch::default();
    for (number, line) in lines.enumerate() {
        let rows = batch.rows.len();
        match members::member(line, &projection, &mut batch, number as u64) {
            Ok(()) => {
                assert_eq!(batch.rows.len(), rows + 1);
                written(line, &user_id, &columns, &batch);
                kept(line, &projection, &batch);
            }
            Err(error) => {
                assert_eq!(batch.rows.len(), rows);
                assert!(
                    !error.to_string().contains(char::is_control)
                        || mapping.contains(char::is_control)
                );
            }
        }
        if let Some(Incoming::Change {
            payload, member, ..
        }) = format.read(line, "here")
        {
            assert!(!member.is_empty());
            assert!(payload.keys().all(|name| columns.contains(name)));
            let payload = serde_json::to_string(&payload).expect("JSON was read");
            let _ = projection.push_payload(&payload, Kind::Update, &mut Rows::default());
        }
    }
    assert_eq!(batch.members.len(), batch.rows.len());
    assert_eq!(batch.lines.len(), batch.rows.len());
    flat(&batch.rows, columns.len());
}

/// The promises of `wit/0.2/types.wit` about a batch, and that a piece of it is a batch with the same
/// cells.
fn flat(rows: &Rows, columns: usize) {
    let batch = rows.batch(columns);
    assert_eq!(batch.rows as usize, batch.changes.len());
    assert_eq!(batch.ends.len(), batch.rows as usize * columns);
    assert_eq!(batch.kinds.len(), batch.ends.len());
    assert_eq!(
        batch.ends.last().copied().unwrap_or(0) as usize,
        batch.cells.len()
    );
    assert!(batch.ends.is_sorted());
    let mut begin = 0;
    for (&end, &kind) in batch.ends.iter().zip(&batch.kinds) {
        let text = batch
            .cells
            .get(begin..end as usize)
            .expect("whole characters");
        begin = end as usize;
        let json = || serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        assert!(
            match kind {
                cell::ABSENT | cell::NULL => text.is_empty(),
                cell::TEXT => true,
                cell::INTEGER => {
                    let digits = text.strip_prefix('-').unwrap_or(text);
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                }
                cell::DECIMAL =>
                    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && json(),
                cell::BOOLEAN => text == "true" || text == "false",
                cell::JSON => text.starts_with(['[', '{']) && json(),
                _ => false,
            },
            "a cell of kind {kind}: {text:?}"
        );
    }
    for middle in 0..=rows.len() {
        let pieces = [
            rows.slice(0..middle, columns),
            rows.slice(middle..rows.len(), columns),
        ];
        assert_eq!(pieces[0].len() + pieces[1].len(), rows.len());
        for row in 0..rows.len() {
            let (piece, at) = if row < middle {
                (&pieces[0], row)
            } else {
                (&pieces[1], row - middle)
            };
            assert!(rows.row(row, columns).eq(piece.row(at, columns)));
        }
    }
}

/// Each cell of the last row is what a reader of another kind finds in the line. One that reads
/// less, since it keeps no number as it is written and follows no deep nesting, is not asked.
fn written(line: &[u8], user_id: &str, columns: &[String], batch: &ScannedBatch) {
    let Ok(object) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    let find = |name: &str| -> Option<Value> {
        if let Some(value) = object.get(name) {
            return Some(value.clone());
        }
        let mut at = &object;
        for step in name.split('.') {
            at = at.as_object()?.get(step)?;
        }
        Some(at.clone())
    };
    let key = batch.members.last().expect("it was read");
    match find(user_id).expect("no member without") {
        Value::String(text) => assert_eq!(&text, key),
        value => assert_eq!(serde_json::from_str::<Value>(key).unwrap(), value),
    }
    let cells = batch.rows.row(batch.rows.len() - 1, columns.len());
    for (name, (kind, text)) in columns.iter().zip(cells) {
        match (kind, find(name)) {
            (cell::ABSENT, found) => assert_eq!(found, None, "{name}"),
            (cell::NULL, found) => assert_eq!(found, Some(Value::Null), "{name}"),
            (cell::TEXT, found) => assert_eq!(found, Some(text.into()), "{name}"),
            (_, found) => assert_eq!(serde_json::from_str(text).ok(), found, "{name}"),
        }
    }
}

/// What is kept of a member, in the log or in quarantine, gives the same row again.
fn kept(line: &[u8], projection: &Projection, batch: &ScannedBatch) {
    let last = batch.rows.len() - 1;
    let columns = projection.columns();
    let row = batch.rows.slice(last..last + 1, columns);
    let text = std::str::from_utf8(line).expect("it was read");
    let member = projection.member(text).expect("it was read");
    let payload = serde_json::to_string(&projection.payload(&member)).expect("JSON was read");
    for kept in [payload, projection.describe(&batch.rows, last)] {
        let mut again = Rows::default();
        projection
            .push_payload(&kept, Kind::Scan, &mut again)
            .expect("it was read");
        assert_eq!(again, row, "{kept}");
    }
}
