//! Rows that could not be sent, kept for a person: listed, sent once more, or dropped.

use rusqlite::{OptionalExtension, Row, Transaction};

use super::append::{New, append_replay};
use super::digest::{Digest, Sum};
use super::files::FileRow;
use super::merge::Together;
use super::{Store, StoreError, counts, digest};
use crate::plugin::flat::Kind;
use crate::source::Payload;

/// One row on its way into quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What it adds to the checksum.
    pub digest: Digest,
}

/// One entry of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QuarantineRow {
    /// Its number.
    pub id: i64,
    /// When it came here, in milliseconds since 1970.
    pub at_ms: i64,
    /// `backfill` or `live`.
    pub phase: String,
    /// Where it came from, like `members.ndjson:17`.
    pub position: String,
    /// Whose it is, if that is known.
    pub member: Option<String>,
    /// What happened to the member.
    pub kind: Option<Kind>,
    /// The destination field at fault.
    pub field: Option<String>,
    /// Why.
    pub reason: String,
    /// Mapped attributes as JSON, or the line that could not be read.
    pub payload: Option<String>,
    /// The plugin that was at work.
    pub plugin: String,
    /// Its version.
    pub plugin_version: String,
    /// How many rows it stands for: more than one only where a destination refused rows without
    /// saying which.
    pub rows: u64,
    /// Whether a newer row or change of the member was delivered since.
    pub overtaken: bool,
}

/// Which entries are meant; what is not set does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuarantineFilter {
    /// These numbers.
    pub ids: Vec<i64>,
    /// This member.
    pub member: Option<String>,
    /// This destination field.
    pub field: Option<String>,
    /// A text that stands in the reason.
    pub reason: Option<String>,
    /// `backfill` or `live`.
    pub phase: Option<String>,
}

/// What became of an entry that was to be sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// It waits in the log, behind everything that waits already.
    Waits,
    /// A newer row or change of the member was delivered or waits: this one has lost its meaning.
    Superseded,
    /// It names no member, so nobody can tell what it would overtake.
    NoMember,
}

/// The columns of a `QuarantineRow`, in its order.
const COLUMNS: &str = "id, at_ms, phase, position, member, kind, field, reason, payload, plugin, \
                       plugin_version, rows, overtaken";

fn entry(row: &Row<'_>) -> rusqlite::Result<QuarantineRow> {
    Ok(QuarantineRow {
        id: row.get(0)?,
        at_ms: row.get(1)?,
        phase: row.get(2)?,
        position: row.get(3)?,
        member: row.get(4)?,
        kind: row.get::<_, Option<u8>>(5)?.map(Kind::from_code),
        field: row.get(6)?,
        reason: row.get(7)?,
        payload: row.get(8)?,
        plugin: row.get(9)?,
        plugin_version: row.get(10)?,
        rows: row.get(11)?,
        overtaken: row.get(12)?,
    })
}

/// Puts rows in; answers their numbers.
pub(super) fn put(
    tx: &Transaction<'_>,
    phase: &str,
    rows: &[Quarantined],
    plugin: (&str, &str),
    now_ms: i64,
) -> rusqlite::Result<Vec<i64>> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO quarantine (at_ms, phase, position, member, kind, field, reason, payload,
                                 plugin, plugin_version, digest)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let (mut ids, mut sum) = (vec![], Digest::default());
    for row in rows {
        ids.push(insert.insert((
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
            row.digest,
        ))?);
        sum = sum.plus(row.digest);
    }
    digest::change(tx, Sum::Quarantined, |all| all.plus(sum))?;
    counts::add(tx, phase, "quarantined", rows.len() as u64)?;
    Ok(ids)
}

/// Puts one entry in for rows that a destination has refused without saying which.
pub(super) fn put_unnamed(
    tx: &Transaction<'_>,
    file: &FileRow,
    rows: u64,
    plugin: (&str, &str),
    now_ms: i64,
) -> rusqlite::Result<()> {
    if rows == 0 {
        return Ok(());
    }
    let row = Quarantined {
        position: file.name.clone(),
        kind: Some(Kind::Scan),
        reason: format!(
            "the import job refused {rows} of {} rows without saying which",
            file.rows
        ),
        digest: Digest::of(&[b"unnamed", &file.number.to_be_bytes(), &rows.to_be_bytes()]),
        ..Quarantined::default()
    };
    for id in put(tx, counts::BACKFILL, &[row], plugin, now_ms)? {
        tx.execute("UPDATE quarantine SET rows = ?2 WHERE id = ?1", (id, rows))?;
    }
    counts::add(tx, counts::BACKFILL, "quarantined", rows - 1)
}

