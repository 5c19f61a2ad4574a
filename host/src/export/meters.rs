//! What an export is doing right now, for whoever watches. Not durable: the store has the truth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::machine::State;

/// An export's meters.
#[derive(Debug, Default)]
pub struct Meters {
    state: Mutex<Option<State>>,
    pub(super) scan_bytes: AtomicU64,
    pub(super) scan_total: AtomicU64,
    pub(super) scan_rows: AtomicU64,
    pub(super) upload_sent: Arc<AtomicU64>,
    pub(super) upload_total: AtomicU64,
    pub(super) import_done: AtomicU64,
    pub(super) import_total: AtomicU64,
    pub(super) delivered: AtomicU64,
    message: Mutex<String>,
}

/// The meters at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where the export is; `None` before it has started.
    pub state: Option<State>,
    /// Bytes of the members file read, and in all.
    pub scan: (u64, u64),
    /// Members read since the start.
    pub scan_rows: u64,
    /// Bytes of the staged file sent, and in all.
    pub upload: (u64, u64),
    /// Rows that the import job has done, and in all, as far as the destination tells.
    pub import: (u64, u64),
    /// Changes delivered since the start.
    pub delivered: u64,
    /// What the destination said last, or what stands in the way.
    pub message: String,
}

impl Meters {
    /// All of them now.
    pub fn snapshot(&self) -> Snapshot {
        let get = |meter: &AtomicU64| meter.load(Ordering::Relaxed);
        Snapshot {
            state: self.state(),
            scan: (get(&self.scan_bytes), get(&self.scan_total)),
            scan_rows: get(&self.scan_rows),
            upload: (get(&self.upload_sent), get(&self.upload_total)),
            import: (get(&self.import_done), get(&self.import_total)),
            delivered: get(&self.delivered),
            message: self
                .message
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    pub(super) fn state(&self) -> Option<State> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_state(&self, state: &State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.clone());
    }

    pub(super) fn say(&self, message: &str) {
        message.clone_into(&mut self.message.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
