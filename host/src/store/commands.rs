//! What operators want of a running export, handed over through its store: so it is durable, and
//! works from another process.

use std::time::Duration;

use rusqlite::Connection;

use super::{Store, StoreError, state};
use crate::export::State;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Deliver nothing until told otherwise.
    Pause,
    /// Go on, whatever it was parked for.
    Resume,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }
}

impl Store {
    /// Hands a command over.
    ///
    /// # Errors
    /// The database's.
    pub fn command(&self, command: Command, now_ms: i64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO commands (at_ms, command) VALUES (?1, ?2)",
                (now_ms, command.name()),
            )
            .map(drop)
        })
    }

    /// The commands that wait, oldest first, with their numbers.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn commands(&self) -> Result<Vec<(i64, Command)>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT id, command FROM commands ORDER BY id")?
                .query_map([], |row| {
                    let command = match row.get_ref(1)?.as_str()? {
                        "pause" => Command::Pause,
                        _ => Command::Resume,
                    };
                    Ok((row.get(0)?, command))
                })?
                .collect()
        })
    }

    /// A command was obeyed: it is gone in the transaction that records the state it leads to.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn obeyed(&self, id: i64, state: &State, now_ms: i64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM commands WHERE id = ?1", [id])?;
            state::record(tx, state, now_ms)
        })
    }

    /// A number that changes when another process has written.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn outside_version(&self) -> Result<i64, StoreError> {
        self.read(|db: &Connection| db.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }
}

/// How often a running export looks whether another process has written into its store. A person
/// does not notice it, and one look costs microseconds.
pub(crate) const LOOK_OUTSIDE: Duration = Duration::from_millis(500);
