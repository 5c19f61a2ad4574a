//! Captures that somebody wants of a running export, handed over through its store like commands.

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::capture::CallKind;

/// A capture that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureOrder {
    /// How many calls.
    pub calls: u32,
    /// Calls of which functions.
    pub of: Vec<CallKind>,
    /// Whether members' values are wanted as they are.
    pub reveal: bool,
    /// Until when, in milliseconds since 1970; then what there is has to do.
    pub until_ms: i64,
    /// How far it is.
    pub stage: OrderStage,
}

/// How far a capture is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStage {
    /// Nobody has seen it.
    Wanted,
    /// A running export has.
    Seen,
    /// Its file is there.
    Done,
    /// It came to nothing.
    Failed(String),
}

impl CaptureOrder {
    /// Whether nothing has come of it yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, OrderStage::Wanted | OrderStage::Seen)
    }
}

impl Store {
    /// Asks the process that works on the export for a capture; answers the order's number.
    ///
    /// # Errors
    /// The database's.
    pub fn order_capture(&self, order: &CaptureOrder, now_ms: i64) -> Result<i64, StoreError> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO captures (at_ms, wanted) VALUES (?1, ?2)",
                (now_ms, json(order)),
            )?;
            Ok(tx.last_insert_rowid())
        })
    }

    /// The orders that there are, with their numbers. `None` stands for one that another version of
    /// this program has left.
    ///
    /// # Errors
    /// The database's.
    pub fn capture_orders(&self) -> Result<Vec<(i64, Option<CaptureOrder>)>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT id, wanted FROM captures ORDER BY id")?
                .query_map([], |row| {
                    let order = serde_json::from_str(row.get_ref(1)?.as_str()?);
                    Ok((row.get(0)?, order.ok()))
                })?
                .collect()
        })
    }

    /// Says that an order was seen, if nobody has said anything else of it meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn saw_capture(&self, id: i64, order: CaptureOrder) -> Result<(), StoreError> {
        let before = json(&order);
        let seen = json(&CaptureOrder {
            stage: OrderStage::Seen,
            ..order
        });
        self.write(|tx| {
            tx.execute(
                "UPDATE captures SET wanted = ?3 WHERE id = ?1 AND wanted = ?2",
                (id, before, seen),
            )
            .map(drop)
        })
    }

    /// Says how far an order is; answers whether anybody still waits for it.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn note_capture(&self, id: i64, order: &CaptureOrder) -> Result<bool, StoreError> {
        self.write(|tx| {
            let noted = tx.execute(
                "UPDATE captures SET wanted = ?2 WHERE id = ?1",
                (id, json(order)),
            );
            Ok(noted? > 0)
        })
    }

    /// Takes orders back.
    ///
    /// # Errors
    /// The database's.
    pub fn withdraw_captures(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.write(|tx| {
            for id in ids {
                tx.execute("DELETE FROM captures WHERE id = ?1", [id])?;
            }
            Ok(())
        })
    }

    /// Whether no process works on the export right now. Looks by holding its lock for a moment, together
    /// with whoever else looks: a start in that very moment would find it in use.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_idle(&self) -> Result<bool, StoreError> {
        let path = self.directory().join("lock");
        let looked = std::fs::File::open(&path).and_then(|lock| match lock.try_lock_shared() {
            Ok(()) => lock.unlock().map(|()| true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        });
        looked.map_err(|source| StoreError::Disk { path, source })
    }
}

fn json(order: &CaptureOrder) -> String {
    serde_json::to_string(order).expect("an order is JSON")
}
