//! From a guest in WAT to a component.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::process::component;

/// Where guests are written.
pub fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests")
}

/// The component of a guest, whichever language it is written in.
pub fn guest(name: &str) -> Result<Vec<u8>> {
    let built = component().with_file_name("hostile");
    let built = built.join(name).with_extension("wasm");
    let source = guests().join("wat").join(name).with_extension("wat");
    match source.exists() {
        true => assemble(&source),
        false => std::fs::read(&built).with_context(|| format!("no guest {}", built.display())),
    }
}

/// The guest's own blocks, and those of the tame one that it has no version of.
fn assemble(source: &Path) -> Result<Vec<u8>> {
    let own = std::fs::read_to_string(source)?;
    let tame = std::fs::read_to_string(source.with_file_name("tame.wat"))?;
    let tame: Vec<_> = tame
        .split("\n\n")
        .filter(|block| name(block).is_none_or(|name| !own.contains(&format!("(func {name} "))))
        .collect();
    let text = format!("(module\n{}\n\n{own})", tame.join("\n\n"));
    let mut module = wat::parse_str(&text)?;
    let mut wit = Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = wit.push_dir(contract)?;
    let world = wit.select_world(&[package], Some("destination"))?;
    embed_component_metadata(&mut module, &wit, world, StringEncoding::UTF8)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()
}

/// The name of the function that a block defines.
fn name(block: &str) -> Option<&str> {
    let (_, rest) = block.split_once("(func ")?;
    rest.split_whitespace().next()
}
