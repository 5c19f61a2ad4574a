//! The scan: rows on their way into staged files, and which of them a newer one supersedes.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction};

use super::digest::{Digest, Sum};
use super::quarantine::Quarantined;
use super::{Store, StoreError, counts, digest, quarantine, state};
use crate::export::State;

/// A row that was written to a staged file, and by what the destination knows its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRow {
    /// Which file.
    pub file: u32,
    /// Where in it the row begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Hashes of the member's own key, and of the identities that the plugin named.
    pub identities: Vec<Identity>,
    /// The line that it came from.
    pub line: u64,
}

/// A row that was read and could not be staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// What is kept of it.
    pub kept: Quarantined,
    /// The hash of the member's own key; `None` for a line that names no member.
    pub member: Option<Identity>,
    /// The line that it came from.
    pub line: u64,
}

/// The hash of one identity: half of a SHA-256, so that a chance collision among billions of
/// members stays out of the question.
pub type Identity = [u8; 16];

/// Stands in the place of a file's number for a row that is in quarantine.
const QUARANTINE: u32 = 0;

/// Under which name the settings of a scan are kept among the positions.
const SETTINGS: &str = "members-settings";

/// One file's length after a chunk of the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEnd {
    /// Which file.
    pub number: u32,
    /// Its bytes.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
}

impl FileEnd {
    /// A file that nothing was written to yet.
    pub fn empty(number: u32) -> Self {
        Self {
            number,
            bytes: 0,
            rows: 0,
            crc: 0,
        }
    }
}

/// What one chunk of the scan has brought. The files are synced before it is committed.
#[derive(Clone, Debug, Default)]
pub struct ScanChunk {
    /// Lines read.
    pub received: u64,
    /// Where the scan goes on.
    pub position: String,
    /// The rows staged, in order.
    pub rows: Vec<StagedRow>,
    /// The files written to.
    pub files: Vec<FileEnd>,
    /// What could not be staged.
    pub refused: Vec<RefusedRow>,
    /// For each file, the sum of the digests of the rows that were added to it.
    pub digests: BTreeMap<u32, Digest>,
}

