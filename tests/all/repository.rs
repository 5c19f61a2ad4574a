//! What the repository says of itself: where `unsafe` may stand, that every crate keeps to the lints,
//! and that every fuzz target has seeds that the normal tests run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Files, and folders with a `/` behind, that may hold `unsafe` or allow it, and why.
const UNSAFE: [(&str, &str); 4] = [
    (
        "wit/guest/src/lib.rs",
        "only allows it, for what wit-bindgen generates: texts cross the border as pointers",
    ),
    (
        "tests/guests/bad/guests/manifest_same.rs",
        "only allows it, for what wit-bindgen generates: an import is called",
    ),
    (
        "host/src/plugin/compile/trusted.rs",
        "wasmtime has no safe way to take compiled code; what it is taken from is checked before",
    ),
    (
        "tests/guests/hostile/",
        "plugins that do what no sound code can, to see that the host withstands it",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below a folder that is ours, by its path from the root.
fn files(folder: &Path, suffix: &str, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            let built = name == "target" || name.starts_with('.') || name == "corpus";
            if !built {
                files(&path, suffix, found)?;
            }
        } else if name.ends_with(suffix) {
            let path = path.strip_prefix(root())?;
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn all(suffix: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    files(&root(), suffix, &mut found)?;
    ensure!(!found.is_empty(), "no file ends in {suffix}");
    Ok(found)
}

/// Whether code, its comments left out, holds the word, or allows what it stands for.
fn is_unsafe(code: &str) -> bool {
    // In two pieces, so that this file does not find itself.
    let word = concat!("un", "safe");
    let code: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let names = |c: char| c.is_alphanumeric() || c == '_';
    let stands = code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(names);
        let after = code[at + word.len()..].chars().next().is_some_and(names);
        !before && !after
    });
    let lint = format!("{word}_code");
    let is_allowed = code.match_indices(&lint).any(|(at, _)| {
        let level = code[..at].rsplit_once('(').map(|(before, _)| before);
        level.is_some_and(|before| {
            let level = before.rsplit(|c| !names(c)).next();
            matches!(level, Some("allow" | "expect" | "warn"))
        })
    });
    stands || is_allowed
}

#[test]
fn unsafe_code_stands_only_where_its_reason_is_listed() -> Result<()> {
    let mut found = BTreeSet::new();
    for mut file in all(".rs")? {
        let folder = UNSAFE
            .iter()
            .find(|(listed, _)| listed.ends_with('/') && file.starts_with(listed));
        if is_unsafe(&std::fs::read_to_string(root().join(&file))?) {
            if let Some((folder, _)) = folder {
                file = (*folder).to_owned();
            }
            found.insert(file);
        }
    }
    let listed: BTreeSet<_> = UNSAFE.iter().map(|(file, _)| (*file).to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(
        new.is_empty(),
        "{new:?}: do without it, or list it with its reason in tests/all/repository.rs"
    );
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "{gone:?} needs to be listed no more");
    Ok(())
}

#[test]
fn the_search_for_it_knows_code_from_words() {
    let word = concat!("un", "safe");
    for (line, expected) in [
        (format!("    {word} {{ f() }}"), true),
        (format!("pub {word} fn f() {{}}"), true),
        (format!("#[{word}(no_mangle)]"), true),
        (format!("#[allow({word}_code, reason = \"x\")]"), true),
        (
            format!("#[allow(\n    dead_code,\n    {word}_code,\n)]"),
            true,
        ),
        (format!("// {word} is not here"), false),
        (format!("#![forbid({word}_code)]"), false),
        (format!("let {word}ly = 1;"), false),
    ] {
        assert_eq!(is_unsafe(&line), expected, "{line}");
    }
}

/// The lints are chosen once, in the root's `Cargo.toml`, and hold for every crate.
#[test]
fn every_crate_keeps_to_the_lints_of_the_workspace() -> Result<()> {
    let manifests = all("Cargo.toml")?;
    for manifest in manifests {
        let text = std::fs::read_to_string(root().join(&manifest))?;
        if text.contains("[package]") {
            let own = text.contains("[lints]\nworkspace = true\n")
                || text.contains("[lints.rust]\nunsafe_code");
            assert!(own, "{manifest} has no `[lints]` with `workspace = true`");
        }
    }
    Ok(())
}

/// A target that nobody runs finds nothing, and a finding without a seed comes back.
#[test]
fn every_fuzz_target_has_seeds_that_the_normal_tests_run() -> Result<()> {
    let names = |folder: &str| -> Result<BTreeSet<String>> {
        let folder = root().join("tests/fuzz").join(folder);
        std::fs::read_dir(&folder)?
            .map(|entry| {
                let name = entry?.file_name().into_string().unwrap_or_default();
                Ok(name.trim_end_matches(".rs").to_owned())
            })
            .collect()
    };
    let targets = names("fuzz_targets")?;
    assert_eq!(
        targets,
        names("seeds")?,
        "each target has a folder of seeds"
    );
    let read = |file: &str| std::fs::read_to_string(root().join(file)).context(file.to_owned());
    let manifest = read("tests/fuzz/Cargo.toml")?;
    let tests = read("host/src/fuzzing.rs")? + &read("plugin/src/fuzz.rs")?;
    for target in &targets {
        assert!(
            !names(&format!("seeds/{target}"))?.is_empty(),
            "{target} has no seed"
        );
        assert!(
            manifest.contains(&format!("name = \"{target}\"\n")),
            "{target} is not built"
        );
        assert!(
            tests.contains(&format!("(\"{target}\", {target})")),
            "{target}'s seeds are not run"
        );
    }
    Ok(())
}
