//! One SQLite database for each export, with its staged files beside it.
//!
//! The durable order: write, sync, then advance. Every public method that changes something is
//! one transaction that is on disk when it returns (WAL, `synchronous = FULL`). A tenant can be
//! inspected with `sqlite3` and removed with `rm -r`.

mod append;
mod captures;
mod commands;
mod counts;
mod crc;
mod digest;
mod files;
mod log;
mod merge;
mod open;
mod plugin_state;
mod quarantine;
mod receipt;
mod refused;
mod scan;
mod size;
mod state;
mod usage;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use crate::blocking::blocking;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use captures::{CaptureOrder, OrderStage};
pub use commands::Command;
pub(crate) use commands::LOOK_OUTSIDE;
pub use counts::{Counts, Ledger, PhaseCounts};
pub use digest::Digest;
pub use files::{Appender, FileRow, Imported};
pub use log::{Incoming, Outcome, Pending};
pub use merge::Together;
pub use plugin_state::{Remembered, Texts};
pub use quarantine::{QuarantineFilter, QuarantineRow, Quarantined, Replay};
pub use receipt::{Did, ExportReceipt, JobReceipt};
pub use refused::{FileLine, Wanted};
pub use scan::{FileEnd, Identity, RefusedRow, ScanChunk, StagedRow};
pub use state::Recorded;
pub use usage::PluginUsage;

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("store {path}: {source}{}", hint(.source))]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk refused.
    #[error("store {path}: {source}{}", disk_hint(.source))]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A staged file is not what was written.
    #[error(
        "staged file {path} {found}; {bytes} bytes were staged. Put it back as it was, or move this \
         export's folder away to scan anew"
    )]
    Staged {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        found: String,
        /// How long it durably was.
        bytes: u64,
    },
    /// Another process has it.
    #[error(
        "store {path} is in use by another process; stop that one first, or give this one another --data"
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// Written by another version of this program.
    #[error(
        "store {path} has format {found}; this program reads format {expected}. {}",
        match found < expected {
            true => "`sluice run` brings it up to date if it is not too old. Use the version that wrote it otherwise",
            false => "Use the version that wrote it, or a newer one",
        }
    )]
    Format {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The one that is known.
        expected: i64,
    },
    /// It was there, and is not any more.
    #[error(
        "store {path} is empty or not there, but it was there before; nothing was changed. Restore it from a backup, or move this export's folder away to start anew"
    )]
    Gone {
        /// The database.
        path: PathBuf,
    },
    /// Something stands in it that this program never wrote.
    #[error(
        "store {path}: {what} cannot be read; nothing was changed. Restore it from a backup, or move this export's folder away to start anew"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
}

fn disk_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => FREE_SPACE,
        Kind::FileTooLarge => {
            "; a limit on the size of files (`ulimit -f`, or the file system's) is reached: raise it, then start again: nothing is lost"
        }
        Kind::PermissionDenied
        | Kind::ReadOnlyFilesystem
        | Kind::NotADirectory
        | Kind::AlreadyExists => {
            "; a folder is needed there that this user may write to: make room for it, or give another --data"
        }
        _ => "",
    }
}

/// What to do about a full disk.
const FREE_SPACE: &str = "; free some space, then start again: nothing is lost";

fn hint(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => FREE_SPACE,
        // What SQLite makes of every refusal but "no space left".
        Some(Code::SystemIoFailure) => {
            "; the disk refuses: it is full, at a limit (a quota, `ulimit -f`) or failing. Repair that, then start again: nothing is lost"
        }
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            "; this user must be allowed to write to it and to its folder"
        }
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            "; the file is damaged and nothing was changed. Restore it from a backup, or move this export's folder away to start anew"
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            "; another program holds it: close that one, then start again"
        }
        _ => "",
    }
}

/// An export's durable state. Cheap to clone; calls take turns.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    database: PathBuf,
    connection: Mutex<Connection>,
    /// What was used and is not on disk, by version; none where nobody works on the export.
    meters: RwLock<Vec<usage::Meter>>,
    /// Held for as long as the store is open.
    _lock: Option<std::fs::File>,
}

impl Store {
    /// The export's folder.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// Runs `work` on a thread where blocking is allowed.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let store = self.clone();
        blocking(move || work(&store)).await
    }

    /// One transaction, on disk when this returns. What was used goes along if it is due.
    fn write<R>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        let mut connection = self
            .inner
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            let meters = self.meters();
            let due: Vec<_> = meters.iter().filter_map(usage::Meter::due).collect();
            for due in &due {
                due.put(&transaction)?;
            }
            transaction.commit()?;
            due.into_iter().for_each(usage::Due::kept);
            Ok(result)
        };
        run().map_err(|source| self.database_error(source))
    }

    fn meters(&self) -> RwLockReadGuard<'_, Vec<usage::Meter>> {
        self.inner
            .meters
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<R>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, StoreError> {
        let connection = self
            .inner
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        work(&connection).map_err(|source| self.database_error(source))
    }

    fn database_error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Database {
            path: self.inner.database.clone(),
            source,
        }
    }

    fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged {
            path: self.inner.database.clone(),
            what,
        }
    }
}

#[cfg(test)]
mod quarantine_tests;
#[cfg(test)]
mod tests;
