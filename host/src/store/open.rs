//! Opening a store: the lock, the database, its format.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use super::{Inner, Store, StoreError};

/// The format of the database. Goes up with every change of the tables below.
const FORMAT: i64 = 4;

/// The oldest format that a start brings up to date: what came since was only added.
const OLDEST: i64 = 3;

/// Marks a SQLite file as ours: "slce".
const APPLICATION_ID: i64 = 0x736c_6365;

/// What stands in the lock file once the database was made: from then on its absence is a loss.
const MADE: &[u8] = b"export.db was made\n";

/// Page cache in KiB, and the bound on what a store costs in memory.
const CACHE_KIB: i64 = 16 * 1024;

/// How often and in what distance the lock is tried for.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

const TABLES: &str = "
-- The export machine's state, as JSON; one row.
CREATE TABLE machine (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    state TEXT NOT NULL, phase TEXT NOT NULL, since_ms INTEGER NOT NULL,
    last_error TEXT, last_error_ms INTEGER, next_try_ms INTEGER
);
-- What operators want, until the machine has done it.
CREATE TABLE commands (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, command TEXT NOT NULL);
-- How far each source stream was accepted.
CREATE TABLE positions (stream TEXT PRIMARY KEY, position TEXT NOT NULL);
-- Staged files: how long each durably is, the CRC-32 of so many bytes, and what became of its
-- import job.
CREATE TABLE files (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL,
    bytes INTEGER NOT NULL, rows INTEGER NOT NULL, crc INTEGER NOT NULL,
    digest BLOB NOT NULL, sealed_ms INTEGER,
    submissions INTEGER NOT NULL DEFAULT 0, submitted_ms INTEGER, token TEXT,
    outcome TEXT, ended_ms INTEGER, delivered INTEGER, refused INTEGER, message TEXT
);
-- By what a destination knows the members of staged rows, in the order of the scan. Only appended
-- to, and sorted once at the end: an index would be written anew with every chunk. The first of a
-- row's is the host's own. File 0 is the quarantine: `start` is the number there.
CREATE TABLE identities (
    hash BLOB NOT NULL, file INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL
);
-- Rows of staged files that a newer row of the same scan has superseded.
CREATE TABLE cuts (
    file INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, PRIMARY KEY (file, start)
) WITHOUT ROWID;
-- Changes that wait for delivery; of a member's rows only the first is due. `seq` is its place in
-- the line, `changes` how many changes were merged into it (`of_backfill` of them from quarantine),
-- `digest` and `newest` are the sum of their digests and the last one's, `replay` is the number that
-- it had in quarantine. `version` grows with each: so an answer to an older one does not settle a newer.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, member TEXT NOT NULL, bucket INTEGER NOT NULL,
    kind INTEGER NOT NULL, at TEXT, payload TEXT NOT NULL, position TEXT NOT NULL,
    version INTEGER NOT NULL, changes INTEGER NOT NULL, of_backfill INTEGER NOT NULL,
    digest BLOB NOT NULL, newest BLOB NOT NULL, replay INTEGER, received_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0, not_before_ms INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX changes_of_member ON changes (member, seq);
