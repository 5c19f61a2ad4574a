//! Building plugins to components.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup::{Compiler, DEBIAN_RUSTC, TARGET, Toolchain, toolchain};
use crate::{root, say, target};

/// The packages that become components: the exporter, and what the tests need.
const PLUGINS: [&str; 2] = ["retention-science", "sluice-probe"];

/// Builds every plugin into `target/components/`; answers that folder.
pub fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let components = target().join("components");
    std::fs::create_dir_all(&components)?;
    for package in PLUGINS {
        say(format_args!("plugins: building {package}"));
        let built = cargo(&toolchain, package)?;
        let file = format!("{}.wasm", package.replace('-', "_"));
        let component = components.join(&file);
        // Copied beside and renamed: whoever has the old one open keeps it whole.
        let half = components.join(format!(".{file}"));
        std::fs::copy(built.join(&file), &half).context("cannot copy the component")?;
        std::fs::rename(&half, &component)?;
        let bytes = std::fs::metadata(&component)?.len();
        say(format_args!(
            "plugins: {} ({bytes} bytes)",
            component.display()
        ));
    }
    Ok(components)
}

/// Compiles one package; answers the folder with the result.
fn cargo(toolchain: &Toolchain, package: &str) -> Result<PathBuf> {
    // A folder of its own: another compiler's artefacts never meet the host's.
    let directory = target().join("plugins");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args([
            "build",
            "--quiet",
            "--profile",
            "plugin",
            "--target",
            TARGET,
            "--package",
            package,
        ])
        .arg("--target-dir")
        .arg(&directory)
        .env_remove("RUSTFLAGS");
    let component = toolchain.linkers.join("wasm-component-ld");
    let wasm = toolchain.linkers.join("gcc-ld/wasm-ld");
    let flags = [
        format!("-Clinker={}", component.display()),
        format!("-Clink-arg=--wasm-ld-path={}", wasm.display()),
    ];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    if toolchain.compiler == Compiler::Debian {
        cargo
            .arg("-Zbuild-std=std,panic_abort")
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1");
    }
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "package {package} does not compile for {TARGET}; the messages are above"
    );
    Ok(directory.join(TARGET).join("plugin"))
}
