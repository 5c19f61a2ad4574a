//! Which stores lie in a data directory, whatever the configuration says.

use std::path::{Path, PathBuf};

use crate::store::Store;

/// A folder of the data directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct Unreadable {
    path: PathBuf,
    source: std::io::Error,
}

/// The stores of a tenant whose file cannot be read, with the names of their exports as `tenant/export`.
/// Blocking.
///
/// # Errors
/// A folder cannot be read.
pub fn stores_of(data: &Path, tenant: &str) -> Result<Vec<(String, PathBuf)>, Unreadable> {
    let folder = data.join(tenant);
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let named = |store: PathBuf| {
        let export = store.file_name().unwrap_or_default().to_string_lossy();
        (format!("{tenant}/{export}"), store)
    };
    Ok(stores(&folder)?.into_iter().map(named).collect())
}

/// The stores in the folder of a tenant.
pub(super) fn stores(tenant: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = folders(tenant)?;
    found.retain(|export| Store::exists(export));
    Ok(found)
}

/// The folders in a folder by name, but for those whose name begins with a dot.
pub(super) fn folders(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let error = |source| Unreadable {
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
    found.sort();
    Ok(found)
}
