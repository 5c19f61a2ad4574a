//! The versions of plugins that this machine keeps, in `.plugins/` beside the stores.
//!
//! A component lies under its SHA-256, so a file never changes its meaning, and two with the same
//! content are one. `entries` says which of them is which version, and where channels point; `resolve`
//! finds what the configuration means; `names` and `signature` are pure; `disk` writes and reads.

mod disk;
mod entries;
mod error;
pub mod names;
mod resolve;
pub(crate) mod signature;
mod users;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use entries::{Entry, Index, Listed};
pub use error::RegistryError;
pub use resolve::Resolved;
pub use signature::{NoKey, SIGNATURE, SigningKey, Unsigned};
pub use users::Users;

/// The folder in the data directory.
const FOLDER: &str = ".plugins";

/// What the name of a component's file ends with, behind its SHA-256.
const COMPONENT: &str = ".wasm";

/// How long a component without a name is left alone that nobody seems to need: whoever has just kept it
/// may be about to say so.
pub const FRESH: Duration = Duration::from_secs(3_600);

/// The versions of one data directory. Cheap to clone; nothing is open or locked.
#[derive(Clone, Debug)]
pub struct Registry {
    folder: PathBuf,
}

/// A component that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its file.
    pub path: PathBuf,
}

impl Registry {
    /// The registry of a data directory. Nothing is made or read yet.
    pub fn at(data: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
        }
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new("."))
    }

    /// Where a component with this SHA-256 lies, if it is kept.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}{COMPONENT}"))
    }

    /// Keeps a component. Once this returns it is on disk whole, for this user alone; a file under
    /// its name that is not it is replaced. Whoever needs it says so within [`FRESH`]. Blocking.
    ///
    /// # Errors
    /// The disk's, or others can write to the folder.
    pub fn keep(&self, bytes: &[u8]) -> Result<Kept, RegistryError> {
        let _lock = self.lock()?;
        self.keep_locked(bytes)
    }

    /// Whether a component is kept as it was. From now on it is as if it had just been kept, where that
    /// can be written down: elsewhere nobody sweeps either. Blocking.
    pub fn keeps(&self, sha256: &str) -> bool {
        let _lock = self.lock();
        let there = self.read(sha256).is_ok();
        if there {
            let _ = self.touch(sha256);
        }
        there
    }

    fn touch(&self, sha256: &str) -> Result<(), RegistryError> {
        let path = self.path(sha256);
        disk::touch(&path).map_err(|source| RegistryError::Disk { path, source })
    }

    fn keep_locked(&self, bytes: &[u8]) -> Result<Kept, RegistryError> {
        let sha256 = digest(bytes);
        let path = self.path(&sha256);
        let there = match disk::read(&path) {
            Ok(found) => digest(&found) == sha256,
            Err(_) => false,
        };
        match there {
            true => self.touch(&sha256)?,
            false => self.put(&format!("{sha256}{COMPONENT}"), bytes)?,
        }
        Ok(Kept { sha256, path })
    }

    /// The bytes of a component, which are those that were kept. Blocking.
    ///
    /// # Errors
    /// It is not there, or is not what was kept.
    pub fn read(&self, sha256: &str) -> Result<Vec<u8>, RegistryError> {
        let path = self.path(sha256);
        let bytes = disk::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => RegistryError::Gone { path: path.clone() },
            _ => RegistryError::Disk {
                path: path.clone(),
                source,
            },
        })?;
        match digest(&bytes) {
            found if found == sha256 => Ok(bytes),
            found => Err(RegistryError::Altered { path, found }),
        }
    }

    /// Takes away the components without a name that nobody needs, with their signatures; answers which.
    /// `needed` was found out before, so what was kept since then is fresh. Blocking.
    ///
    /// # Errors
    /// The disk's, or a file of the index that holds something else.
    pub fn sweep(&self, needed: &BTreeSet<String>) -> Result<Vec<String>, RegistryError> {
        if !self.folder.is_dir() {
            return Ok(vec![]);
        }
        let _lock = self.lock()?;
        let mut gone = self.list()?.nameless;
        let fresh = |sha256: &str| disk::age(&self.path(sha256)).is_none_or(|age| age < FRESH);
        gone.retain(|sha256| !needed.contains(sha256) && !fresh(sha256));
        for sha256 in &gone {
            for name in [
                entries::signature_name(sha256),
                format!("{sha256}{COMPONENT}"),
            ] {
                disk::remove(&self.folder, &name).map_err(self.disk(&name))?;
            }
        }
        Ok(gone)
    }

    /// Puts a file there whole, or not at all.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), RegistryError> {
        disk::make(&self.folder)
            .and_then(|()| disk::put(&self.folder, name, bytes))
            .map_err(|source| RegistryError::Disk {
                path: self.folder.join(name),
                source,
            })
    }
}

/// The beginning of a SHA-256, for people.
pub fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
