//! The scan: rows on their way into staged files, and which of them a newer one supersedes.

use rusqlite::{OptionalExtension, Transaction};

use super::quarantine::Quarantined;
use super::{Store, StoreError, counts, quarantine, state};
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
    /// Hashes of the identities that the plugin named, and of the member's own key.
    pub identities: Vec<Identity>,
}

/// The hash of one identity: half of a SHA-256, so that a chance collision among billions of
/// members stays out of the question.
pub type Identity = [u8; 16];

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
    pub quarantined: Vec<Quarantined>,
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
            let mut superseded = 0;
            let mut before: Option<(Identity, u32, u64, u64)> = None;
            while let Some(row) = rows.next()? {
                let this: (Identity, u32, u64, u64) = row.try_into()?;
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
                "INSERT INTO files (number, name, bytes, rows, crc) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET bytes = ?3, rows = ?4, crc = ?5",
            )?;
            for file in &chunk.files {
                upsert.execute((
                    file.number,
                    Self::raw_name(file.number),
                    file.bytes,
                    file.rows,
                    file.crc,
                ))?;
            }
            let mut insert = tx.prepare_cached("INSERT INTO identities VALUES (?1, ?2, ?3, ?4)")?;
            for row in &chunk.rows {
                for identity in &row.identities {
                    insert.execute((identity, row.file, row.start, row.end))?;
                }
            }
            counts::add(tx, counts::BACKFILL, "received", chunk.received)?;
            quarantine::put(tx, counts::BACKFILL, &chunk.quarantined, plugin, now_ms)?;
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
