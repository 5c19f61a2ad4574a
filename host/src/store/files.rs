//! Staged files: the bytes on disk and what the database knows of them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crc32fast::Hasher;
use rusqlite::{Row, Transaction};

use super::crc::Crc;
use super::digest::{Digest, Sum};
use super::quarantine::Quarantined;
use super::receipt::Did;
use super::scan::FileEnd;
use super::{Store, StoreError, counts, digest, quarantine, state};
use crate::export::State;

/// One staged file as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Which file of the backfill, from 1.
    pub number: u32,
    /// Its name in the folder of staged files.
    pub name: String,
    /// How long it durably is.
    pub bytes: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// The CRC-32 of its bytes.
    pub crc: u32,
    /// When it was completed, in milliseconds since 1970.
    pub sealed_ms: Option<i64>,
    /// Its import job.
    pub token: Option<String>,
    /// Whether its job has ended.
    pub ended: bool,
}

impl FileRow {
    /// Where a scan goes on in it.
    pub fn end(&self) -> FileEnd {
        FileEnd {
            number: self.number,
            bytes: self.bytes,
            rows: self.rows,
            crc: self.crc,
        }
    }
}

/// An import job that has succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its file.
    pub file: FileRow,
    /// The rows that the destination named as refused.
    pub refused: Vec<Quarantined>,
    /// How many more it refused.
    pub unnamed: u64,
    /// What it did with the rows that it took, as far as it tells.
    pub did: Did,
    /// What it said.
    pub message: String,
}

/// A staged file that rows are being appended to.
pub struct Appender {
    path: PathBuf,
    file: File,
    crc: Hasher,
    /// The file and its length, what was just appended included.
    pub end: FileEnd,
}

impl Appender {
    /// Appends rows.
    ///
    /// # Errors
    /// The disk's.
    pub fn append(&mut self, bytes: &[u8], rows: u64) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(|source| self.error(source))?;
        self.crc.update(bytes);
        self.end.crc = self.crc.clone().finalize();
        self.end.bytes += bytes.len() as u64;
        self.end.rows += rows;
        Ok(())
    }

    /// Puts everything on disk, so that the database may say it is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| self.error(source))?;
        #[cfg(test)]
        crate::export::simulation::synced(&self.path, self.end.bytes);
        Ok(())
    }

    fn error(&self, source: std::io::Error) -> StoreError {
        StoreError::Disk {
            path: self.path.clone(),
            source,
        }
    }
}

impl Store {
    pub(super) fn raw_name(number: u32) -> String {
        format!("{number}.staged")
    }

    /// Where a staged file is.
    pub fn staged_path(&self, name: &str) -> PathBuf {
        self.inner.directory.join("staged").join(name)
    }

