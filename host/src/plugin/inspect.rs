//! What can be seen on a component without running it: an unknown contract is a clear error here, and
//! would be a link error later.

use std::path::{Path, PathBuf};

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::error::LoadError;
use super::track::{Track, Tracks};
use super::wasi;

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
    /// The version of `sluice:sink` by which it is called: of those that it was built for, the highest
    /// that is served.
    pub contract: String,
    /// The track of that version, like `0.2`.
    pub track: String,
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

/// Reads names and versions off the component's type, and chooses the track by which it is called.
pub(super) fn inspect(
    engine: &wasmtime::Engine,
    component: &Component,
    tracks: &Tracks,
    path: &Path,
    bytes: u64,
    sha256: String,
) -> Result<(Track, Inspection), LoadError> {
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
    let versions: Vec<&str> = exports
        .iter()
        .filter_map(|name| name.split_once('@'))
        .filter(|(name, _)| *name == exporter)
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        return Err(LoadError::NotADestination { path });
    }
    let Some((track, contract)) = tracks.highest(versions.iter().copied()) else {
        return Err(LoadError::OtherContract {
            path,
            found: versions.join(" and "),
            supported: tracks.to_string(),
            remedy: tracks.remedy(&versions),
        });
    };
    let contract = contract.to_owned();
    let given = |name: &&String| name.starts_with(PACKAGE) || wasi::is_given(name);
    if let Some(import) = imports.iter().find(|name| !given(name)) {
        return Err(LoadError::ForeignImport {
            path,
            import: import.clone(),
            given: wasi::GIVEN,
        });
    }
    let seen = Inspection {
        path,
        bytes,
        sha256,
        contract,
        track: track.to_string(),
        imports,
        exports,
    };
    Ok((track, seen))
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
