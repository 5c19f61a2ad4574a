//! A component's file, read once: the bytes that are judged are the bytes that are compiled and run.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LoadError;
use super::inspect::not_a_component;
use super::limits::LoadLimits;
use crate::registry::{SIGNATURE, SigningKey, digest, signature};

/// A signature is four lines, of which two are comments.
const SIGNATURE_BYTES: u64 = 16 << 10;

/// What was read of a file that should be a plugin. Cheap to clone.
#[derive(Clone)]
pub struct ComponentFile {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
    sha256: String,
    signature: Signature,
}

/// What lies where a signature should.
#[derive(Clone)]
struct Signature {
    path: PathBuf,
    /// Its text, or why that cannot be read.
    text: Result<Option<String>, String>,
}

impl ComponentFile {
    /// Reads a component, and the signature that lies beside it as `FILE.minisig`. Blocking.
    ///
    /// # Errors
    /// It cannot be read, is larger than its limit, or no component. A signature that cannot be read
    /// is an error for whoever asks for one.
    pub fn read(path: &Path, load: &LoadLimits) -> Result<Self, LoadError> {
        let bytes = read(path, load.component_bytes)?;
        Ok(Self {
            path: path.to_owned(),
            sha256: digest(&bytes),
            bytes: Arc::new(bytes),
            signature: Signature::read(Self::signature_beside(path)),
        })
    }

    /// Where the signature of a component is looked for.
    pub(crate) fn signature_beside(path: &Path) -> PathBuf {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".");
        beside.push(SIGNATURE);
        beside.into()
    }

    /// The same with the signature of another file. Blocking.
    pub fn signed_by(self, file: &Path) -> Self {
        let mut signature = Signature::read(file.to_owned());
        if let Ok(None) = signature.text {
            signature.text = Err("there is no such file".to_owned());
        }
        Self { signature, ..self }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// The SHA-256 of that, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The text of its signature, if there is one.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn signature(&self) -> Result<Option<&str>, LoadError> {
        match &self.signature.text {
            Ok(text) => Ok(text.as_deref()),
            Err(why) => Err(LoadError::Signature {
                path: self.path.clone(),
                signature: self.signature.path.clone(),
                why: why.clone(),
            }),
        }
    }

    /// Passes if one of these keys has signed it, or if there are none. `by` is where they stand.
    ///
    /// # Errors
    /// It is not signed, not by one of them, or not what was signed.
    pub fn judge(&self, keys: &[SigningKey], by: &str) -> Result<(), LoadError> {
        if keys.is_empty() {
            return Ok(());
        }
        let text = self.signature()?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        // What is kept is called by its digest, whatever its author called it.
        let name = (!name.starts_with(&self.sha256)).then_some(&*name);
        signature::judge(name, &self.bytes, text, keys).map_err(|unsigned| {
            let ids: Vec<_> = keys.iter().map(SigningKey::id).collect();
            LoadError::Unsigned {
                path: self.path.clone(),
                signature: self.signature.path.clone(),
                keys: format!("{} ({by})", ids.join(", ")),
                unsigned,
            }
        })
    }
}

impl std::fmt::Debug for ComponentFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ComponentFile({})", self.path.display())
    }
}

impl Signature {
    fn read(path: PathBuf) -> Self {
        let text = match regular(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
            Ok(file) => {
                let mut text = String::new();
                match file.take(SIGNATURE_BYTES).read_to_string(&mut text) {
                    Ok(_) => Ok(Some(text)),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        Self { path, text }
    }
}

/// Reads no more than a plugin may have, of nothing but a file.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, LoadError> {
    let unreadable = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let file = regular(path).map_err(unreadable)?;
    let mut bytes = vec![];
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(LoadError::Limit {
            path: path.to_owned(),
            limit: "component_mib",
            value: most >> 20,
            found: "the file is larger".to_owned(),
        });
    }
    match not_a_component(&bytes) {
        None => Ok(bytes),
        Some(found) => Err(LoadError::NotAComponent {
            path: path.to_owned(),
            found: found.to_owned(),
        }),
    }
}

/// Opening a pipe would wait for whoever writes into it.
fn regular(path: &Path) -> std::io::Result<File> {
    match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(std::io::Error::other("it is no file")),
    }
}
