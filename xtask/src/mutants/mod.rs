//! `cargo xtask mutants`: puts faults into a copy of the tree, one after the other, and looks
//! whether the tests notice. A list of our own and not `cargo-mutants`: that one changes every
//! operator and return value, thousands of them at a minute each; these are the faults that would
//! break a promise.

mod list;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::run::cargo;
use crate::{plugin, root, say, target};
use list::{MUTANTS, Mutant, Tests};

/// Applies those whose name contains `only`; an error if the tests let one live.
pub fn run(only: Option<&str>) -> Result<()> {
    let chosen: Vec<_> = MUTANTS
        .iter()
        .filter(|mutant| only.is_none_or(|only| mutant.name.contains(only)))
        .collect();
    ensure!(!chosen.is_empty(), "no mutant has that in its name");
    let copy = Copy::new()?;
    say("mutants: the tests must pass without any fault");
    let mut seen = vec![];
    for mutant in &chosen {
        let (filter, all) = mutant.noticed_by.filter();
        if seen.contains(&(filter, all)) {
            continue;
        }
        seen.push((filter, all));
        let (passed, output) = copy.test(mutant.noticed_by)?;
        ensure!(passed, "{filter} fails without any fault:\n{output}");
    }
    let mut alive = vec![];
    for mutant in &chosen {
        let began = Instant::now();
        let verdict = copy.with(mutant, |copy| copy.test(mutant.noticed_by))?;
        let (filter, _) = mutant.noticed_by.filter();
        let seconds = began.elapsed().as_secs();
        match verdict {
            (true, _) => {
                say(format_args!(
                    "LIVES    {:40} {filter} ({seconds} s)",
                    mutant.name
                ));
                alive.push(mutant.name);
            }
            (false, output) => {
                ensure!(
                    output.contains("test result: FAILED"),
                    "{} does not compile or the tests do not run:\n{output}",
                    mutant.name
                );
                say(format_args!(
                    "noticed  {:40} {filter} ({seconds} s)",
                    mutant.name
                ));
            }
        }
    }
    if !alive.is_empty() {
        bail!("the tests do not notice: {}", alive.join(", "));
    }
    say(format_args!("all {} faults were noticed", chosen.len()));
    Ok(())
}

impl Tests {
    fn filter(self) -> (&'static str, bool) {
        match self {
            Self::Unit(filter) => (filter, false),
            Self::Program(filter) => (filter, true),
        }
    }
}

/// A copy of the tree with a target folder of its own: nobody else ever runs a mutant.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
    components: PathBuf,
}

impl Copy {
    fn new() -> Result<Self> {
        let components = plugin::build()?;
        let folder = target().join("mutants");
        let copy = Self {
            tree: folder.join("tree"),
            target: folder.join("target"),
            components,
        };
        if copy.tree.exists() {
            std::fs::remove_dir_all(&copy.tree)?;
        }
        let files = Command::new("git")
            .current_dir(root())
            .args([
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
            ])
            .output()
            .context("cannot start git")?;
        ensure!(files.status.success(), "git does not list the files");
        for file in String::from_utf8(files.stdout)?.split_terminator('\0') {
            let (from, to) = (root().join(file), copy.tree.join(file));
            if !from.is_file() {
                continue;
            }
            std::fs::create_dir_all(to.parent().context("a file without a folder")?)?;
            std::fs::copy(from, to)?;
        }
        copy.warm_up()?;
        Ok(copy)
    }

    /// What the crates of others came to is taken over from the tree's own build, if there is one.
    fn warm_up(&self) -> Result<()> {
        let (from, to) = (target().join("release"), self.target.join("release"));
        if to.exists() || !from.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&to)?;
        for part in ["deps", "build", ".fingerprint"] {
            let copied = Command::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(from.join(part))
                .arg(&to)
                .status()?;
            ensure!(copied.success(), "cannot copy {part}");
        }
        Ok(())
    }

    /// Runs tests; answers whether they pass, and what was printed.
    fn test(&self, tests: Tests) -> Result<(bool, String)> {
        let (filter, all) = tests.filter();
        let mut test = cargo("test");
        test.current_dir(&self.tree)
            .args(["--release", "--workspace"])
            .args(if all {
                ["--test", "all"].as_slice()
            } else {
                &["--lib"]
            })
            .args(["--", filter])
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("SLUICE_COMPONENTS", &self.components);
        let output = test.output().context("cannot start cargo")?;
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok((output.status.success(), text.into_owned()))
    }

    /// Does something while the fault is in.
    fn with<R>(&self, mutant: &Mutant, work: impl FnOnce(&Self) -> Result<R>) -> Result<R> {
        let file = self.tree.join(mutant.file);
        let whole = std::fs::read_to_string(&file)?;
        std::fs::write(&file, apply(mutant, &whole)?)?;
        let result = work(self);
        std::fs::write(&file, whole)?;
        result
    }
}

fn apply(mutant: &Mutant, text: &str) -> Result<String> {
    let found = text.matches(mutant.find).count();
    ensure!(
        found == 1,
        "mutant {}: its place is found {found} times in {}, not once. Adapt the list",
        mutant.name,
        mutant.file
    );
    Ok(text.replace(mutant.find, mutant.replace))
}

/// The file of a mutant in the tree that this program was built from.
#[cfg(test)]
fn original(mutant: &Mutant) -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(mutant.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_still_be_put_in() {
        for mutant in &MUTANTS {
            let text = std::fs::read_to_string(original(mutant)).unwrap();
            let applied = apply(mutant, &text).unwrap();
            assert_ne!(applied, text, "{} changes nothing", mutant.name);
        }
    }

    #[test]
    fn the_list_for_people_names_every_fault_and_no_other() {
        let readme = include_str!("../../../tests/README.md");
        let begin = readme.find("## Mutants").expect("a chapter on mutants");
        let chapter = &readme[begin..];
        let named: Vec<_> = chapter
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let listed: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
        assert_eq!(named, listed);
    }
}
