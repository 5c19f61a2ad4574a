//! What swaps have left in `.plugins/` and nobody needs any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::registry::{Registry, RegistryError};
use crate::store::{Store, StoreError};

/// Why nothing is taken away.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    /// Who needs what is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folders of the stores cannot be read.
    #[error("{path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
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
        for export in folders(&tenant)? {
            if Store::exists(&export) {
                needed.extend(Store::open_read_only(&export)?.components()?);
            }
        }
    }
    Ok(registry.sweep(&needed)?)
}

/// The folders in a folder, but for those whose name begins with a dot.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, SweepError> {
    let error = |source| SweepError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        if !hidden && path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}
