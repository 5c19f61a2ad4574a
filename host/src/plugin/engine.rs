//! Compiling a file to a plugin, and what can be learnt from it before it runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use sha2::{Digest, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use super::error::LoadError;
use super::grant::Grant;
use super::guard::{Guarded, TICK};
use super::limits::{Limits, LoadLimits};
use super::session::{Code, Session};
use super::types::{Manifest, Settings};
use super::{CallError, contract, track_0_1};
use crate::capability::LogSink;

/// The versions of the contract that this host serves, as messages name them.
const SUPPORTED: &str = "sluice:sink@0.1.x";

/// The package that a plugin may import from and must export from.
const PACKAGE: &str = "sluice:sink/";

/// Guest stack. Interpreters need a mebibyte; the host's own frames get two more beside it.
const GUEST_STACK_BYTES: usize = 1 << 20;

/// Compiles and runs plugins. Cheap to clone; one per process is enough.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Arc<Linker<Guarded>>,
    _ticker: Arc<Ticker>,
}

/// A compiled component that fits the contract. Cheap to clone.
#[derive(Clone)]
pub struct Plugin {
    code: Code,
    // Keeps the epoch going.
    _engine: Engine,
    /// What the component says of itself.
    pub manifest: Arc<Manifest>,
    /// What was seen on the file.
    pub inspection: Arc<Inspection>,
}

/// What can be seen on a component without running it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// The version of `sluice:sink` that it was built for.
    pub contract: String,
    /// Everything that it imports.
    pub imports: Vec<String>,
    /// Everything that it exports.
    pub exports: Vec<String>,
}

impl Engine {
    /// An engine with this host's bounds. Starts one thread that counts guest time.
    pub fn new() -> Self {
        let mut config = wasmtime::Config::new();
        config
            .epoch_interruption(true)
            .max_wasm_stack(GUEST_STACK_BYTES)
            .async_stack_size(GUEST_STACK_BYTES + (2 << 20))
            .wasm_memory64(false)
            .wasm_relaxed_simd(false)
            .wasm_tail_call(false)
            .concurrency_support(false);
        let inner = wasmtime::Engine::new(&config).expect("the configuration is constant");
        let mut linker = Linker::new(&inner);
        track_0_1::link(&mut linker).expect("the names are constant");
        let ticker = Ticker::start(&inner);
        Self {
            inner,
            linker: Arc::new(linker),
            _ticker: ticker,
        }
    }

    /// Compiles a component, checks that it fits the contract, and asks who it is. Compiling takes
    /// about a second of CPU and happens off the calling task.
    ///
    /// # Errors
    /// Whatever makes the file no plugin of this host; the message names the file.
    pub async fn load(&self, path: &Path) -> Result<Plugin, LoadError> {
        let engine = self.clone();
        let file = path.to_owned();
        let (pre, inspection) = tokio::task::spawn_blocking(move || engine.compile(&file))
            .await
            .unwrap_or_else(|_| {
                Err(LoadError::NotAComponent {
                    path: path.to_owned(),
                    found: "a file on which the compiler gave up".to_owned(),
                })
            })?;
        let code = Code {
            engine: self.inner.clone(),
            pre,
            stack_kib: (GUEST_STACK_BYTES >> 10) as u64,
        };
        let grant = Grant::none(LogSink::new("describe", &Limits::default()));
        let load = LoadLimits::default();
        let manifest = Session::describe(&code, grant, Limits::default(), &load)
            .await
            .map_err(|source| LoadError::Describe {
                path: path.to_owned(),
                source,
            })?;
        contract::manifest(&manifest).map_err(|reason| LoadError::Manifest {
            path: path.to_owned(),
            reason,
        })?;
        Ok(Plugin {
            code,
            _engine: self.clone(),
            manifest: Arc::new(manifest),
            inspection: Arc::new(inspection),
        })
    }

    fn compile(
        &self,
        path: &Path,
    ) -> Result<(track_0_1::DestinationPre<Guarded>, Inspection), LoadError> {
        let path = path.to_owned();
        let bytes = std::fs::read(&path).map_err(|source| LoadError::Read {
            path: path.clone(),
            source,
        })?;
        if let Some(found) = not_a_component(&bytes) {
            return Err(LoadError::NotAComponent {
                path,
                found: found.to_owned(),
            });
        }
        let component = Component::from_binary(&self.inner, &bytes).map_err(|error| {
            LoadError::NotAComponent {
                path: path.clone(),
                found: format!("a damaged one: {error:#}"),
            }
        })?;
        let inspection = self.inspect(&path, &bytes, &component)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch {
            path: path.clone(),
            version: inspection.contract.clone(),
            reason: format!("{error:#}"),
        };
        let pre = self.linker.instantiate_pre(&component).map_err(mismatch)?;
        let pre = track_0_1::DestinationPre::new(pre).map_err(mismatch)?;
        Ok((pre, inspection))
    }

