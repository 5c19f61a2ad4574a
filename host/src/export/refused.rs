//! The rows that an import job has refused, with what is needed to send them once more.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::context::Context;
use super::scan::{destination_identity, identity, row_digest};
use crate::blocking::blocking;
use crate::plugin::flat::Kind;
use crate::plugin::types::{RefusedRow, Report};
use crate::store::{FileLine, FileRow, Identity, Quarantined, Store, StoreError, Wanted};

/// Rows in one batch of looking for members again.
const BATCH_ROWS: usize = 1_000;

/// What is known of the rows that an import job has refused.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Those that can be told apart.
    pub named: Vec<Quarantined>,
    /// How many more there are.
    pub unnamed: u64,
}

/// The rows that the destination named, ready for quarantine. Members and attributes are looked
/// up in the members file; where they are not there any more, the row's text is kept.
pub(super) async fn refused(
    context: &Arc<Context>,
    report: &Report,
    file: &FileRow,
) -> Result<Refused, StoreError> {
    let wanted = wanted(report, file);
    let lines = match wanted.numbers.is_empty() && wanted.identities.is_empty() {
        true => vec![],
        false => {
            let (from, wanted) = (file.clone(), wanted.clone());
            let find = move |store: &Store| store.file_lines(&from, &wanted);
            context.store.run(find).await?
        }
    };
    let (mut rows, mut lost) = (BTreeMap::<u64, &RefusedRow>::new(), 0);
    for row in &report.rows {
        let number = match row.row {
            Some(number) => wanted
                .numbers
                .binary_search(&number)
                .is_ok()
                .then_some(number),
            None => found_by(row, &lines),
        };
        match number {
            // Of what is said of a row twice the first is kept.
            Some(number) => drop(rows.entry(number).or_insert(row)),
            // A number that is none was never a row; a name that is not known here may be one.
            None => lost += u64::from(row.row.is_none()),
        }
    }
    let told = report.counts.refused.unwrap_or(0);
    let unnamed = told.saturating_sub(rows.len() as u64).max(lost);
    if rows.is_empty() {
        let named = vec![];
        return Ok(Refused { named, unnamed });
    }
    let members = members(context, &lines).await;
    let mut lines = lines.into_iter().peekable();
    let named: Vec<_> = rows
        .into_iter()
        .map(|(number, row)| {
            let line = lines.next_if(|line| line.number == number);
            let known = line.as_ref().and_then(|line| members.get(&line.member));
            let text = |line: &FileLine| String::from_utf8_lossy(&line.text).into_owned();
            Quarantined {
                position: format!("{} row {number}", file.name),
                member: known.map(|(member, _)| member.clone()),
                kind: Some(Kind::Scan),
                field: row.field.clone(),
                reason: format!("the import job refused it: {}", row.reason),
                payload: known
                    .map(|(_, payload)| payload.clone())
                    .or(line.as_ref().map(text)),
                digest: line
                    .map(|line| row_digest(&line.member, &line.text))
                    .unwrap_or_default(),
            }
        })
        .collect();
    Ok(Refused { named, unnamed })
}

/// What is to be looked up.
fn wanted(report: &Report, file: &FileRow) -> Wanted {
    let numbers = report.rows.iter().filter_map(|row| row.row);
    let mut numbers: Vec<u64> = numbers.filter(|n| (1..=file.rows).contains(n)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let identities = report.rows.iter().filter_map(named_by).collect();
    Wanted {
        numbers,
        identities,
    }
}

/// By what a row is known that has no number.
fn named_by(row: &RefusedRow) -> Option<Identity> {
    let identity = row.identity.as_deref().filter(|_| row.row.is_none())?;
    Some(destination_identity(identity))
}

/// The number of the row that is known by the same.
fn found_by(row: &RefusedRow, lines: &[FileLine]) -> Option<u64> {
    let identity = named_by(row)?;
    let found = lines
        .iter()
        .find(|line| line.identities.contains(&identity));
    found.map(|line| line.number)
}

/// Keys and attributes of the members of these rows, by the hash of the key.
async fn members(
    context: &Arc<Context>,
    lines: &[FileLine],
) -> HashMap<Identity, (String, String)> {
    let wanted: Vec<Identity> = lines.iter().map(|line| line.member).collect();
    let (source, projection) = (context.spec.scan(), context.projection.clone());
    blocking(move || {
        let mut found: HashMap<_, _> = wanted.into_iter().map(|hash| (hash, None)).collect();
        let mut position = None;
        // Of a member who stands there twice the newest row was sent, which comes last.
        while let Some(Ok(read)) = source
            .as_ref()
            .map(|source| source.read(position.as_deref(), &projection, 10_000, BATCH_ROWS))
        {
            for batch in &read.batches {
                for (row, member) in batch.members.iter().enumerate() {
                    if let Some(found) = found.get_mut(&identity("member:", member)) {
                        let payload = projection.describe(&batch.rows, row);
                        *found = Some((member.clone(), payload));
                    }
                }
            }
            if read.end {
                break;
            }
            position = Some(read.position);
        }
        found
            .into_iter()
            .filter_map(|(hash, found)| Some((hash, found?)))
            .collect()
    })
    .await
}
