//! What may be seen of a running export without being in its way.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::machine::State;
use super::meters::Meters;
use super::versions::{Shown, Version};
use crate::store::{Ledger, Recorded, Store, StoreError};
use crate::usage::Bills;

/// Looks at one export. Cheap to clone, and does not keep it running.
#[derive(Clone, Debug)]
pub struct Observer {
    /// The tenant's name.
    pub tenant: String,
    /// The export's own.
    pub id: String,
    /// What each version of its plugin uses.
    pub bills: Bills,
    pub(super) shown: Shown,
    pub(super) meters: Arc<Meters>,
    pub(super) directory: PathBuf,
    pub(super) ended: watch::Receiver<bool>,
}

/// What the store says at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Where the export is; `None` before anything was recorded.
    pub recorded: Option<Recorded>,
    /// Its counts.
    pub ledger: Ledger,
}

impl Observer {
    /// One of an export that nobody runs.
    #[cfg(test)]
    pub(crate) fn of(tenant: &str, id: &str, plugin: &str, plugin_version: &str) -> Self {
        let bills = Bills::default();
        bills.of(plugin, plugin_version);
        Self {
            tenant: tenant.to_owned(),
            id: id.to_owned(),
            bills,
            shown: Shown::new(Version {
                name: plugin.to_owned(),
                version: plugin_version.to_owned(),
                sha256: "0123456789abcdef".repeat(4),
                contract: "0.1.0".to_owned(),
            }),
            meters: Arc::default(),
            directory: PathBuf::from("/nowhere"),
            ended: watch::channel(false).1,
        }
    }

    /// The tenant's and the export's name together.
    pub fn name(&self) -> String {
        format!("{}/{}", self.tenant, self.id)
    }

    /// The version of its plugin that works now.
    pub fn version(&self) -> Version {
        self.shown.version()
    }

    /// Whether nobody works on it any more.
    pub fn has_ended(&self) -> bool {
        // A sender that is gone without a word has panicked.
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    /// Whether it waits for a person.
    pub fn is_parked(&self) -> bool {
        matches!(self.meters.state(), Some(State::Parked { .. }))
    }

    /// Reads the store beside whoever works on it, who does not have to wait for it. Blocking.
    ///
    /// # Errors
    /// The store's.
    pub fn read(&self) -> Result<Observed, StoreError> {
        let store = Store::open_read_only(&self.directory)?;
        Ok(Observed {
            recorded: store.recorded()?,
            ledger: store.ledger()?,
        })
    }
}