    /// Reads names and versions off the component's type: an unknown contract is a clear error
    /// here, and would be a link error later.
    fn inspect(
        &self,
        path: &Path,
        bytes: &[u8],
        component: &Component,
    ) -> Result<Inspection, LoadError> {
        let ty = component.component_type();
        let imports: Vec<String> = ty
            .imports(&self.inner)
            .map(|(name, _)| name.to_owned())
            .collect();
        let exports: Vec<String> = ty
            .exports(&self.inner)
            .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
            .map(|(name, _)| name.to_owned())
            .collect();
        let exporter = format!("{PACKAGE}exporter");
        let contract = exports
            .iter()
            .filter_map(|name| name.split_once('@'))
            .find(|(name, _)| *name == exporter)
            .map(|(_, version)| version.to_owned())
            .ok_or_else(|| LoadError::NotADestination {
                path: path.to_owned(),
            })?;
        if !served(&contract) {
            return Err(LoadError::OtherContract {
                path: path.to_owned(),
                found: contract,
                supported: SUPPORTED,
            });
        }
        if let Some(import) = imports.iter().find(|name| !name.starts_with(PACKAGE)) {
            return Err(LoadError::ForeignImport {
                path: path.to_owned(),
                import: import.clone(),
            });
        }
        Ok(Inspection {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            sha256: Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            contract,
            imports,
            exports,
        })
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Plugin {
    /// A fresh instance that works under these settings with this grant, good for one call.
    ///
    /// # Errors
    /// What the component found wrong with the settings, or why it did not answer.
    pub async fn open(
        &self,
        settings: &Settings,
        grant: Grant,
        limits: Limits,
    ) -> Result<Session, CallError> {
        Session::open(&self.code, settings, grant, limits).await
    }
}

/// Whether a version of the contract belongs to a track of this host.
fn served(version: &str) -> bool {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let (major, minor) = track_0_1::TRACK;
    numbers.next() == Some(Ok(major))
        && numbers.next() == Some(Ok(minor))
        && matches!(numbers.next(), Some(Ok(_)))
        && numbers.next().is_none()
}

/// What a file is, if its first bytes do not say that it is a component.
fn not_a_component(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [] => Some("an empty file"),
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => None,
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Some(
            "a core WebAssembly module; link it with wasm-component-ld, or use `cargo xtask plugin`",
        ),
        [0, b'a', b's', b'm', ..] => Some("WebAssembly of a version that this host does not know"),
        _ => Some("something that is no WebAssembly at all"),
    }
}

/// The thread that advances the epoch; ends with the engine.
struct Ticker;

impl Ticker {
    fn start(engine: &wasmtime::Engine) -> Arc<Self> {
        let ticker = Arc::new(Self);
        let (weak, engine): (Weak<Self>, _) = (Arc::downgrade(&ticker), engine.weak());
        std::thread::Builder::new()
            .name("sluice-epoch".to_owned())
            .spawn(move || {
                while let (Some(_), Some(engine)) = (weak.upgrade(), engine.upgrade()) {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(TICK);
                }
            })
            .expect("a thread can be started at start-up");
        ticker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_served_if_its_track_is() {
        for (version, expected) in [
            ("0.1.0", true),
            ("0.1.17", true),
            ("0.2.0", false),
            ("1.1.0", false),
            ("0.1.0-rc.1", false),
            ("0.1", false),
        ] {
            assert_eq!(served(version), expected, "{version}");
        }
    }

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        assert!(not_a_component(b"").unwrap().contains("empty"));
        assert!(
            not_a_component(b"#!/bin/sh")
                .unwrap()
                .contains("no WebAssembly")
        );
        assert!(
            not_a_component(b"\0asm\x01\0\0\0")
                .unwrap()
                .contains("core")
        );
        assert!(not_a_component(b"\0asm\x0d\0\x01\0").is_none());
    }
}
