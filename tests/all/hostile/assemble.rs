//! The component of a guest, whichever language it is written in.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::process::component;

/// Where guests are written.
pub fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests")
}

/// The component of a guest.
pub fn guest(name: &str) -> Result<Vec<u8>> {
    let source = guests().join("wat").join(name).with_extension("wat");
    match source.exists() {
        true => dressed(&assemble(&source)?),
        false => built(name),
    }
}

/// What was built of a guest in Rust.
fn built(name: &str) -> Result<Vec<u8>> {
    let folder = component().with_file_name("hostile");
    let file = folder.join(name).with_extension("wasm");
    std::fs::read(&file).with_context(|| format!("{}: run `cargo xtask plugin`", file.display()))
}

/// The module of a guest in WAT: its own blocks, and those of the tame one that it has no version of.
fn assemble(source: &Path) -> Result<Vec<u8>> {
    let own = std::fs::read_to_string(source)?;
    let tame = std::fs::read_to_string(source.with_file_name("tame.wat"))?;
    let blocks = tame.split("\n\n");
    let missing =
        |block: &&str| function(block).is_none_or(|name| !own.contains(&format!("(func {name} ")));
    let tame: Vec<_> = blocks.filter(missing).collect();
    Ok(wat::parse_str(format!(
        "(module\n{}\n\n{own})",
        tame.join("\n\n")
    ))?)
}

/// The name of the function that a block defines.
fn function(block: &str) -> Option<&str> {
    let (_, rest) = block.split_once("(func ")?;
    rest.split_whitespace().next()
}

/// A module in the shell of a component that was built for the contract: the tame guest's, with this
/// module in the place of its own.
fn dressed(module: &[u8]) -> Result<Vec<u8>> {
    /// Magic and version.
    const HEAD: usize = 8;
    const CORE_MODULE: u8 = 1;
    let shell = built("tame")?;
    let (head, mut rest) = shell.split_at(HEAD);
    let (mut component, mut modules) = (head.to_vec(), 0);
    while let [id, sized @ ..] = rest {
        let (size, content) = number(sized)?;
        let (content, behind) = content.split_at_checked(size).context("a section is cut")?;
        let content = match *id {
            CORE_MODULE => module,
            _ => content,
        };
        modules += u32::from(*id == CORE_MODULE);
        component.push(*id);
        put(content.len(), &mut component);
        component.extend_from_slice(content);
        rest = behind;
    }
    ensure!(modules == 1, "the shell has {modules} modules");
    Ok(component)
}

/// Reads a number as WebAssembly has them: seven bits a byte, the lowest first.
fn number(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((number, &bytes[index + 1..]));
        }
    }
    anyhow::bail!("a number is cut")
}

fn put(mut number: usize, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
