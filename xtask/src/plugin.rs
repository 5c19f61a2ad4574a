//! Building plugins to components.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup::{Compiler, DEBIAN_RUSTC, TARGET, Toolchain, toolchain};
use crate::{languages, root, say, target};

/// Builds every plugin into `target/components/`; answers that folder.
pub fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let components = target().join("components");
    say("plugins: building the exporter");
    let exporter = ["--package", "retention-science"];
    let built = cargo(&toolchain, "Cargo.toml", &exporter, "plugins")?;
    let exporter = install(&built, "retention_science.wasm", &components)?;
    let bytes = std::fs::metadata(&exporter)?.len();
    say(format_args!(
        "plugins: {} ({bytes} bytes)",
        exporter.display()
    ));
    say("plugins: building the exporter for hosts that serve the contract's track 0.1 only");
    let old = ["--package", "retention-science", "--features", "track-0-1"];
    // A folder of its own: both builds leave a file of the same name.
    let built = cargo(&toolchain, "Cargo.toml", &old, "plugins-0.1")?;
    install(&built, "retention_science.wasm", &components.join("0.1"))?;
    say("plugins: building those that misbehave, for the tests");
    let guests = ["--workspace", "--lib", "--examples"];
    let built = cargo(&toolchain, "tests/guests/Cargo.toml", &guests, "plugins")?;
    install(&built, "sluice_probe.wasm", &components)?;
    for frozen in ["sluice_frozen_0_1_0.wasm", "sluice_frozen_0_2_0.wasm"] {
        install(&built, frozen, &components.join("frozen"))?;
    }
    let hostile = components.join("hostile");
    let mut count = 0;
    for file in std::fs::read_dir(root().join("tests/guests/hostile/guests"))? {
        let file = PathBuf::from(file?.file_name()).with_extension("wasm");
        let name = file.to_str().context("a guest's name is no text")?;
        install(&built.join("examples"), name, &hostile)?;
        count += 1;
    }
    say(format_args!(
        "plugins: {count} hostile ones in {}",
        hostile.display()
    ));
    languages::build(&components)?;
    Ok(components)
}

/// Copies a component into a folder; answers where it is.
fn install(from: &Path, file: &str, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let component = folder.join(file);
    // Copied beside and renamed: whoever has the old one open keeps it whole.
    let half = folder.join(format!(".{file}"));
    std::fs::copy(from.join(file), &half)
        .with_context(|| format!("cannot copy the component {file}"))?;
    std::fs::rename(&half, &component)?;
    Ok(component)
}

/// Compiles what is selected of a workspace into a folder; answers where the results are.
fn cargo(toolchain: &Toolchain, manifest: &str, selection: &[&str], into: &str) -> Result<PathBuf> {
    // A folder of its own: another compiler's artefacts never meet the host's. Both workspaces share
    // it, and so the crates that generate code.
    let directory = target().join(into);
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
            "--manifest-path",
            manifest,
        ])
        .args(selection)
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
        "the plugins of {manifest} do not compile for {TARGET}; the messages are above"
    );
    Ok(directory.join(TARGET).join("plugin"))
}
