//! Where members and changes come from: each kind one file, and what they share.
//!
//! A source knows lines and positions; `project` (pure) turns a line into mapped attributes.
//! Positions are handed out with what was read and become durable in the same transaction.

mod changes;
mod lines;
mod members;
mod project;

use std::path::PathBuf;

pub use changes::{ChangeSource, Changes, LineFormat};
pub use members::{Members, ScanRead, ScannedBatch};
pub use project::{Payload, Projection, Unreadable};

/// Why a source could not be read on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The system refused.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not the one that was read before.
    #[error(
        "{path} was {what} after {accepted} bytes of it were accepted; put the old file back, or \
         move this export's store away to start anew"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        what: &'static str,
        /// How far it was accepted.
        accepted: u64,
    },
    /// The store holds a position that this source never wrote.
    #[error("the stored position of {path} cannot be read")]
    Position {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests;
