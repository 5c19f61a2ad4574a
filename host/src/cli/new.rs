//! `sluice plugin new`: writes a plugin that can be built, tested and changed.
//!
//! The only file that writes a plugin's folder; what is in it is in `template`.

#[path = "new/template.rs"]
mod template;

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::args::NewArgs;
use super::exit::Exit;

pub fn new(args: &NewArgs) -> anyhow::Result<Exit> {
    let template = match template::of(&args.name) {
        Ok(template) => template,
        Err(reason) => {
            eprintln!("error: {reason}");
            return Ok(Exit::Usage);
        }
    };
    let folder = args.dir.join(&args.name);
    if let Err(error) = DirBuilder::new().create(&folder) {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            eprintln!(
                "error: {} is already there; choose another name, or another folder with --dir",
                folder.display()
            );
            return Ok(Exit::Usage);
        }
        return Err(error).with_context(|| format!("cannot make the folder {}", folder.display()));
    }
    for (path, text) in &template {
        let path = folder.join(path);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!(
        "{}: a plugin for a JSON API, to be changed\n",
        folder.display()
    );
    println!("  cd {}", folder.display());
    println!("  cargo build --release --target wasm32-unknown-unknown");
    println!(
        "  sluice plugin test target/wasm32-unknown-unknown/release/{}.wasm",
        args.name.replace('-', "_")
    );
    println!("\nREADME.md says what is where.");
    Ok(Exit::Fine)
}

/// Never over anything: the folder is new.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}
