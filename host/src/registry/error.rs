//! Why a version cannot be kept, found or used.

use std::path::PathBuf;

/// What is wrong with the registry, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file or the folder cannot be read or written.
    #[error("registry: {path}: {source}")]
    Disk {
        /// What was to be read or written.
        path: PathBuf,
        /// What the system said, or what is wrong with it.
        source: std::io::Error,
    },
    /// A component that the registry should hold is not there.
    #[error(
        "registry: {path} is not there; add the plugin's file once more (`sluice plugin add FILE`)"
    )]
    Gone {
        /// Where it should be.
        path: PathBuf,
    },
    /// A component is not the one that was kept.
    #[error(
        "registry: {path} is not what was kept: expected the SHA-256 that is its name, found {found}. \
         Add the plugin's file once more from where you trust it (`sluice plugin add FILE`)"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The SHA-256 of what lies there.
        found: String,
    },
}
