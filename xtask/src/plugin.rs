//! Building plugins to components.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup::{Compiler, DEBIAN_RUSTC, TARGET, Toolchain, toolchain};
use crate::{languages, root, say, target};

/// What we ship and what people copy: package and component.
const PLUGINS: [(&str, &str); 2] = [
    ("retention-science", "retention_science.wasm"),
    ("webhook", "webhook.wasm"),
];

/// Builds every plugin into `target/components/`; answers that folder.
pub fn build() -> Result<PathBuf> {
    let toolchain = toolchain()?;
    let components = target().join("components");
    say("plugins: building those that are good");
    let selection: Vec<&str> = PLUGINS
        .iter()
        .flat_map(|(package, _)| ["--package", package])
        .collect();
    let built = cargo(
        &toolchain,
        &root().join("Cargo.toml"),
        &selection,
        "plugins",
    )?;
    for (_, file) in PLUGINS {
        let component = install(&built, file, &components)?;
        tell(&component)?;
    }
    say("plugins: building the exporter once more, as the versions that tests swap");
    // By itself: together with the exporter cargo would make a component of both.
    let versions = ["--package", "sluice-versions"];
    let built = cargo(&toolchain, &root().join("Cargo.toml"), &versions, "plugins")?;
    install(&built, "sluice_versions.wasm", &components)?;
    say("plugins: building the exporter for hosts that serve the contract's track 0.1 only");
    let old = ["--package", "retention-science", "--features", "track-0-1"];
    // A folder of its own: both builds leave a file of the same name.
    let built = cargo(&toolchain, &root().join("Cargo.toml"), &old, "plugins-0.1")?;
    install(&built, "retention_science.wasm", &components.join("0.1"))?;
    say("plugins: building those that misbehave, for the tests");
    let guests = ["--workspace", "--lib", "--examples"];
    let manifest = root().join("tests/guests/Cargo.toml");
    let built = cargo(&toolchain, &manifest, &guests, "plugins")?;
    install(&built, "sluice_probe.wasm", &components)?;
    for frozen in ["sluice_frozen_0_1_0.wasm", "sluice_frozen_0_2_0.wasm"] {
        install(&built, frozen, &components.join("frozen"))?;
    }
    for folder in ["hostile", "bad"] {
        let guests = components.join(folder);
        let mut count = 0;
        for file in std::fs::read_dir(root().join("tests/guests").join(folder).join("guests"))? {
            let file = PathBuf::from(file?.file_name()).with_extension("wasm");
            let name = file.to_str().context("a guest's name is no text")?;
            install(&built.join("examples"), name, &guests)?;
            count += 1;
        }
        say(format_args!(
            "plugins: {count} {folder} ones in {}",
            guests.display()
        ));
    }
    languages::build(&components)?;
    Ok(components)
}

/// Builds the plugin of one manifest, ours or another's; answers the component, which lies beside
/// those that we ship.
pub fn build_one(manifest: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    // The first name of a manifest is the package's.
    let name = text
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""))
        .find_map(|rest| rest.strip_suffix('"'))
        .with_context(|| format!("{} has no line `name = \"…\"`", manifest.display()))?;
    let manifest = std::path::absolute(manifest)?;
    let built = cargo(&toolchain()?, &manifest, &["--package", name], "plugins")?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    let component = install(&built, &file, &target().join("components"))?;
    tell(&component)?;
    Ok(component)
}

fn tell(component: &Path) -> Result<()> {
    let bytes = std::fs::metadata(component)?.len();
    say(format_args!(
        "plugins: {} ({bytes} bytes)",
        component.display()
    ));
    Ok(())
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
fn cargo(
    toolchain: &Toolchain,
    manifest: &Path,
    selection: &[&str],
    into: &str,
) -> Result<PathBuf> {
    // A folder of its own: another compiler's artefacts never meet the host's. Both workspaces share
    // it, and so the crates that generate code.
    let directory = target().join(into);
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args([
            "build",
            "--quiet",
            // Of a stranger's workspace it is what `--release` is.
            "--config",
            "profile.plugin.inherits=\"release\"",
            "--profile",
            "plugin",
            "--target",
            TARGET,
            "--manifest-path",
        ])
        .arg(manifest)
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
        "the plugins of {} do not compile for {TARGET}; the messages are above",
        manifest.display()
    );
    Ok(directory.join(TARGET).join("plugin"))
}
