//! Finding a way to compile for `wasm32-unknown-unknown`: the installed target; else rustup, where
//! it may install; else Debian's `rustc-web`, which brings the standard library's source along.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::say;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler and, in lockstep with it, the source of its standard library.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// How plugins are compiled on this machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Where the toolchain keeps `wasm-component-ld` and `gcc-ld/wasm-ld`, which link in every case.
    pub linkers: PathBuf,
    /// What compiles.
    pub compiler: Compiler,
}

/// Whose compiler it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Compiler {
    /// The toolchain's own, which has the target.
    Toolchain,
    /// Debian's, which builds the standard library first.
    Debian,
}

/// Finds a way, and installs what it needs.
pub fn toolchain() -> Result<Toolchain> {
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?);
    let linkers = linkers(&sysroot)?;
    if has_target(&sysroot) {
        say(format_args!("plugins: the toolchain has {TARGET}"));
        return Ok(Toolchain {
            linkers,
            compiler: Compiler::Toolchain,
        });
    }
    if rustup_may_install() {
        say(format_args!("plugins: asking rustup for {TARGET}"));
        let added = Command::new("rustup")
            .args(["target", "add", TARGET])
            .status();
        if added.is_ok_and(|status| status.success()) && has_target(&sysroot) {
            return Ok(Toolchain {
                linkers,
                compiler: Compiler::Toolchain,
            });
        }
        say("plugins: rustup could not install it; trying Debian's packages");
    }
    debian()?;
    Ok(Toolchain {
        linkers,
        compiler: Compiler::Debian,
    })
}

fn has_target(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    std::fs::read_dir(libraries).is_ok_and(|mut files| files.next().is_some())
}

fn rustup_may_install() -> bool {
    let forbidden = std::env::var("RUSTUP_AUTO_INSTALL").is_ok_and(|value| value == "0");
    !forbidden && quiet(Command::new("rustup").arg("--version"))
}

fn linkers(sysroot: &Path) -> Result<PathBuf> {
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let linkers = sysroot.join("lib/rustlib").join(host).join("bin");
    for linker in ["wasm-component-ld", "gcc-ld/wasm-ld"] {
        ensure!(
            linkers.join(linker).exists(),
            "cannot build plugins: the Rust toolchain lacks {linker}. {INSTRUCTION}"
        );
    }
    Ok(linkers)
}

fn debian() -> Result<()> {
    if !debian_ready() {
        ensure!(
            quiet(Command::new("apt-get").arg("--version")),
            "cannot build plugins: target {TARGET} is not installed, rustup may not install it, \
             and there is no apt-get. {INSTRUCTION}"
        );
        say(format_args!(
            "plugins: installing Debian's {}",
            DEBIAN_PACKAGES.join(" and ")
        ));
        apt(&["update", "-qq"])?;
        let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
        install.extend(DEBIAN_PACKAGES);
        apt(&install)?;
    }
    let same = same_version()?;
    ensure!(
        debian_ready() && same,
        "cannot build plugins: {DEBIAN_RUSTC} and the source of its standard library are not both \
         there in one version. Run `apt-get install --reinstall {}`. {INSTRUCTION}",
        DEBIAN_PACKAGES.join(" ")
    );
    say(format_args!(
        "plugins: Debian's {} builds {TARGET}",
        output(Command::new(DEBIAN_RUSTC).arg("--version"))?
    ));
    Ok(())
}

const INSTRUCTION: &str = "Any one of these helps: `rustup target add wasm32-unknown-unknown`, or \
    on Debian `apt-get install rustc-web rust-web-src` with a Rust toolchain from rustup.";

fn debian_ready() -> bool {
    let source = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))
        .map(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    source.is_ok_and(|source| source.exists())
}

/// The standard library can be built only by the compiler that it belongs to.
fn same_version() -> Result<bool> {
    let mut versions = Vec::new();
    for package in DEBIAN_PACKAGES {
        versions.push(output(Command::new("dpkg-query").args([
            "-W",
            "-f=${Version}",
            package,
        ]))?);
    }
    Ok(versions[0] == versions[1])
}

/// As root, or with sudo where somebody else calls.
fn apt(args: &[&str]) -> Result<()> {
    let root = output(Command::new("id").arg("-u"))? == "0";
    let mut command = if root {
        Command::new("apt-get")
    } else {
        ensure!(
            quiet(Command::new("sudo").arg("--version")),
            "cannot install packages: not root, and there is no sudo. Run as root: apt-get {}",
            args.join(" ")
        );
        let mut sudo = Command::new("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    let status = command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!(
            "`apt-get {}` failed; its message is above. {INSTRUCTION}",
            args.join(" ")
        );
    }
    Ok(())
}

fn quiet(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a command prints, without the white space around it.
pub fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
