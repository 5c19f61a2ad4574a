//! From what the configuration says to the file that is loaded.

use std::path::PathBuf;

use super::{Entry, Registry, RegistryError};
use crate::config::{PluginSource, Which};
use crate::plugin::{ComponentFile, LoadError, LoadLimits};

/// The file that a [`PluginSource`] leads to right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The file.
    pub path: PathBuf,
    /// Of a version that is kept, what is known of it. What is in a plain file is seen when it is read.
    pub entry: Option<Entry>,
}

impl Registry {
    /// Finds the file that is meant. Blocking.
    ///
    /// # Errors
    /// No such plugin, version or channel is kept.
    pub fn resolve(&self, source: &PluginSource) -> Result<Resolved, RegistryError> {
        let (name, which) = match source {
            PluginSource::File(path) => {
                return Ok(Resolved {
                    path: path.clone(),
                    entry: None,
                });
            }
            PluginSource::Kept { name, which } => (name, which),
        };
        let entry = match which {
            Which::Version(version) => self.version(name, version)?,
            Which::Channel(channel) => self.on(name, channel)?,
            Which::Sha256(sha256) => {
                let known = self.of(name)?;
                let found = known.iter().find(|one| one.entry.sha256 == *sha256);
                let found = found.map(|one| one.entry.clone());
                found.ok_or_else(|| RegistryError::NoDigest {
                    name: name.clone(),
                    known: known.into_iter().map(|one| one.entry.sha256).collect(),
                })?
            }
        };
        Ok(Resolved {
            path: self.path(&entry.sha256),
            entry: Some(entry),
        })
    }

    /// Reads the file that is meant, with its signature. Of a version that is kept, these are the bytes
    /// that were kept. Blocking.
    ///
    /// # Errors
    /// It is not there, not what was kept, or no component.
    pub fn open(
        &self,
        resolved: &Resolved,
        load: &LoadLimits,
    ) -> Result<ComponentFile, RegistryError> {
        match &resolved.entry {
            None => Ok(ComponentFile::read(&resolved.path, load)?),
            Some(entry) => self.open_kept(&entry.sha256, load),
        }
    }

    /// Reads a component that is kept, also one without a name. Blocking.
    ///
    /// # Errors
    /// It is not there, or not what was kept.
    pub fn open_kept(
        &self,
        sha256: &str,
        load: &LoadLimits,
    ) -> Result<ComponentFile, RegistryError> {
        let path = self.path(sha256);
        let file = match ComponentFile::read(&path, load) {
            Err(LoadError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(RegistryError::Gone { path });
            }
            // Whatever it is now, it was a component when it was kept.
            Err(LoadError::NotAComponent { found, .. }) => {
                return Err(RegistryError::Altered { path, found });
            }
            read => read?,
        };
        match file.sha256() == sha256 {
            true => Ok(file),
            false => Err(RegistryError::Altered {
                path,
                found: file.sha256().to_owned(),
            }),
        }
    }

    /// Keeps a component together with its signature, but without a name. One that is kept already gets
    /// the signature all the same: it may have been signed since. Blocking.
    ///
    /// # Errors
    /// The disk's, or its signature cannot be read.
    pub fn keep_file(&self, file: &ComponentFile) -> Result<super::Kept, RegistryError> {
        let signature = file.signature()?;
        let _lock = self.lock()?;
        let kept = self.keep_locked(file.bytes())?;
        if let Some(signature) = signature {
            self.add_signature(&kept.sha256, signature)?;
        }
        Ok(kept)
    }
}
