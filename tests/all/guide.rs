//! The guide for authors, followed to the letter: what it tells to type is typed, what it says comes of
//! it must come of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use sluice::conformance::Author;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::PATIENCE;

/// How a newcomer builds.
const BUILD: &str = "cargo build --release --target wasm32-unknown-unknown\n";

/// The port of the guide's receiver; tests that run at the same time each have one of their own.
const PORT: &str = "8091";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of a kind, in order: what stands behind the kind, and the text.
fn blocks(guide: &str) -> Vec<(&str, &str, &str)> {
    let mut found = vec![];
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (head, text) = block.split_once('\n').unwrap_or((block, ""));
        let (kind, rest) = head.split_once(' ').unwrap_or((head, ""));
        found.push((kind, rest, text));
    }
    found
}

/// As a newcomer does it, where the compiler has the target; else as `cargo xtask plugin` does.
fn build() -> Result<String> {
    let sysroot = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(root())
        .output()?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim());
    let target = "lib/rustlib/wasm32-unknown-unknown/lib";
    if sysroot.join(target).exists() {
        return Ok(BUILD.to_owned());
    }
    let root = root().canonicalize()?;
    let components = crate::process::component();
    let components = components.parent().context("a folder")?;
    Ok(format!(
        "here=$PWD; (cd {root} && cargo xtask plugin --manifest-path $here/Cargo.toml)\n\
         mkdir -p target/wasm32-unknown-unknown/release\n\
         cp {components}/acme_crm.wasm target/wasm32-unknown-unknown/release/\n",
        root = root.display(),
        components = components.display(),
    ))
}

/// A shell command that changes a line of a file, as a block of the guide shows it.
fn edit(file: &str, diff: &str) -> Result<String> {
    let line = |sign: char| diff.lines().find_map(|line| line.strip_prefix(sign));
    let (Some(old), Some(new)) = (line('-'), line('+')) else {
        bail!("{file}: a line to take away, and one to put in its place");
    };
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let python = "import sys; file, old, new = sys.argv[1:]; text = open(file).read(); \
                  assert text.count(old) == 1, old; open(file, 'w').write(text.replace(old, new))";
    Ok(format!(
        "python3 -c {} {} {} {}\n",
        quoted(python),
        quoted(file),
        quoted(old),
        quoted(new)
    ))
}

#[tokio::test]
async fn the_guide_leads_to_a_plugin_that_passes_and_runs() -> Result<()> {
    let guide = std::fs::read_to_string(root().join("docs/write-a-destination.md"))?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port()
        .to_string();
    let mut script = String::from("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n");
    let mut promised = vec![];
    for (kind, rest, text) in blocks(&guide) {
        match kind {
            "sh" => {
                script += &text.replace(BUILD, &build()?).replace(PORT, &port);
                script += "\n";
            }
            "diff" => script += &edit(rest, text)?,
            "text" => promised.extend(text.lines()),
            "toml" => drop(Author::parse(text)?),
            _ => {}
        }
    }
    ensure!(promised.len() > 5, "the guide promises nothing");
    script = script.replace(
        "cd acme-crm\n",
        &format!("cd acme-crm\nsed -i s/{PORT}/{port}/ demo/acme.toml\n"),
    );
    let folder = tempfile::tempdir()?;
    let program = Path::new(env!("CARGO_BIN_EXE_sluice"));
    let path = std::env::var("PATH").context("a PATH")?;
    let beside = program.parent().context("a folder")?;
    let mut bash = Command::new("bash");
    bash.args(["-mc", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", beside.display()))
        .env("SLUICE_ADMIN", "off")
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // What cargo tells a test is no one's business here.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().into_owned();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            bash.env_remove(&name);
        }
    }
    // Two builds, each of which may wait for another one on this machine.
    let ended = timeout(PATIENCE * 6, bash.output()).await??;
    let said = String::from_utf8_lossy(&ended.stdout);
    let all = format!("{said}\n{}", String::from_utf8_lossy(&ended.stderr));
    ensure!(ended.status.success(), "{all}");
    for line in promised {
        ensure!(said.contains(line.trim_end()), "not said: {line}\n{all}");
    }
    Ok(())
}
