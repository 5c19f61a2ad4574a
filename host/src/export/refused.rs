//! The rows that an import job has refused, with what is needed to send them once more.

use std::collections::HashMap;
use std::sync::Arc;

use super::context::Context;
use super::scan::{identity, row_digest};
use crate::blocking::blocking;
use crate::plugin::flat::Kind;
use crate::plugin::types::Report;
use crate::store::{FileLine, FileRow, Identity, Quarantined, StoreError};

/// Rows in one batch of looking for members again.
const BATCH_ROWS: usize = 1_000;

/// The rows that the destination named, ready for quarantine. Members and attributes are looked
/// up in the members file; where they are not there any more, the row's text is kept.
pub(super) async fn refused(
    context: &Arc<Context>,
    report: &Report,
    file: &FileRow,
) -> Result<Vec<Quarantined>, StoreError> {
    let mut named: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.row > 0 && row.row <= file.rows)
        .collect();
    named.sort_by_key(|row| row.row);
    named.dedup_by_key(|row| row.row);
    if named.is_empty() {
        return Ok(vec![]);
    }
    let numbers: Vec<u64> = named.iter().map(|row| row.row).collect();
    let from = file.clone();
    let lines = context
        .store
        .run(move |store| store.file_lines(&from, &numbers))
        .await?;
    let members = members(context, &lines).await;
    let mut lines = lines.into_iter().peekable();
    Ok(named
        .into_iter()
        .map(|row| {
            let line = lines.next_if(|line| line.number == row.row);
            let known = line.as_ref().and_then(|line| members.get(&line.member));
            let text = |line: &FileLine| String::from_utf8_lossy(&line.text).into_owned();
            Quarantined {
                position: format!("{} row {}", file.name, row.row),
                member: known.map(|(member, _)| member.clone()),
                kind: Some(Kind::Scan),
                field: None,
                reason: format!("the import job refused it: {}", row.reason),
                payload: known
                    .map(|(_, payload)| payload.clone())
                    .or(line.as_ref().map(text)),
                digest: line
                    .map(|line| row_digest(&line.member, &line.text))
                    .unwrap_or_default(),
            }
        })
        .collect())
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
