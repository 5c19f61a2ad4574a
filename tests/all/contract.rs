//! The contract is frozen, and the component that we ship asks for nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Sluice, component};

/// What a component may weigh: it is compiled at every start.
const COMPONENT_BYTES: u64 = 400_000;

fn wit_files(folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        if name.ends_with(".wit") {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(files)
}

#[test]
fn each_track_is_the_published_one_byte_for_byte() -> Result<()> {
    for (track, version) in [("0.1", "0.1.0"), ("0.2", "0.2.0")] {
        let now = wit_files(&format!("../wit/{track}"))?;
        let published = wit_files(&format!("../wit/blessed/{version}"))?;
        assert!(!published.is_empty());
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&now), names(&published), "not the same files");
        for (name, bytes) in &now {
            assert!(
                *bytes == published[name],
                "wit/{track}/{name} differs from wit/blessed/{version}/{name}: what is published \
                 is frozen; wit/README.md says how the contract grows"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_component_imports_the_contract_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), "");
    let component = component();
    let path = component.to_str().context("a path in UTF-8")?;
    let ended = sluice.call(&["plugin", "inspect", path, "--json"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let seen: Value = serde_json::from_str(&ended.stdout)?;
    let seen = &seen["component"];
    let imports = seen["imports"].as_array().context("no imports")?;
    assert!(!imports.is_empty());
    for import in imports {
        let import = import.as_str().context("an import is a name")?;
        assert!(import.starts_with("sluice:sink/"), "it imports {import}");
    }
    assert_eq!(seen["contract"], "0.2.0");
    let bytes = std::fs::metadata(&component)?.len();
    assert_eq!(seen["bytes"], bytes);
    assert!(
        bytes < COMPONENT_BYTES,
        "the component has {bytes} bytes; {COMPONENT_BYTES} are too many"
    );
    Ok(())
}
