//! Guest languages beside Rust: their toolchains, in folders of their own under `target/`, and the
//! examples that are built with them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::setup::output;
use crate::{root, say, target};

/// What every language is built against.
const WIT: &str = "wit/0.1";
const WORLD: &str = "destination";

/// Pinned: what a component imports and how it starts is the toolchain's doing.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const COMPONENTIZE_JS: &str = "@bytecodealliance/componentize-js@0.23.0";

/// What the toolchains themselves need.
const PYTHON: (u32, u32) = (3, 10);
const NODE: (u32, u32) = (20, 0);

/// How a language's toolchain is installed and called.
struct Language {
    name: &'static str,
    /// Where it is, once it is installed.
    tool: fn() -> PathBuf,
    install: fn() -> Result<()>,
    /// Builds the example of this language into a file.
    build: fn(&Path) -> Result<()>,
}

const LANGUAGES: [Language; 2] = [
    Language {
        name: "python",
        tool: || languages().join("python/bin/componentize-py"),
        install: install_python,
        build: build_python,
    },
    Language {
        name: "javascript",
        tool: || languages().join("javascript/node_modules/.bin/componentize-js"),
        install: install_javascript,
        build: build_javascript,
    },
];

/// Installs the toolchains of all languages. One that cannot be installed does not keep the others back.
pub fn install() -> Result<()> {
    let mut missing = vec![];
    for language in &LANGUAGES {
        say(format_args!("{}: installing its toolchain", language.name));
        let installed = (language.install)().and_then(|()| {
            let tool = (language.tool)();
            ensure!(
                tool.exists(),
                "it was installed, but {} is not there",
                tool.display()
            );
            Ok(tool)
        });
        match installed {
            Ok(tool) => say(format_args!("{}: {}", language.name, tool.display())),
            Err(error) => missing.push(format!("{}: {error:#}", language.name)),
        }
    }
    ensure!(
        missing.is_empty(),
        "not every toolchain could be installed:\n  {}",
        missing.join("\n  ")
    );
    Ok(())
}

/// Builds the examples of those languages whose toolchain is there, and says which are left out.
pub fn build(components: &Path) -> Result<()> {
    let folder = components.join("examples");
    std::fs::create_dir_all(&folder)?;
    for language in &LANGUAGES {
        let component = folder.join(format!("{}_webhook.wasm", language.name));
        if !(language.tool)().exists() {
            // What another setup has left would be tested as if it were today's.
            let _ = std::fs::remove_file(&component);
            continue;
        }
        if !is_older(&component, language)? {
            continue;
        }
        say(format_args!(
            "plugins: building the {} example",
            language.name
        ));
        let half = folder.join(format!(".{}_webhook.wasm", language.name));
        (language.build)(&half)?;
        std::fs::rename(&half, &component)?;
        if language.name == "javascript" {
            // For the tests alone.
            let fetch = root().join("tests/guests/javascript/fetch.js");
            javascript(
                &fetch,
                &["fetch-event"],
                &folder.join("javascript_fetch.wasm"),
            )?;
        }
    }
    skipped();
    Ok(())
}

/// Says which languages are left out of whatever follows, and what to do about it.
pub fn skipped() {
    for language in LANGUAGES
        .iter()
        .filter(|language| !(language.tool)().exists())
    {
        say(format_args!(
            "SKIPPED: the {} plugin, its tests and its benchmark, since its toolchain is not installed; \
             `cargo xtask setup --all-languages` installs it",
            language.name
        ));
    }
}

/// Whether a component was built before its sources, the contract or the toolchain changed.
fn is_older(component: &Path, language: &Language) -> Result<bool> {
    let Ok(built) = std::fs::metadata(component).and_then(|metadata| metadata.modified()) else {
        return Ok(true);
    };
    let mut newest = std::fs::metadata((language.tool)())?.modified()?;
    let tests = root().join("tests/guests/javascript");
    let mut folders = vec![example(language.name), root().join(WIT), tests];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let metadata = std::fs::metadata(&path)?;
            match metadata.is_dir() {
                true => folders.push(path),
                false => newest = newest.max(metadata.modified()?),
            }
        }
    }
    Ok(newest > built)
}

/// Where toolchains are: nothing is ever installed beside it.
fn languages() -> PathBuf {
    target().join("languages")
}

fn example(language: &str) -> PathBuf {
    root().join(format!("examples/plugins/{language}-webhook"))
}

fn install_python() -> Result<()> {
    at_least(
        "python3",
        PYTHON,
        "Python from its package manager or python.org",
    )?;
    let venv = languages().join("python");
    let made = Command::new("python3")
        .args(["-m", "venv"])
        .arg(&venv)
        .status();
    ensure!(
        made.is_ok_and(|status| status.success()),
        "`python3 -m venv` failed; on Debian it needs the package python3-venv"
    );
    done(
        Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            COMPONENTIZE_PY,
        ]),
        "pip",
    )
}

fn install_javascript() -> Result<()> {
    at_least(
        "node",
        NODE,
        "Node.js with npm from nodejs.org or its package manager",
    )?;
    let folder = languages().join("javascript");
    std::fs::create_dir_all(&folder)?;
    done(
        Command::new("npm")
            .args([
                "install",
                "--no-fund",
                "--no-audit",
                "--loglevel=error",
                "--prefix",
            ])
            .arg(&folder)
            .arg(COMPONENTIZE_JS),
        "npm",
    )
}

fn build_python(component: &Path) -> Result<()> {
    let mut tool = Command::new((LANGUAGES[0].tool)());
    tool.current_dir(root())
        .args(["-d", WIT, "-w", WORLD, "componentize", "-p"])
        .arg(example("python"))
        .arg("app")
        .arg("-o")
        .arg(component);
    done(&mut tool, "componentize-py")
}

/// What is not used is left out of the component: it could only be denied.
fn build_javascript(component: &Path) -> Result<()> {
    let source = example("javascript").join("src/app.js");
    javascript(&source, &["http", "fetch-event"], component)
}

fn javascript(source: &Path, without: &[&str], component: &Path) -> Result<()> {
    let mut tool = Command::new((LANGUAGES[1].tool)());
    tool.current_dir(root())
        .arg(source)
        .args(["--wit", WIT, "--world-name", WORLD]);
    for feature in without {
        tool.args(["--disable", feature]);
    }
    tool.arg("--out").arg(component);
    done(&mut tool, "componentize-js")
}

/// Runs a tool; what it says is shown if it fails.
fn done(command: &mut Command, name: &str) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{name} failed: {}", String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}

/// Whether a program is there, and new enough.
fn at_least(program: &str, (major, minor): (u32, u32), remedy: &str) -> Result<()> {
    let wanted = format!("{program} {major}.{minor} or newer is needed: install {remedy}");
    let said = output(Command::new(program).arg("--version")).context(wanted.clone())?;
    ensure!(
        version(&said).is_some_and(|found| found >= (major, minor)),
        "{wanted}; found `{said}`"
    );
    Ok(())
}

/// The first two numbers in what a program says of its version.
fn version(said: &str) -> Option<(u32, u32)> {
    let digits = said.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = digits.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn a_version_is_its_first_two_numbers() {
        for (said, expected) in [
            ("Python 3.11.7", Some((3, 11))),
            ("v20.20.2", Some((20, 20))),
            ("v8.0.0-nightly", Some((8, 0))),
            ("Python", None),
            ("", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }
}