impl Store {
    /// How far the scan is.
    ///
    /// # Errors
    /// The database's.
    pub fn position(&self, stream: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT position FROM positions WHERE stream = ?1")?
                .query_row([stream], |row| row.get(0))
                .optional()
        })
    }

    /// Puts another position in the place of one, or none: a person's word where a source goes on.
    /// Answers whether it was there.
    ///
    /// # Errors
    /// The database's.
    pub fn move_position(
        &self,
        stream: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let moved = match to {
                Some(to) => tx.execute(
                    "UPDATE positions SET position = ?3 WHERE stream = ?1 AND position = ?2",
                    (stream, from, to),
                ),
                None => tx.execute(
                    "DELETE FROM positions WHERE stream = ?1 AND position = ?2",
                    (stream, from),
                ),
            };
            Ok(moved? > 0)
        })
    }

    /// Begins the scan anew if it began under other settings: rows that were staged under two
    /// mappings would not fit into one file. Nothing of a scan has left the host before it is over.
    /// Answers whether it did.
    ///
    /// # Errors
    /// The database's.
    pub fn scan_under(&self, settings: &str) -> Result<bool, StoreError> {
        if self.position(SETTINGS)?.as_deref() == Some(settings) {
            return Ok(false);
        }
        self.write(|tx| {
            let begun = tx.execute("DELETE FROM files", [])? > 0;
            let refused = tx
                .prepare("SELECT digest FROM quarantine WHERE phase = 'backfill'")?
                .query_map([], |row| row.get(0))?
                .try_fold(Digest::default(), |sum, row| row.map(|row| sum.plus(row)))?;
            digest::change(tx, Sum::Quarantined, |sum| sum.minus(refused))?;
            tx.execute_batch(
                "DELETE FROM identities; DELETE FROM cuts;
                 DELETE FROM positions WHERE stream = 'members';
                 DELETE FROM counts WHERE phase = 'backfill';
                 DELETE FROM quarantine WHERE phase = 'backfill';",
            )?;
            set_position(tx, SETTINGS, settings)?;
            Ok(begun)
        })
    }

    /// The scan is read to its end: finds the rows that a newer row with the same identity has
    /// superseded. SQLite sorts, on disk where it must.
    ///
    /// # Errors
    /// The database's.
    pub fn find_superseded(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut cut =
                tx.prepare("INSERT INTO cuts VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
            let mut sorted =
                tx.prepare("SELECT hash, file, start, end FROM identities ORDER BY hash, rowid")?;
            let mut rows = sorted.query([])?;
            let mut overtaken = tx.prepare("UPDATE quarantine SET overtaken = 1 WHERE id = ?1")?;
            let mut superseded = 0;
            let mut before: Option<(Identity, u32, u64, u64)> = None;
            // Rows in quarantine with the identity that is looked at.
            let mut refused: Vec<(Identity, i64)> = vec![];
            while let Some(row) = rows.next()? {
                let this: (Identity, u32, u64, u64) = row.try_into()?;
                refused.retain(|(hash, _)| *hash == this.0);
                if this.1 == QUARANTINE {
                    refused.push((this.0, this.2 as i64));
                    continue;
                }
                for (_, id) in refused.drain(..) {
                    overtaken.execute([id])?;
                }
                if let Some((hash, file, start, end)) = before
                    && hash == this.0
                    && (file, start) != (this.1, this.2)
                {
                    superseded += cut.execute((file, start, end))? as u64;
                }
                before = Some(this);
            }
            counts::add(tx, counts::BACKFILL, "superseded", superseded)
        })
    }

    /// Commits a chunk of the scan together with the state that it leads to.
    ///
    /// # Errors
    /// The database's; then nothing of the chunk is there.
    pub fn commit_scan(
        &self,
        chunk: &ScanChunk,
        state: &State,
        plugin: (&str, &str),
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let mut upsert = tx.prepare_cached(
                "INSERT INTO files (number, name, bytes, rows, digest, crc)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET bytes = ?3, rows = ?4, digest = ?5, crc = ?6",
            )?;
            for file in &chunk.files {
                let before: Option<Digest> = tx
                    .prepare_cached("SELECT digest FROM files WHERE number = ?1")?
                    .query_row([file.number], |row| row.get(0))
                    .optional()?;
                let added = chunk.digests.get(&file.number).copied().unwrap_or_default();
                upsert.execute((
                    file.number,
                    Self::raw_name(file.number),
                    file.bytes,
                    file.rows,
                    before.unwrap_or_default().plus(added),
                    file.crc,
                ))?;
            }
            let kept: Vec<_> = chunk.refused.iter().map(|row| row.kept.clone()).collect();
            let ids = quarantine::put(tx, counts::BACKFILL, &kept, plugin, now_ms)?;
            let mut refused: Vec<_> = chunk
                .refused
                .iter()
                .zip(ids)
                .filter_map(|(row, id)| Some((row.line, row.member?, id)))
                .collect();
            refused.sort_unstable();
            let mut refused = refused.into_iter().peekable();
            // In the order of the lines: what comes later is newer.
            let mut insert = tx.prepare_cached("INSERT INTO identities VALUES (?1, ?2, ?3, ?4)")?;
            for row in &chunk.rows {
                while let Some((_, member, id)) = refused.next_if(|(line, ..)| *line < row.line) {
                    insert.execute((member, QUARANTINE, id, id))?;
                }
                for identity in &row.identities {
                    insert.execute((identity, row.file, row.start, row.end))?;
                }
            }
            for (_, member, id) in refused {
                insert.execute((member, QUARANTINE, id, id))?;
            }
            counts::add(tx, counts::BACKFILL, "received", chunk.received)?;
            set_position(tx, "members", &chunk.position)?;
            state::record(tx, state, now_ms)
        })
    }
}

pub(super) fn set_position(
    tx: &Transaction<'_>,
    stream: &str,
    position: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO positions VALUES (?1, ?2) ON CONFLICT DO UPDATE SET position = ?2",
    )?
    .execute((stream, position))
    .map(drop)
}
