//! The index: one small file for each version, and one for each channel. Every step of every change
//! leaves an index that holds, so whoever is killed on the way has done less, and nothing else.
//!
//! A version comes with its component first and its entry last, and goes the other way round. A
//! component without an entry has no name: it is what a change left behind, or what a swap keeps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{COMPONENT, Registry, RegistryError, SIGNATURE, disk, names, signature};
use crate::plugin::types::Manifest;

/// What the names of entries and channels end with.
const ENTRY: &str = ".json";
const CHANNEL: &str = ".channel";

/// A version of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The plugin's name, as its manifest has it.
    pub name: String,
    /// What it calls itself.
    pub version: String,
    /// The SHA-256 of the component, in hexadecimal.
    pub sha256: String,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// The component's size.
    pub bytes: u64,
    /// When it was added.
    pub added: Timestamp,
}

/// A version with what points at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The version.
    #[serde(flatten)]
    pub entry: Entry,
    /// The channels that point at it.
    pub channels: Vec<String>,
    /// The keys that its signatures say they are by. They are judged when it is loaded.
    pub signatures: Vec<String>,
}

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The versions, by name and version.
    pub versions: Vec<Listed>,
    /// The SHA-256 of components without a name.
    pub nameless: Vec<String>,
}

/// What a channel's file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    sha256: String,
    since: Timestamp,
}

