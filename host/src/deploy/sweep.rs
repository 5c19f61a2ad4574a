//! What swaps have left in `.plugins/` and nobody needs any more.

use std::collections::BTreeSet;

use super::stores::{Unreadable, folders, stores};
use crate::registry::{Registry, RegistryError};
use crate::store::{Store, StoreError};

/// Why nothing is taken away.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    /// Who needs what is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folders of the stores cannot be read.
    #[error(transparent)]
    Folder(#[from] Unreadable),
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Takes away components without a name that no store of the data directory needs, whoever works on it;
/// answers which. One store that cannot be read keeps all of them. Blocking.
///
/// # Errors
/// What cannot be read.
pub(super) fn sweep(registry: &Registry) -> Result<Vec<String>, SweepError> {
    let mut needed = BTreeSet::new();
    for tenant in folders(registry.data())? {
        for store in stores(&tenant)? {
            needed.extend(Store::open_read_only(&store)?.components()?);
        }
    }
    Ok(registry.sweep(&needed)?)
}
