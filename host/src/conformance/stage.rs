//! Whether `stage` is pure, keeps rows apart, and keeps what is in them.

use std::ops::Range;

use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::Staged;

use super::bench::Bench;
use super::framing::{Form, QUOTED, form, texts};
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::rows::{FAITHFUL, UNKNOWN, awkward};
use super::subject::Subject;
use super::tried::Sample;

/// Rows of the batches that are compared, if the plugin takes as many.
const ROWS: usize = 24;

/// How many rows a batch has.
pub fn rows_of_a_batch(bench: &Bench) -> usize {
    match bench.manifest().limits.stage_rows as usize {
        0 => ROWS,
        most => most.min(ROWS),
    }
}

/// What one row has come to.
#[derive(Clone, Debug, PartialEq)]
struct One {
    bytes: Vec<u8>,
    rejected: Option<String>,
    identities: Vec<String>,
}

async fn staged(
    bench: &Bench,
    subject: &Subject,
    rows: &Rows,
    offset: u64,
) -> Result<Staged, Amiss> {
    let called = bench.stage(&subject.settings, rows, offset).await;
    called
        .answer
        .map_err(|error| Amiss::Broken(error.to_string()))
}

/// An answer, row by row.
fn each(staged: &Staged) -> Vec<One> {
    let mut begin = staged.start as usize;
    let row = |(row, &end): (usize, &u32)| {
        let bytes = staged.bytes[begin..end as usize].to_vec();
        begin = end as usize;
        let rejection = staged
            .rejected
            .iter()
            .find(|rejection| rejection.row as usize == row);
        let mut from = 0;
        let mut identities = vec![];
        for (&end, &of) in staged.identity_ends.iter().zip(&staged.identity_rows) {
            if of as usize == row {
                identities.push(staged.identities[from..end as usize].to_owned());
            }
            from = end as usize;
        }
        One {
            bytes,
            rejected: rejection.map(|rejection| rejection.reason.clone()),
            identities,
        }
    };
    staged.ends.iter().enumerate().map(row).collect()
}

/// Plain rows with an awkward one here and there.
fn mixed(subject: &Subject, count: usize) -> Rows {
    let cells = awkward();
    let mut rows = Rows::default();
    for number in 0..count {
        let (kind, text) = &cells[number * 7 % cells.len()];
        let column = number % subject.columns();
        let awkward = [(column, *kind, text.as_str())];
        let but = if number % 3 == 0 { &awkward[..] } else { &[] };
        subject.row(&mut rows, number, Kind::Scan, but);
    }
    rows
}

pub async fn same_again(bench: &Bench, subject: &Subject) -> Outcome {
    let rows = mixed(subject, rows_of_a_batch(bench));
    for offset in [0, 100] {
        let first = staged(bench, subject, &rows, offset).await?;
        let second = staged(bench, subject, &rows, offset).await?;
        ensure(first == second, || {
            let count = rows.len();
            format!("two calls with the same {count} rows at offset {offset} differ")
        })?;
    }
    Ok(())
}

pub async fn header_once(bench: &Bench, subject: &Subject) -> Outcome {
    let (rows, nothing) = (mixed(subject, rows_of_a_batch(bench)), Rows::default());
    let alone = staged(bench, subject, &nothing, 0).await?;
    let first = staged(bench, subject, &rows, 0).await?;
    let header = &first.bytes[..first.start as usize];
    ensure(alone.bytes == header && alone.start == first.start, || {
        "the header of an empty batch is another than that before rows".to_owned()
    })?;
    for offset in [1, 1 << 33] {
        for rows in [&nothing, &rows] {
            let later = staged(bench, subject, rows, offset).await?;
            ensure(later.start == 0, || format!("a header at offset {offset}"))?;
            let bytes = if rows.is_empty() {
                &[][..]
            } else {
                &first.bytes[header.len()..]
            };
            ensure(later.bytes == bytes, || {
                format!("at offset {offset} the rows have other bytes than at 0")
            })?;
        }
    }
    Ok(())
}

pub async fn chunks(bench: &Bench, subject: &Subject) -> Outcome {
    let count = rows_of_a_batch(bench);
    if count == 1 {
        return skip("it takes one row at a time");
    }
    let rows = mixed(subject, count);
    let whole = each(&staged(bench, subject, &rows, 1).await?);
    let cut = |range: Range<usize>| rows.slice(range, subject.columns());
    for size in [1, 5.min(count), count / 2] {
        for begin in (0..count).step_by(size) {
            let end = (begin + size).min(count);
            let part = each(&staged(bench, subject, &cut(begin..end), 7).await?);
            let other = (begin..end).find(|&row| part[row - begin] != whole[row]);
            if let Some(row) = other {
                return broken(format!(
                    "row {row} of {count} is staged otherwise in a batch of {}",
                    end - begin
                ));
            }
        }
    }
    Ok(())
}