-- The size of all of them, for the limit.
CREATE TABLE log_size (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
INSERT INTO log_size VALUES (1, 0);
CREATE TRIGGER changes_added AFTER INSERT ON changes BEGIN
    UPDATE log_size SET bytes = bytes + 256 + octet_length(new.member) + octet_length(new.payload);
END;
CREATE TRIGGER changes_merged AFTER UPDATE OF payload ON changes BEGIN
    UPDATE log_size SET bytes = bytes + octet_length(new.payload) - octet_length(old.payload);
END;
CREATE TRIGGER changes_gone AFTER DELETE ON changes BEGIN
    UPDATE log_size SET bytes = bytes - 256 - octet_length(old.member) - octet_length(old.payload);
END;
-- Rows that could not be sent, kept for a person.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, phase TEXT NOT NULL,
    position TEXT NOT NULL, member TEXT, kind INTEGER, field TEXT, reason TEXT NOT NULL,
    payload TEXT, plugin TEXT NOT NULL, plugin_version TEXT NOT NULL,
    digest BLOB NOT NULL, rows INTEGER NOT NULL DEFAULT 1, overtaken INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX quarantine_of_member ON quarantine (member) WHERE member IS NOT NULL;
-- How many rows came to which end, by phase (backfill, live).
CREATE TABLE counts (
    phase TEXT NOT NULL, outcome TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (phase, outcome)
) WITHOUT ROWID;
-- What was used under each version of a plugin: sums by name, and the peak of an instance's memory.
CREATE TABLE usage (
    plugin TEXT NOT NULL, plugin_version TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (plugin, plugin_version, what)
) WITHOUT ROWID;
-- Up to when the time that staged files lie on the disk is in it; one row.
CREATE TABLE usage_until (one INTEGER PRIMARY KEY CHECK (one = 1), until_ms INTEGER NOT NULL);
-- What the checksum is made of: for each outcome the sum of its rows' digests.
CREATE TABLE sums (outcome TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;
";

/// What format 4 has more than format 3. A new store gets it the same way as an old one.
const ADDED_IN_4: &str = "
-- What the import job did with the rows that it took, as JSON, as far as the destination tells.
ALTER TABLE files ADD COLUMN did TEXT;
-- Which versions of the plugin the export runs, and the swap from one to the other, as JSON; one row.
CREATE TABLE plugin_versions (one INTEGER PRIMARY KEY CHECK (one = 1), versions TEXT NOT NULL);
-- Swaps that are wanted, as JSON, until the export has begun or refused them.
CREATE TABLE swaps (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, wanted TEXT NOT NULL);
-- What the plugin remembers: the contract's `state`.
CREATE TABLE plugin_state (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, plugin_version TEXT NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
-- Captures that are wanted, as JSON, until they are made.
CREATE TABLE captures (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, wanted TEXT NOT NULL);
-- The SHA-256 of the component that started the import job: it is asked if a newer one cannot be.
ALTER TABLE files ADD COLUMN submitted_by TEXT;
-- Whether it was the destination that asked to wait: then it waits, whichever version would send it.
ALTER TABLE changes ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
";

impl Store {
    /// Opens an export's store for writing, makes it if it is not there, and keeps every other
    /// process out for as long as it is open.
    ///
    /// # Errors
    /// In use, of another format, damaged, gone, or not writable.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let disk = |source| StoreError::Disk {
            path: directory.to_owned(),
            source,
        };
        make_private(directory).map_err(disk)?;
        let path = directory.join("lock");
        let mut lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(disk)?;
        match patiently(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
        let made = lock.metadata().map_err(disk)?.len() > 0;
        let path = directory.join("export.db");
        if made && std::fs::metadata(&path).map_or(0, |database| database.len()) == 0 {
            return Err(StoreError::Gone { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Self::connect(directory, flags, lock.try_clone().map(Some).map_err(disk)?)?;
        sync_folders(directory).map_err(disk)?;
        if !made {
            lock.write_all(MADE).map_err(disk)?;
            lock.sync_all().map_err(disk)?;
        }
        Ok(store)
    }

    /// Opens an existing store for reading, whoever writes to it.
    ///
    /// # Errors
    /// Not there, of another format, or damaged.
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::connect(directory, flags, None)
    }

    /// Opens an existing store for one small write beside the process that works on it.
    ///
    /// # Errors
    /// Not there, of another format, damaged, or not writable.
    pub fn open_beside(directory: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::connect(directory, flags, None)
    }

    /// Whether there is a store in this folder. A file without any table is none yet: it is being
    /// made, or whoever made it was killed, and the next start goes on with it.
    pub fn exists(directory: &Path) -> bool {
        let database = directory.join("export.db");
        database.exists() && has_tables(&database)
    }

    /// Whether a process works on the store in this folder right now.
    pub fn is_worked_on(directory: &Path) -> bool {
        let Ok(lock) = File::open(directory.join("lock")) else {
            return false;
        };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
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
            meters: RwLock::default(),
            _lock: lock,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

/// Takes the lock. Whoever looks whether the store is worked on holds it for a moment, too.
fn patiently(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN_LOOKS),
            tried => return tried,
        }
    }
    lock.try_lock()
}

/// Sets the connection up; answers the format that the database has now. A database that is not
/// ours, or damaged, is left as it was.
fn prepare(connection: &Connection, writable: bool) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let format = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    if !writable {
        return format();
    }
    // Else closing it again would write the rest of an earlier run into it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let found = format()?;
    let new = is_new(connection)?;
    if new {
        // So that the disk gets back what a scan needed. Before anything else is written: later it
        // would have no effect.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    } else if (OLDEST..=FORMAT).contains(&found) {
        check(connection)?;
    } else {
        return Ok(found);
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    if new {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} {ADDED_IN_4} PRAGMA application_id = {APPLICATION_ID};
             PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
    } else if found < FORMAT {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {ADDED_IN_4} PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
    }
    format()
}

/// Reads every page once: damage that shows only when a page is needed would show in the middle of
/// the work, after the rest of the database was changed.
fn check(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let found = found.replace('\n', " ");
    Err(rusqlite::Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_CORRUPT),
        Some(found),
    ))
}

/// Puts on disk that the database is in its folder, and the folders in theirs. Every time, since an
/// earlier start may have been cut off before it came to that.
fn sync_folders(directory: &Path) -> std::io::Result<()> {
    let sync = |folder: &Path| match folder.as_os_str().is_empty() {
        true => File::open(".")?.sync_all(),
        false => File::open(folder)?.sync_all(),
    };
    sync(directory)?;
    // The tenant's folder, that of all data, and the one that this is in.
    for folder in directory.ancestors().skip(1).take(3) {
        match sync(folder) {
            // Then it was not made by us.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => break,
            result => result?,
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::State;

    #[test]
    fn a_store_of_the_format_before_is_brought_up_to_date_and_keeps_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        make_private(directory.path()).unwrap();
        let database = directory.path().join("export.db");
        let old = Connection::open(&database).unwrap();
        old.execute_batch(&format!(
            "{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {OLDEST};"
        ))
        .unwrap();
        let state = serde_json::to_string(&State::Live).unwrap();
        old.execute(
            "INSERT INTO machine (one, state, phase, since_ms) VALUES (1, ?1, 'live', 7)",
            [state],
        )
        .unwrap();
        drop(old);
        // Reading does not write.
        assert!(matches!(
            Store::open_read_only(directory.path()),
            Err(StoreError::Format { found: OLDEST, .. })
        ));
        drop(Store::open(directory.path()).unwrap());
        let store = Store::open_read_only(directory.path()).unwrap();
        assert_eq!(store.recorded().unwrap().unwrap().state, State::Live);
    }
}