impl Registry {
    /// Adds a version with its component and, if there is one, its signature; answers the entry that is
    /// there. The same one once more adds nothing but a signature that is not there yet. Blocking.
    ///
    /// # Errors
    /// There is one of that name and version with another content, its name cannot be that of a file,
    /// what should be its signature is none, or the disk's.
    pub fn add(
        &self,
        entry: Entry,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<Entry, RegistryError> {
        names::name(&entry.name)?;
        names::version(&entry.version)?;
        let _lock = self.lock()?;
        let there = self.entry(&entry.name, &entry.version)?;
        if let Some(there) = &there
            && there.sha256 != entry.sha256
        {
            return Err(RegistryError::Taken {
                name: entry.name,
                version: entry.version,
                kept: there.sha256.clone(),
                found: entry.sha256,
            });
        }
        if let Some(signature) = signature {
            signature::together(None, signature).map_err(RegistryError::Signature)?;
        }
        let kept = self.keep_locked(component)?;
        debug_assert_eq!(kept.sha256, entry.sha256);
        if let Some(signature) = signature {
            self.add_signature(&entry.sha256, signature)?;
        }
        if let Some(there) = there {
            return Ok(there);
        }
        let text = serde_json::to_vec_pretty(&entry).expect("an entry is plain data");
        self.put(&entry_name(&entry.name, &entry.version), &text)?;
        Ok(entry)
    }

    /// Lets a channel point at a version. Blocking.
    ///
    /// # Errors
    /// There is no such version, it cannot be the name of a channel, or the disk's.
    pub fn pin(&self, name: &str, version: &str, channel: &str) -> Result<Entry, RegistryError> {
        names::channel(channel)?;
        let _lock = self.lock()?;
        let entry = self.version(name, version)?;
        let pointer = Pointer {
            sha256: entry.sha256.clone(),
            since: Timestamp::now(),
        };
        let text = serde_json::to_vec_pretty(&pointer).expect("a pointer is plain data");
        self.put(&channel_name(name, channel), &text)?;
        Ok(entry)
    }

    /// Takes a component away with its signature, its entry and the channels that point at it, unless
    /// somebody uses it. Who does is asked while nobody can pin it or [`hold`](Self::hold) it; they are answered,
    /// so if there is nobody it is gone. Blocking.
    ///
    /// # Errors
    /// The disk's, or who uses it cannot be found out.
    pub fn remove<E: From<RegistryError>>(
        &self,
        sha256: &str,
        users: impl FnOnce() -> Result<BTreeSet<String>, E>,
    ) -> Result<BTreeSet<String>, E> {
        let _lock = self.lock()?;
        let users = users()?;
        if users.is_empty() {
            self.take_away(sha256)?;
        }
        Ok(users)
    }

    /// Does something for which a component has to be there, like saying that it is needed: nobody takes it
    /// away meanwhile. Blocking.
    ///
    /// # Errors
    /// It is not there, or is not what was kept.
    pub fn hold<T>(&self, sha256: &str, work: impl FnOnce() -> T) -> Result<T, RegistryError> {
        let _lock = self.lock()?;
        self.read(sha256)?;
        Ok(work())
    }

    fn take_away(&self, sha256: &str) -> Result<(), RegistryError> {
        let mut going = vec![];
        for listed in self.list()?.versions {
            if listed.entry.sha256 == sha256 {
                let Entry { name, version, .. } = &listed.entry;
                let channels = listed.channels.iter();
                going.extend(channels.map(|channel| channel_name(name, channel)));
                going.push(entry_name(name, version));
            }
        }
        going.push(signature_name(sha256));
        going.push(format!("{sha256}{COMPONENT}"));
        going
            .iter()
            .try_for_each(|name| disk::remove(&self.folder, name).map_err(self.disk(name)))
    }

    /// The component that a person means by NAME@VERSION, or by the beginning of its SHA-256; and what
    /// it is called. Blocking.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn find(&self, which: &str) -> Result<(String, String), RegistryError> {
        if let Some((name, version)) = which.split_once('@') {
            let entry = self.version(name, version)?;
            return Ok((entry.sha256, format!("{name} {version}")));
        }
        let index = self.list()?;
        let named = index.versions.into_iter().map(|one| {
            let Entry { name, version, .. } = one.entry;
            (one.entry.sha256, format!("{name} {version}"))
        });
        let nameless = index.nameless.into_iter();
        let nameless = nameless.map(|sha256| (sha256, "a component without a name".to_owned()));
        let is_digest = which.len() >= 8 && names::is_hex(which);
        let meant = |(sha256, _): &(String, String)| is_digest && sha256.starts_with(which);
        let mut found: Vec<_> = named.chain(nameless).filter(meant).collect();
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (None, _) => Err(RegistryError::NotFound {
                which: which.to_owned(),
            }),
            (Some(_), false) => Err(RegistryError::Several {
                which: which.to_owned(),
            }),
        }
    }

    /// Everything that is kept. Blocking.
    ///
    /// # Errors
    /// The disk's, or a file that holds something else.
    pub fn list(&self) -> Result<Index, RegistryError> {
        self.listed(|_| true)
    }

    /// What is kept of some plugins: a damaged file of one is nothing to the others.
    fn listed(&self, of: impl Fn(&str) -> bool) -> Result<Index, RegistryError> {
        let names = disk::names(&self.folder).map_err(self.disk(""))?;
        let mut channels: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for file in &names {
            if let Some((name, channel)) = parts(file, CHANNEL)
                && of(name)
                && let Some(pointer) = self.pointer(name, channel)?
            {
                let of_version = channels.entry((name.to_owned(), pointer.sha256));
                of_version.or_default().push(channel.to_owned());
            }
        }
        let mut index = Index::default();
        for file in &names {
            if let Some((name, version)) = parts(file, ENTRY)
                && of(name)
                && let Some(entry) = self.entry(name, version)?
            {
                let key = (entry.name.clone(), entry.sha256.clone());
                index.versions.push(Listed {
                    channels: channels.remove(&key).unwrap_or_default(),
                    signatures: self.signers(&entry.sha256),
                    entry,
                });
            }
        }
        let named = |sha: &str| index.versions.iter().any(|one| one.entry.sha256 == sha);
        let components = names.iter().filter_map(|file| file.strip_suffix(COMPONENT));
        index.nameless = components
            .filter(|sha| names::sha256(sha).is_ok() && !named(sha))
            .map(str::to_owned)
            .collect();
        Ok(index)
    }

    /// Whether a component calls itself what its entry says.
    ///
    /// # Errors
    /// It does not: the entry was not written by [`add`](Self::add).
    pub fn compare(&self, entry: &Entry, manifest: &Manifest) -> Result<(), RegistryError> {
        if (&entry.name, &entry.version) == (&manifest.name, &manifest.version) {
            return Ok(());
        }
        let file = entry_name(&entry.name, &entry.version);
        let found = format!("its component is {} {}", manifest.name, manifest.version);
        Err(self.no_entry(&file, found))
    }

    /// The version of a plugin that calls itself so.
    pub(super) fn version(&self, name: &str, version: &str) -> Result<Entry, RegistryError> {
        if names::name(name).is_ok()
            && names::version(version).is_ok()
            && let Some(entry) = self.entry(name, version)?
        {
            return Ok(entry);
        }
        let known = self.of(name)?;
        Err(RegistryError::NoVersion {
            name: name.to_owned(),
            version: version.to_owned(),
            known: known.into_iter().map(|one| one.entry.version).collect(),
        })
    }

    /// The version of a plugin that a channel points at.
    pub(super) fn on(&self, name: &str, channel: &str) -> Result<Entry, RegistryError> {
        let known = self.of(name)?;
        let points = |one: &&Listed| one.channels.iter().any(|other| other == channel);
        if let Some(listed) = known.iter().find(points) {
            return Ok(listed.entry.clone());
        }
        Err(RegistryError::NoChannel {
            name: name.to_owned(),
            channel: channel.to_owned(),
            known: known.into_iter().flat_map(|one| one.channels).collect(),
        })
    }

    /// The versions of a plugin, of which there is at least one.
    pub(super) fn of(&self, name: &str) -> Result<Vec<Listed>, RegistryError> {
        let of_name = self.listed(|other| other == name)?.versions;
        match of_name.is_empty() {
            false => Ok(of_name),
            true => Err(RegistryError::NoPlugin {
                name: name.to_owned(),
                known: self.plugins()?,
            }),
        }
    }

    /// The names of plugins of which there is a version.
    fn plugins(&self) -> Result<Vec<String>, RegistryError> {
        let names = disk::names(&self.folder).map_err(self.disk(""))?;
        let plugins = names.iter().filter_map(|file| parts(file, ENTRY));
        Ok(plugins.map(|(name, _)| name.to_owned()).collect())
    }

    fn entry(&self, name: &str, version: &str) -> Result<Option<Entry>, RegistryError> {
        let file = entry_name(name, version);
        let Some(entry) = self.parsed::<Entry>(&file)? else {
            return Ok(None);
        };
        if (entry.name.as_str(), entry.version.as_str()) != (name, version) {
            let found = format!("that of {} {}", entry.name, entry.version);
            return Err(self.no_entry(&file, found));
        }
        match names::sha256(&entry.sha256) {
            Ok(()) => Ok(Some(entry)),
            Err(error) => Err(self.no_entry(&file, error.to_string())),
        }
    }

    fn pointer(&self, name: &str, channel: &str) -> Result<Option<Pointer>, RegistryError> {
        self.parsed(&channel_name(name, channel))
    }

    /// What a file says. Nothing, if somebody has just taken it away.
    fn parsed<T: for<'t> Deserialize<'t>>(&self, file: &str) -> Result<Option<T>, RegistryError> {
        let bytes = match disk::read(&self.folder.join(file)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(self.disk(file))?,
        };
        let parsed = serde_json::from_slice(&bytes);
        parsed
            .map(Some)
            .map_err(|error| self.no_entry(file, error.to_string()))
    }

    /// Keeps a signature with a component, beside those that are there, by whoever holds the lock. What is
    /// none is left out: it would never pass.
    pub(super) fn add_signature(&self, sha256: &str, text: &str) -> Result<(), RegistryError> {
        let there = self.signatures(sha256);
        match signature::together(there.as_deref(), text) {
            Ok(all) if there.as_ref() == Some(&all) => Ok(()),
            Ok(all) => self.put(&signature_name(sha256), all.as_bytes()),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn signatures(&self, sha256: &str) -> Option<String> {
        let bytes = disk::read(&self.folder.join(signature_name(sha256))).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn signers(&self, sha256: &str) -> Vec<String> {
        let text = self.signatures(sha256).unwrap_or_default();
        signature::signers(&text)
    }

    fn no_entry(&self, file: &str, found: String) -> RegistryError {
        let path = self.folder.join(file);
        RegistryError::Entry { path, found }
    }

    pub(super) fn lock(&self) -> Result<std::fs::File, RegistryError> {
        disk::make(&self.folder)
            .and_then(|()| disk::lock(&self.folder))
            .map_err(self.disk(""))
    }

    pub(super) fn disk(&self, file: &str) -> impl Fn(std::io::Error) -> RegistryError {
        let path = match file {
            "" => self.folder.clone(),
            file => self.folder.join(file),
        };
        move |source| RegistryError::Disk {
            path: path.clone(),
            source,
        }
    }
}

fn entry_name(name: &str, version: &str) -> String {
    format!("{name}@{version}{ENTRY}")
}

fn channel_name(name: &str, channel: &str) -> String {
    format!("{name}@{channel}{CHANNEL}")
}

/// Beside the component, where a signature is looked for.
pub(super) fn signature_name(sha256: &str) -> String {
    format!("{sha256}{COMPONENT}.{SIGNATURE}")
}

/// The two parts of a file's name.
fn parts<'f>(file: &'f str, kind: &str) -> Option<(&'f str, &'f str)> {
    file.strip_suffix(kind)?.split_once('@')
}