/// The form of the file, where there is one that is known.
async fn known_form(bench: &Bench, subject: &Subject) -> Result<Form, Amiss> {
    let plain = subject.rows([1], Kind::Scan);
    let plain = staged(bench, subject, &plain, 0).await?;
    let (header, row) = plain.bytes.split_at(plain.start as usize);
    let free = subject.samples.iter().position(Sample::is_free_text);
    let quoted = match free {
        None => None,
        Some(column) => {
            let mut rows = Rows::default();
            let but = [(column, cell::TEXT, QUOTED)];
            subject.row(&mut rows, 1, Kind::Scan, &but);
            Some(staged(bench, subject, &rows, 1).await?.bytes)
        }
    };
    match form(subject.table, header, row, quoted.as_deref()) {
        Some(form) => Ok(form),
        None => skip(
            "it cannot be told how the file is written: neither as lines of JSON nor as a table; \
             say `delimiter` in [stage] of `--config FILE`",
        ),
    }
}

pub async fn frames(bench: &Bench, subject: &Subject) -> Outcome {
    let form = known_form(bench, subject).await?;
    let mut cells = awkward();
    cells.push((cell::TEXT, "x".repeat(1 << 20)));
    for column in 0..subject.columns() {
        for (kind, text) in &cells {
            // One of these is enough: it says something about memory, not about columns.
            if text.len() > 1 << 19 && Some(column) != subject.payload.or(Some(0)) {
                continue;
            }
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Scan, &[(column, *kind, text)]);
            for one in each(&staged(bench, subject, &rows, 1).await?) {
                if one.rejected.is_some() {
                    continue;
                }
                if let Err(why) = texts(form, &one.bytes) {
                    return broken(format!(
                        "column {column} with {}: {why}",
                        shown(*kind, text)
                    ));
                }
            }
        }
    }
    Ok(())
}

/// One of the suite's own values, shortened.
fn shown(kind: u8, text: &str) -> String {
    let head: String = text.chars().take(40).collect();
    match text.len() {
        0..=40 => format!("{head:?} of kind {kind}"),
        bytes => format!("{head:?}… ({bytes} bytes) of kind {kind}"),
    }
}

pub async fn keeps_text(bench: &Bench, subject: &Subject) -> Outcome {
    let form = known_form(bench, subject).await?;
    let mut tried = 0;
    for column in 0..subject.columns() {
        if !subject.samples[column].is_free_text() {
            continue;
        }
        tried += 1;
        for text in FAITHFUL {
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Scan, &[(column, cell::TEXT, text)]);
            let all = each(&staged(bench, subject, &rows, 1).await?);
            let [one] = &all[..] else { continue };
            if one.rejected.is_some() {
                continue;
            }
            // What breaks out of its row is the rule's before.
            let Ok(found) = texts(form, &one.bytes) else {
                continue;
            };
            ensure(found.iter().any(|found| found.contains(text)), || {
                format!("column {column} with {text:?}: it is not in the row")
            })?;
        }
    }
    match tried {
        0 => skip("no field takes any text"),
        _ => Ok(()),
    }
}

pub async fn unknown_kind(bench: &Bench, subject: &Subject) -> Outcome {
    for column in 0..subject.columns() {
        let sample = &subject.samples[column];
        if sample.kind != cell::TEXT {
            continue;
        }
        let text = sample.of(1);
        let mut outcomes = vec![];
        for kind in [cell::TEXT, UNKNOWN] {
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Scan, &[(column, kind, &text)]);
            outcomes.push(staged(bench, subject, &rows, 1).await?);
        }
        ensure(outcomes[0] == outcomes[1], || {
            format!("column {column}: kind {UNKNOWN} is staged otherwise than text")
        })?;
    }
    Ok(())
}

pub async fn identities(bench: &Bench, subject: &Subject) -> Outcome {
    let count = rows_of_a_batch(bench);
    // Where there is room for it the same row stands in a batch once more, else in another batch. Of
    // those that are mixed the row 1 is plain.
    let (plain, batches) = match count {
        1 | 2 => (0, vec![subject.rows([1], Kind::Scan); 2]),
        _ => {
            let mut rows = mixed(subject, count - 1);
            subject.row(&mut rows, 1, Kind::Scan, &[]);
            (1, vec![rows])
        }
    };
    let mut all = vec![];
    for rows in batches {
        all.extend(each(&staged(bench, subject, &rows, 1).await?));
    }
    for (row, one) in all.iter().enumerate() {
        let mut sorted = one.identities.clone();
        sorted.sort();
        sorted.dedup();
        ensure(sorted.len() == one.identities.len(), || {
            format!("an identity of row {row} stands twice")
        })?;
        ensure(!sorted.iter().any(String::is_empty), || {
            format!("an identity of row {row} is empty")
        })?;
        ensure(one.rejected.is_none() || sorted.is_empty(), || {
            format!("row {row} is rejected and has identities")
        })?;
    }
    let of = |one: Option<&One>| one.map(|one| one.identities.clone());
    ensure(of(all.get(plain)) == of(all.last()), || {
        "two rows that are the same have other identities".to_owned()
    })
}
