//! The integration tests. README.md beside this file says what each module proves, in reading order.

// What the tests stand on.
#[path = "all/golden_file.rs"]
mod golden_file;
#[path = "all/process.rs"]
mod process;
#[path = "all/scrape.rs"]
mod scrape;
#[path = "all/wire.rs"]
mod wire;
#[path = "all/world.rs"]
mod world;

// The tests.
#[path = "all/admin.rs"]
mod admin;
#[path = "all/capture.rs"]
mod capture;
#[path = "all/chaos.rs"]
mod chaos;
#[path = "all/conformance.rs"]
mod conformance;
#[path = "all/contract.rs"]
mod contract;
#[path = "all/database.rs"]
mod database;
#[path = "all/disk.rs"]
mod disk;
#[path = "all/faults.rs"]
mod faults;
#[path = "all/gate.rs"]
mod gate;
#[path = "all/golden.rs"]
mod golden;
#[path = "all/guide.rs"]
mod guide;
#[path = "all/hostile.rs"]
mod hostile;
#[path = "all/hot_swap.rs"]
mod hot_swap;
#[path = "all/hot_swap_command.rs"]
mod hot_swap_command;
#[path = "all/hot_swap_pause.rs"]
mod hot_swap_pause;
#[path = "all/hot_swap_which.rs"]
mod hot_swap_which;
#[path = "all/isolation.rs"]
mod isolation;
#[path = "all/journey.rs"]
mod journey;
#[path = "all/kill.rs"]
mod kill;
#[path = "all/languages.rs"]
mod languages;
#[path = "all/loading.rs"]
mod loading;
#[path = "all/metrics.rs"]
mod metrics;
#[path = "all/mistakes.rs"]
mod mistakes;
#[path = "all/operator.rs"]
mod operator;
#[path = "all/registry.rs"]
mod registry;
#[path = "all/registry_signed.rs"]
mod registry_signed;
#[path = "all/repository.rs"]
mod repository;
#[path = "all/rotation.rs"]
mod rotation;
#[path = "all/sandbox.rs"]
mod sandbox;
#[path = "all/secrets.rs"]
mod secrets;
#[path = "all/swap.rs"]
mod swap;
#[path = "all/tracks.rs"]
mod tracks;

/// A file that nobody declares is never compiled, and its tests never fail.
#[test]
fn every_file_of_this_folder_is_a_module() -> anyhow::Result<()> {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    for (folder, within, declared) in [
        ("all", "all", include_str!("all.rs")),
        ("all/chaos", "chaos", include_str!("all/chaos.rs")),
        ("all/hostile", "hostile", include_str!("all/hostile.rs")),
        (
            "all/languages",
            "languages",
            include_str!("all/languages.rs"),
        ),
    ] {
        let mut files = 0;
        for entry in std::fs::read_dir(tests.join(folder))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.ends_with(".rs") {
                files += 1;
                let path = format!("#[path = \"{within}/{name}\"]\n");
                assert!(declared.contains(&path), "{folder}/{name} is not declared");
            }
        }
        assert!(files > 0, "the folder {folder} is not there");
    }
    Ok(())
}

/// README says which test proves what; a test that is renamed must be renamed there.
#[test]
fn every_test_that_readme_names_is_there() -> anyhow::Result<()> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in ["tests/all", "host/src"] {
        for file in process::everything_in(&root.join(folder))? {
            if file.extension().is_some_and(|extension| extension == "rs") {
                code += &std::fs::read_to_string(file)?;
            }
        }
    }
    let readme = std::fs::read_to_string(root.join("README.md"))?;
    let names = readme.split('`').skip(1).step_by(2);
    let tests: Vec<_> = names
        .filter_map(|name| name.rsplit_once("::"))
        .map(|(_, test)| test)
        .filter(|test| {
            !test.is_empty()
                && test
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    assert!(tests.len() > 20, "{tests:?}");
    for test in tests {
        let defined = format!("fn {test}()");
        assert!(
            code.contains(&defined),
            "README names `{test}`, and there is no such test"
        );
    }
    Ok(())
}

/// The page's tables of limits are those of the program.
#[test]
fn the_configuration_page_lists_every_limit_with_its_default() -> anyhow::Result<()> {
    use sluice::plugin::limits::{KEYS, LOAD_KEYS, Limits, LoadLimits};

    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("docs/configuration.md"))?;
    let (limits, load) = (Limits::default(), LoadLimits::default());
    let all = KEYS.iter().map(|key| (key.name, (key.get)(&limits)));
    let all = all.chain(LOAD_KEYS.iter().map(|key| (key.name, (key.get)(&load))));
    for (name, default) in all {
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let written = row.and_then(|row| row.split('|').nth(2));
        let written = written.map(|number| number.trim().replace(',', ""));
        assert_eq!(written, Some(default.to_string()), "{name}");
    }
    Ok(())
}
