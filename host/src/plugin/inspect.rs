//! What can be seen on a component without running it: an unknown contract is a clear error here, and
//! would be a link error later.

use std::path::{Path, PathBuf};

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::error::LoadError;
use super::{track_0_1, wasi};

/// The versions of the contract that this host serves, as messages name them.
const SUPPORTED: &str = "sluice:sink@0.1.x";

/// The package that a plugin may import from and must export from.
const PACKAGE: &str = "sluice:sink/";

/// Names longer than this are no names.
const NAME_BYTES: usize = 256;

/// What was seen.
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

/// What a file is, if its first bytes do not say that it is a component.
pub(super) fn not_a_component(bytes: &[u8]) -> Option<&'static str> {
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

/// Reads names and versions off the component's type.
pub(super) fn inspect(
    engine: &wasmtime::Engine,
    component: &Component,
    path: &Path,
    bytes: u64,
    sha256: String,
) -> Result<Inspection, LoadError> {
    let path = path.to_owned();
    let ty = component.component_type();
    let imports: Vec<String> = ty
        .imports(engine)
        .map(|(name, _)| shortened(name))
        .collect();
    let exports: Vec<String> = ty
        .exports(engine)
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
        .map(|(name, _)| shortened(name))
        .collect();
    let exporter = format!("{PACKAGE}exporter");
    let contract = exports
        .iter()
        .filter_map(|name| name.split_once('@'))
        .find(|(name, _)| *name == exporter)
        .map(|(_, version)| version.to_owned());
    let Some(contract) = contract else {
        return Err(LoadError::NotADestination { path });
    };
    if !served(&contract) {
        return Err(LoadError::OtherContract {
            path,
            found: contract,
            supported: SUPPORTED,
        });
    }
    let given = |name: &&String| name.starts_with(PACKAGE) || wasi::is_given(name);
    if let Some(import) = imports.iter().find(|name| !given(name)) {
        return Err(LoadError::ForeignImport {
            path,
            import: import.clone(),
            given: wasi::GIVEN,
        });
    }
    Ok(Inspection {
        path,
        bytes,
        sha256,
        contract,
        imports,
        exports,
    })
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_BYTES).collect()
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