    /// All staged files, in order.
    ///
    /// # Errors
    /// The database's.
    pub fn files(&self) -> Result<Vec<FileRow>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT number, name, bytes, rows, crc, sealed_ms, token, outcome FROM files ORDER BY number",
            )?
            .query_map([], file_row)?
            .collect()
        })
    }

    /// Opens the staged file that the scan goes on with. What a crash left behind its durable
    /// length is cut off.
    ///
    /// # Errors
    /// The disk's, or the file is shorter than it durably was.
    pub fn append_to(&self, end: FileEnd) -> Result<Appender, StoreError> {
        let path = self.staged_path(&Self::raw_name(end.number));
        let disk = |source| match end.bytes {
            0 => StoreError::Disk {
                path: path.clone(),
                source,
            },
            bytes => lost(&path, bytes, source),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create(end.bytes == 0)
            .truncate(false)
            .open(&path)
            .map_err(disk)?;
        let found = file.metadata().map_err(disk)?.len();
        if found < end.bytes {
            return Err(StoreError::Staged {
                path,
                found: format!("has only {found} bytes"),
                bytes: end.bytes,
            });
        }
        file.set_len(end.bytes).map_err(disk)?;
        file.seek(SeekFrom::End(0)).map_err(disk)?;
        if end.bytes == 0 {
            // A new file is there after a crash only if its folder is synced, too.
            self.sync_staged().map_err(disk)?;
        }
        Ok(Appender {
            path,
            file,
            crc: Hasher::new_with_initial_len(end.crc, end.bytes),
            end,
        })
    }

    fn sync_staged(&self) -> io::Result<()> {
        File::open(self.inner.directory.join("staged"))?.sync_all()
    }

    /// Reads a staged file to find out whether it is still what was written. Blocking.
    ///
    /// # Errors
    /// It is not, or the disk's.
    pub fn verify(&self, file: &FileRow) -> Result<(), StoreError> {
        let path = self.staged_path(&file.name);
        let read = || {
            let mut from = File::open(&path)?;
            let found = from.metadata()?.len();
            let mut crc = Crc::new(io::sink());
            if found == file.bytes {
                io::copy(&mut from, &mut crc)?;
            }
            Ok((found, crc.hash.finalize()))
        };
        let (found, crc) = read().map_err(|source| lost(&path, file.bytes, source))?;
        matches(&path, file, found, crc)
    }

    /// Completes one staged file: cuts out the rows that newer ones have superseded. A crash at
    /// any point leaves the file as it was, or done.
    ///
    /// # Errors
    /// The disk's or the database's, or the file is not what was written.
    pub fn seal(&self, file: &FileRow, now_ms: i64) -> Result<(), StoreError> {
        let cuts: Vec<(u64, u64)> = self.read(|db| {
            db.prepare_cached("SELECT start, end FROM cuts WHERE file = ?1 ORDER BY start")?
                .query_map([file.number], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let (mut name, mut bytes, mut crc) = (file.name.clone(), file.bytes, file.crc);
        if !cuts.is_empty() {
            name = format!("{}.sealed", file.number);
            (bytes, crc) = self.copy_without(file, &cuts, &self.staged_path(&name))?;
        }
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE files SET name = ?2, bytes = ?3, rows = rows - ?4, crc = ?5, sealed_ms = ?6
                 WHERE number = ?1",
            )?
            .execute((file.number, &name, bytes, cuts.len() as u64, crc, now_ms))
            .map(drop)
        })?;
        if name != file.name {
            self.remove_staged(&file.name);
        }
        Ok(())
    }

    /// Answers the copy's length and CRC-32.
    fn copy_without(
        &self,
        file: &FileRow,
        cuts: &[(u64, u64)],
        path: &Path,
    ) -> Result<(u64, u32), StoreError> {
        let disk = |source| StoreError::Disk {
            path: path.to_owned(),
            source,
        };
        let old = self.staged_path(&file.name);
        let from = File::open(&old).map_err(|source| lost(&old, file.bytes, source))?;
        let mut from = Crc::new(BufReader::with_capacity(256 << 10, from));
        let to = File::create(path).map_err(disk)?;
        let mut to = Crc::new(BufWriter::with_capacity(256 << 10, to));
        let (mut at, mut written) = (0, 0);
        for &(start, end) in cuts.iter().chain([&(file.bytes, file.bytes)]) {
            written += io::copy(&mut from.by_ref().take(start - at), &mut to).map_err(disk)?;
            // What is cut out is read all the same: the CRC-32 is of the whole.
            io::copy(&mut from.by_ref().take(end - start), &mut io::sink()).map_err(disk)?;
            at = end;
        }
        matches(&old, file, from.bytes, from.hash.finalize())?;
        let crc = to.hash.finalize();
        let to = to.inner.into_inner();
        to.map_err(io::IntoInnerError::into_error)
            .and_then(|to| to.sync_all())
            .and_then(|()| self.sync_staged())
            .map_err(disk)?;
        #[cfg(test)]
        crate::export::simulation::synced(path, written);
        Ok((written, crc))
    }

    /// The scan is over and every file is sealed.
    ///
    /// # Errors
    /// The database's.
    pub fn finish_scan(&self, state: &State, now_ms: i64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("UPDATE files SET outcome = 'empty' WHERE rows = 0", [])?;
            forget_scan(tx)?;
            state::record(tx, state, now_ms)
        })?;
        self.sweep()?;
        self.trim()
    }

    /// Records a file's import job, and the component that began it, together with the state that it
    /// leads to.
    ///
    /// # Errors
    /// The database's.
    pub fn submitted(
        &self,
        number: u32,
        (token, component): (&str, &str),
        state: &State,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "UPDATE files SET token = ?2, submitted_ms = ?3, submissions = submissions + 1,
                     submitted_by = ?4
                 WHERE number = ?1",
                (number, token, now_ms, component),
            )?;
            state::record(tx, state, now_ms)
        })
    }

    /// An import job has succeeded: counts its rows, records the state that it leads to, and
    /// removes the file.
    ///
    /// # Errors
    /// The database's.
    pub fn imported(
        &self,
        job: &Imported,
        state: &State,
        plugin: (&str, &str),
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Imported {
            file,
            refused,
            unnamed,
            did,
            message,
        } = job;
        let did = did.to_json();
        let named = refused.len() as u64;
        let unnamed = (*unnamed).min(file.rows.saturating_sub(named));
        self.write(|tx| {
            let delivered = file.rows.saturating_sub(named + unnamed);
            let taken: Digest = tx.query_row(
                "UPDATE files SET outcome = 'succeeded', message = ?2, ended_ms = ?3,
                     delivered = ?4, refused = ?5, did = ?6
                 WHERE number = ?1 RETURNING digest",
                (
                    file.number,
                    message,
                    now_ms,
                    delivered,
                    named + unnamed,
                    did,
                ),
                |row| row.get(0),
            )?;
            quarantine::put(tx, counts::BACKFILL, refused, plugin, now_ms)?;
            quarantine::put_unnamed(tx, file, unnamed, plugin, now_ms)?;
            let refused = refused
                .iter()
                .fold(Digest::default(), |sum, row| sum.plus(row.digest));
            let taken = taken.minus(refused);
            digest::change(tx, Sum::Settled, |sum| sum.plus(taken))?;
            counts::add(tx, counts::BACKFILL, "delivered", delivered)?;
            forget_scan(tx)?;
            state::record(tx, state, now_ms)
        })?;
        self.remove_staged(&file.name);
        self.trim()
    }

    /// Removes what a crash has left in the folder of staged files: files that no scan and no
    /// import job needs any more.
    ///
    /// # Errors
    /// The database's. A file that cannot be removed only takes up space.
    pub fn sweep(&self) -> Result<(), StoreError> {
        let needed: Vec<String> = self.read(|db| {
            db.prepare("SELECT name FROM files WHERE outcome IS NULL")?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        let Ok(entries) = std::fs::read_dir(self.inner.directory.join("staged")) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !needed.contains(&name) {
                self.remove_staged(&name);
            }
        }
        Ok(())
    }

    /// Removes a file that nothing needs any more. If that fails it only takes up space.
    fn remove_staged(&self, name: &str) {
        let path = self.staged_path(name);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a staged file that is done with");
        }
    }
}