/// A change of a member was delivered: what is in quarantine of that member is older, or older
/// than entry `replay` if it was that one which was delivered.
pub(super) fn overtake(
    tx: &Transaction<'_>,
    member: &str,
    replay: Option<i64>,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE quarantine SET overtaken = 1 WHERE member = ?1 AND id < ?2")?
        .execute((member, replay.unwrap_or(i64::MAX)))
        .map(drop)
}

fn find(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<QuarantineRow>> {
    tx.prepare_cached(&format!("SELECT {COLUMNS} FROM quarantine WHERE id = ?1"))?
        .query_row([id], entry)
        .optional()
}

/// Takes an entry out; answers the digest that goes with it.
fn take_out(tx: &Transaction<'_>, entry: &QuarantineRow) -> rusqlite::Result<Digest> {
    let digest: Digest = tx
        .prepare_cached("DELETE FROM quarantine WHERE id = ?1 RETURNING digest")?
        .query_row([entry.id], |row| row.get(0))?;
    digest::change(tx, Sum::Quarantined, |sum| sum.minus(digest))?;
    counts::take(tx, &entry.phase, "quarantined", entry.rows)?;
    Ok(digest)
}

impl Store {
    /// The entries that are meant, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub fn quarantine(
        &self,
        filter: &QuarantineFilter,
        limit: Option<u32>,
    ) -> Result<Vec<QuarantineRow>, StoreError> {
        let ids = (!filter.ids.is_empty())
            .then(|| serde_json::to_string(&filter.ids).expect("numbers are JSON"));
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM quarantine
                 WHERE (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
                     AND (?2 IS NULL OR member = ?2) AND (?3 IS NULL OR field = ?3)
                     AND (?4 IS NULL OR instr(lower(reason), lower(?4)))
                     AND (?5 IS NULL OR phase = ?5)
                 ORDER BY id LIMIT ?6"
            ))?
            .query_map(
                (
                    &ids,
                    &filter.member,
                    &filter.field,
                    &filter.reason,
                    &filter.phase,
                    limit.map_or(-1, i64::from),
                ),
                entry,
            )?
            .collect()
        })
    }

    /// Sends an entry once more, by the way that every change goes: behind what waits, and never
    /// over something newer. `None` if there is no such entry.
    ///
    /// # Errors
    /// The database's; then nothing has changed.
    pub fn replay(
        &self,
        id: i64,
        together: &Together,
        now_ms: i64,
    ) -> Result<Option<Replay>, StoreError> {
        self.write(|tx| {
            let Some(entry) = find(tx, id)? else {
                return Ok(None);
            };
            let payload = entry.payload.as_deref();
            let payload = payload.and_then(|json| serde_json::from_str::<Payload>(json).ok());
            let (Some(member), Some(payload)) = (&entry.member, payload) else {
                return Ok(Some(Replay::NoMember));
            };
            // What waits was accepted later, but for older entries that are sent once more.
            let newer_waits = tx
                .prepare_cached(
                    "SELECT 1 FROM changes WHERE member = ?1 AND (replay IS NULL OR replay > ?2)",
                )?
                .exists((member, id))?;
            let digest = take_out(tx, &entry)?;
            if entry.overtaken || newer_waits {
                counts::add(tx, &entry.phase, "superseded", entry.rows)?;
                digest::change(tx, Sum::Settled, |sum| sum.plus(digest))?;
                return Ok(Some(Replay::Superseded));
            }
            let change = New {
                member,
                // A member of the backfill is sent as one who is in the audience now.
                kind: match entry.kind {
                    None | Some(Kind::Scan) => Kind::Enter,
                    Some(kind) => kind,
                },
                at: None,
                payload: &payload,
                position: &entry.position,
            };
            let of_backfill = entry.phase == counts::BACKFILL;
            append_replay(tx, &change, (id, digest, of_backfill), together, now_ms)?;
            Ok(Some(Replay::Waits))
        })
    }

    /// Gives an entry up for good; answers whether there was one. It stays in the counts.
    ///
    /// # Errors
    /// The database's; then nothing has changed.
    pub fn drop_quarantined(&self, id: i64) -> Result<bool, StoreError> {
        self.write(|tx| {
            let Some(entry) = find(tx, id)? else {
                return Ok(false);
            };
            let digest = take_out(tx, &entry)?;
            counts::add(tx, &entry.phase, "dropped", entry.rows)?;
            digest::change(tx, Sum::Dropped, |sum| sum.plus(digest))?;
            Ok(true)
        })
    }
}
