//! Where members and changes come from: each kind one file, and what they share.
//!
//! A source knows lines and positions; `project` (pure) turns a line into mapped attributes.
//! Positions are handed out with what was read and become durable in the same transaction.

mod changes;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod lines;
mod members;
mod project;
mod rotation;

use std::path::{Path, PathBuf};

pub use changes::{Anew, ChangeSource, Changes, LineFormat, anew};
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
    /// The members file is not the one whose scan had begun.
    #[error(
        "{path} {what}, while it was scanned: {accepted} bytes of the old file are staged. Put that \
         file back, or move this export's folder away to scan anew"
    )]
    Members {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        what: Otherwise,
        /// How far it was scanned.
        accepted: u64,
    },
    /// The file of changes is not the one that was read, and that one is nowhere in its folder.
    #[error(
        "{path} {what}; {accepted} bytes of the file that was read were accepted, and where it goes \
         on cannot be found in its folder. Put that file back; or run `sluice source accept EXPORT` \
         to have the present file read from its beginning. Until then nothing is read"
    )]
    Changes {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        what: Otherwise,
        /// How far it was accepted.
        accepted: u64,
    },
    /// It was rotated, and which file comes next cannot be told.
    #[error(
        "{path} was rotated: {accepted} bytes of {rotated} were accepted, and whether {other} was \
         written after it cannot be told, since {why}. Move {other} out of the folder if it was not, \
         else give both modification times in the order in which they were written; or run `sluice \
         source accept EXPORT` to have the present file read from its beginning. Until then nothing \
         is read"
    )]
    Order {
        /// The file.
        path: PathBuf,
        /// The name that the file which was read has now.
        rotated: String,
        /// How far it was accepted.
        accepted: u64,
        /// The file whose place is unclear.
        other: String,
        /// What speaks against an order.
        why: &'static str,
    },
    /// The store holds a position that this source never wrote.
    #[error(
        "the stored position of {path} cannot be read; the store was changed from outside, or by a \
         newer version"
    )]
    Position {
        /// The file.
        path: PathBuf,
    },
}

impl SourceError {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

/// What is found in the place of a file that was partly read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Otherwise {
    /// Nothing.
    #[error("is not there any more")]
    Missing,
    /// A shorter one: the same, or one that was given its number by the file system.
    #[error("has only {bytes} bytes: it was truncated or replaced")]
    Truncated {
        /// How long it is.
        bytes: u64,
    },
    /// Another file.
    #[error("was replaced by another file")]
    Replaced,
    /// Another text, in the same file or in one that was given its number.
    #[error("has another text: it was overwritten or replaced")]
    Overwritten,
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod rotation_tests;