/// Once the last import job has ended, nobody asks which row of a file is whose.
fn forget_scan(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let waiting = tx
        .prepare_cached("SELECT 1 FROM files WHERE outcome IS NULL AND rows > 0")?
        .exists([])?;
    if !waiting {
        tx.execute_batch("DELETE FROM identities; DELETE FROM cuts;")?;
    }
    Ok(())
}

/// Whether what was found of a staged file is what was written.
fn matches(path: &Path, file: &FileRow, bytes: u64, crc: u32) -> Result<(), StoreError> {
    let found = match (bytes == file.bytes, crc == file.crc) {
        (true, true) => return Ok(()),
        (false, _) => format!("has {bytes} bytes"),
        (true, false) => "has other content than was written (its CRC-32 differs)".to_owned(),
    };
    Err(StoreError::Staged {
        path: path.to_owned(),
        found,
        bytes: file.bytes,
    })
}

/// A staged file that cannot be opened or read any more.
fn lost(path: &Path, bytes: u64, error: io::Error) -> StoreError {
    let path = path.to_owned();
    if error.kind() == io::ErrorKind::NotFound {
        return StoreError::Staged {
            path,
            found: "is not there".to_owned(),
            bytes,
        };
    }
    StoreError::Disk {
        path,
        source: error,
    }
}

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    Ok(FileRow {
        number: row.get(0)?,
        name: row.get(1)?,
        bytes: row.get(2)?,
        rows: row.get(3)?,
        crc: row.get(4)?,
        sealed_ms: row.get(5)?,
        token: row.get(6)?,
        ended: row.get::<_, Option<String>>(7)?.is_some(),
    })
}
