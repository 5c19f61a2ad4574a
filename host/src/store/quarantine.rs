//! Rows that could not be sent, kept for a person.

use rusqlite::Transaction;

use super::{Store, StoreError, counts};
use crate::plugin::flat::Kind;

/// One row on its way into quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it came from, like `members.ndjson:17`.
    pub position: String,
    /// Whose it is, if that is known.
    pub member: Option<String>,
    /// What happened to the member.
    pub kind: Option<Kind>,
    /// The destination field at fault.
    pub field: Option<String>,
    /// Why; never a value.
    pub reason: String,
    /// The row: mapped attributes as JSON, or the line that could not be read.
    pub payload: Option<String>,
}

/// One row in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QuarantineRow {
    /// Its number.
    pub id: i64,
    /// Where it came from.
    pub position: String,
    /// The destination field at fault.
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

pub(super) fn put(
    tx: &Transaction<'_>,
    phase: &str,
    rows: &[Quarantined],
    plugin: (&str, &str),
    now_ms: i64,
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO quarantine
             (at_ms, phase, position, member, kind, field, reason, payload, plugin, plugin_version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for row in rows {
        insert.execute((
            now_ms,
            phase,
            &row.position,
            &row.member,
            row.kind.map(Kind::code),
            &row.field,
            &row.reason,
            &row.payload,
            plugin.0,
            plugin.1,
        ))?;
    }
    counts::add(tx, phase, "quarantined", rows.len() as u64)
}

impl Store {
    /// The newest rows in quarantine, without their payload.
    ///
    /// # Errors
    /// The database's.
    pub fn quarantined(&self, limit: u32) -> Result<Vec<QuarantineRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT id, position, field, reason FROM quarantine ORDER BY id DESC LIMIT ?1",
            )?
            .query_map([limit], |row| {
                Ok(QuarantineRow {
                    id: row.get(0)?,
                    position: row.get(1)?,
                    field: row.get(2)?,
                    reason: row.get(3)?,
                })
            })?
            .collect()
        })
    }
}
