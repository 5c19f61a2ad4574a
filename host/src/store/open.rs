//! Opening a store: the lock, the database, its format.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Inner, Store, StoreError};

/// The format of the database. Goes up with every change of the tables below.
const FORMAT: i64 = 1;

/// Marks a SQLite file as ours: "slce".
const APPLICATION_ID: i64 = 0x736c_6365;

/// Page cache in KiB, and the bound on what a store costs in memory.
const CACHE_KIB: i64 = 16 * 1024;

const TABLES: &str = "
-- The export machine's state, as JSON; one row.
CREATE TABLE machine (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL, phase TEXT NOT NULL, since_ms INTEGER NOT NULL,
    last_error TEXT, last_error_ms INTEGER
);
-- How far each source stream was accepted.
CREATE TABLE positions (stream TEXT PRIMARY KEY, position TEXT NOT NULL);
-- Staged files: how long each durably is, and what became of its import job.
CREATE TABLE files (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL,
    bytes INTEGER NOT NULL, rows INTEGER NOT NULL,
    sealed_ms INTEGER, token TEXT, submitted_ms INTEGER, outcome TEXT, message TEXT
);
-- By what a destination knows the members of staged rows, in the order of the scan. Only appended
-- to, and sorted once at the end: an index would be written anew with every chunk.
CREATE TABLE identities (
    hash BLOB NOT NULL, file INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL
);
-- Rows of staged files that a newer row of the same scan has superseded.
CREATE TABLE cuts (
    file INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (file, start)
) WITHOUT ROWID;
-- Changes that wait for delivery; of a member's rows only the first is due. `seq` is its place in
-- the line, `changes` how many changes were merged into it, `version` grows with each: so an answer
-- to an older version does not settle a newer one.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, member TEXT NOT NULL, bucket INTEGER NOT NULL,
    kind INTEGER NOT NULL, at TEXT, payload TEXT NOT NULL, position TEXT NOT NULL,
    version INTEGER NOT NULL, changes INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, not_before_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX changes_of_member ON changes (member, seq);
-- Rows that could not be sent, kept for a person.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, phase TEXT NOT NULL,
    position TEXT NOT NULL, member TEXT, kind INTEGER, field TEXT, reason TEXT NOT NULL,
    payload TEXT, plugin TEXT NOT NULL, plugin_version TEXT NOT NULL
);
-- How many rows came to which end, by phase (backfill, live).
CREATE TABLE counts (
    phase TEXT NOT NULL, outcome TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (phase, outcome)
) WITHOUT ROWID;
";

impl Store {
    /// Opens an export's store for writing, makes it if it is not there, and keeps every other
    /// process out for as long as it is open.
    ///
    /// # Errors
    /// In use, of another format, damaged, or not writable.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let disk = |source| StoreError::Disk {
            path: directory.to_owned(),
            source,
        };
        make_private(directory).map_err(disk)?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::connect(directory, flags, Some(lock))
    }

    /// Opens an existing store for reading, whoever writes to it.
    ///
    /// # Errors
    /// Not there, of another format, or damaged.
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::connect(directory, flags, None)
    }

    /// Whether there is a store in this folder. A file without any table is none yet: it is being
    /// made, or whoever made it was killed, and the next start goes on with it.
    pub fn exists(directory: &Path) -> bool {
        let database = directory.join("export.db");
        database.exists() && has_tables(&database)
    }

    fn connect(directory: &Path, flags: OpenFlags, lock: Option<File>) -> Result<Self, StoreError> {
        let database = directory.join("export.db");
        let writable = lock.is_some();
        let error = |source| StoreError::Database {
            path: database.clone(),
            source,
        };
        let connection = Connection::open_with_flags(&database, flags).map_err(error)?;
        let found = prepare(&connection, writable).map_err(error)?;
        if found != FORMAT {
            return Err(StoreError::Format {
                path: database,
                found,
                expected: FORMAT,
            });
        }
        let inner = Inner {
            directory: directory.to_owned(),
            database,
            connection: Mutex::new(connection),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// Sets the connection up; answers the format that the database has now.
fn prepare(connection: &Connection, writable: bool) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    if writable {
        // So that the disk gets back what a scan needed. Before anything else is written: later it
        // would have no effect.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        if is_new(connection)? {
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};
                 PRAGMA user_version = {FORMAT}; COMMIT;"
            ))?;
        }
    }
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether nobody has made tables in it.
fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(format == 0 && tables == 0)
}

/// Looks without writing. What cannot be read is said by whoever opens it.
fn has_tables(database: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let looked = Connection::open_with_flags(database, flags).and_then(|connection| {
        // Whoever is making it holds it for a moment.
        connection.busy_timeout(Duration::from_secs(5))?;
        is_new(&connection)
    });
    match looked {
        Ok(new) => !new,
        // A rollback is due that only a writer can do. With its write-ahead log a store needs none:
        // it was killed before it had that, and so before it had tables.
        Err(error) => error
            .sqlite_error()
            .is_none_or(|error| error.extended_code != rusqlite::ffi::SQLITE_READONLY_ROLLBACK),
    }
}

/// Makes a folder that only its owner can look into: it holds members' attributes.
fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(directory)?;
    builder.create(directory.join("staged"))
}
