//! The machine's state and the last error.

use rusqlite::{OptionalExtension, Transaction};

use super::{Store, StoreError};
use crate::export::State;

/// What is recorded of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Where it is.
    pub state: State,
    /// Since when it is in that phase, in milliseconds since 1970.
    pub since_ms: i64,
    /// The last error, and when.
    pub last_error: Option<(String, i64)>,
    /// When what stands in the way is tried again.
    pub next_try_ms: Option<i64>,
}

impl Store {
    /// The recorded state; `None` in a new store.
    ///
    /// # Errors
    /// The database's, or a state that this program never wrote.
    pub fn recorded(&self) -> Result<Option<Recorded>, StoreError> {
        let row = self.read(|db| {
            db.query_row(
                "SELECT state, since_ms, last_error, last_error_ms, next_try_ms FROM machine",
                [],
                |row| {
                    Ok((
                        row.get::<_, String>(0)?,
                        row.get(1)?,
                        row.get::<_, Option<String>>(2)?,
                        row.get::<_, Option<i64>>(3)?,
                        row.get(4)?,
                    ))
                },
            )
            .optional()
        })?;
        row.map(|(state, since_ms, error, at, next_try_ms)| {
            let state = serde_json::from_str(&state)
                .map_err(|_| self.damaged("the state of the export"))?;
            Ok(Recorded {
                state,
                since_ms,
                last_error: error.zip(at),
                next_try_ms,
            })
        })
        .transpose()
    }

    /// Records a transition that brings no data with it.
    ///
    /// # Errors
    /// The database's.
    pub fn record(&self, state: &State, now_ms: i64) -> Result<(), StoreError> {
        self.write(|tx| record(tx, state, now_ms))
    }

    /// Remembers an error for the operator, and when it is tried again.
    ///
    /// # Errors
    /// The database's.
    pub fn record_error(
        &self,
        error: &str,
        now_ms: i64,
        next_try_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE machine SET last_error = ?1, last_error_ms = ?2, next_try_ms = ?3",
            )?
            .execute((error, now_ms, next_try_ms))
            .map(drop)
        })
    }
}

/// Something has come to its end, so nothing stands in the way any more.
pub(super) fn going_on(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE machine SET next_try_ms = NULL WHERE next_try_ms IS NOT NULL")?
        .execute([])
        .map(drop)
}

pub(super) fn record(tx: &Transaction<'_>, state: &State, now_ms: i64) -> rusqlite::Result<()> {
    let json = serde_json::to_string(state).expect("a state is plain data");
    tx.prepare_cached(
        "INSERT INTO machine (one, state, phase, since_ms) VALUES (1, ?1, ?2, ?3)
         ON CONFLICT (one) DO UPDATE SET state = ?1,
             since_ms = iif(phase = ?2, since_ms, ?3), phase = ?2, next_try_ms = NULL",
    )?
    .execute((json, state.phase(), now_ms))
    .map(drop)
}
