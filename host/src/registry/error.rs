//! Why a version cannot be kept, found or used.

use std::path::PathBuf;

use super::names::BadName;
use super::short;
use super::signature::Unsigned;
use crate::config::nearest;
use crate::plugin::LoadError;

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
    /// A file of the index holds something else.
    #[error(
        "registry: {path} is not what was written there ({found}); remove it, and add or pin the version \
         once more"
    )]
    Entry {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A version never changes.
    #[error(
        "registry: {name} {version} is kept with another content: SHA-256 {}, and this file has {}. Give \
         the new one a version of its own, or remove the old one (`sluice plugin remove {name}@{version}`)",
        short(.kept), short(.found)
    )]
    Taken {
        /// The plugin's name.
        name: String,
        /// The version.
        version: String,
        /// The SHA-256 of what is kept.
        kept: String,
        /// The SHA-256 of what was to be added.
        found: String,
    },
    /// No version of such a plugin is kept.
    #[error("registry: no plugin `{name}` is kept")]
    NoPlugin {
        /// The plugin's name.
        name: String,
        /// The plugins that are, once for each version.
        known: Vec<String>,
    },
    /// No such version of the plugin is kept.
    #[error("registry: of plugin `{name}` no version `{version}` is kept")]
    NoVersion {
        /// The plugin's name.
        name: String,
        /// What was asked for.
        version: String,
        /// The versions that are.
        known: Vec<String>,
    },
    /// The plugin has no such channel.
    #[error("registry: plugin `{name}` has no channel `{channel}`")]
    NoChannel {
        /// The plugin's name.
        name: String,
        /// What was asked for.
        channel: String,
        /// The channels that it has.
        known: Vec<String>,
    },
    /// The plugin has no version with this SHA-256.
    #[error("registry: of plugin `{name}` no version with this SHA-256 is kept")]
    NoDigest {
        /// The plugin's name.
        name: String,
        /// Those of its versions.
        known: Vec<String>,
    },
    /// Nothing that is kept is meant.
    #[error(
        "registry: `{which}` is nothing that is kept; expected NAME@VERSION or at least eight digits of a \
         SHA-256, as `sluice plugin list` shows them"
    )]
    NotFound {
        /// What was asked for.
        which: String,
    },
    /// More than one may be meant.
    #[error("registry: `{which}` is the beginning of several; write more of the SHA-256")]
    Several {
        /// What was asked for.
        which: String,
    },
    /// What should be a signature is none.
    #[error("registry: {0}")]
    Signature(Unsigned),
    /// Something cannot be called so.
    #[error("registry: {0}")]
    Name(#[from] BadName),
    /// The file cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RegistryError {
    /// Whether what was asked for is not kept; [`help`](Self::help) says what is.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::NoPlugin { .. }
                | Self::NoVersion { .. }
                | Self::NoChannel { .. }
                | Self::NoDigest { .. }
        )
    }

    /// Whether it is trouble of the disk, and not that what lies there is not as it must be.
    pub fn is_of_the_disk(&self) -> bool {
        // Our own findings are of no kind that a disk has.
        matches!(self, Self::Disk { source, .. } if source.kind() != std::io::ErrorKind::Other)
    }

    /// What to do about a name that was not found.
    pub fn help(&self) -> Option<String> {
        let none = "";
        let (meant, known) = match self {
            Self::NoPlugin { name, known } => (name.as_str(), known),
            Self::NoChannel { channel, known, .. } => (channel.as_str(), known),
            // Versions are alike, so that each would be near.
            Self::NoVersion { known, .. } | Self::NoDigest { known, .. } => (none, known),
            _ => return None,
        };
        let mut known: Vec<_> = known.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        Some(match (self, nearest(meant, known.iter().copied())) {
            (_, Some(near)) => format!("did you mean `{near}`?"),
            (_, None) if !known.is_empty() => format!("there are: {}", known.join(", ")),
            (Self::NoChannel { name, channel, .. }, _) => {
                format!("`sluice plugin pin {name} VERSION --channel {channel}` makes it")
            }
            _ => "`sluice plugin add FILE` keeps a plugin".to_owned(),
        })
    }
}
