//! What a new plugin is made of: the example in `examples/plugins/webhook/`, the guest library and the
//! contract, as they were when this program was built. Pure.

/// A file of the repository by its path there, with its text.
macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        [$((
            $path,
            include_str!(concat!("../../../../", $folder, "/", $path)),
        )),*]
    };
}

/// The example. Each is written where it stands there.
const EXAMPLE: [(&str, &str); 16] = files! { "examples/plugins/webhook":
    ".cargo/config.toml"
    ".gitignore"
    "Cargo.toml"
    "README.md"
    "demo/acme.toml"
    "demo/changes.ndjson"
    "demo/members.ndjson"
    "receiver.py"
    "src/answer.rs"
    "src/deliver.rs"
    "src/import.rs"
    "src/lib.rs"
    "src/manifest.rs"
    "src/member.rs"
    "src/options.rs"
    "src/options.schema.json"
};

/// The compiler that all of this was built with.
const TOOLCHAIN: (&str, &str) = (
    "rust-toolchain.toml",
    include_str!("../../../../rust-toolchain.toml"),
);

/// The contract and the library around it, which is not published: they lie in the plugin's folder as
/// they lie in ours.
const CONTRACT: [(&str, &str); 17] = files! { "wit":
    "0.1/exporter.wit"
    "0.1/http.wit"
    "0.1/log.wit"
    "0.1/types.wit"
    "0.1/world.wit"
    "0.2/exporter.wit"
    "0.2/http.wit"
    "0.2/log.wit"
    "0.2/state.wit"
    "0.2/types.wit"
    "0.2/world.wit"
    "guest/Cargo.toml"
    "guest/src/ended.rs"
    "guest/src/lib.rs"
    "guest/src/rows.rs"
    "guest/src/staging.rs"
    "guest/src/state.rs"
};

/// The workspace's manifest, for what the guest library inherits and how plugins are built.
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// The versions that everything was tested with.
const LOCK: &str = include_str!("../../../../Cargo.lock");

/// Where the component of the example lies, seen from its `demo/`.
const COMPONENT: &str = "../../../../target/components/webhook.wasm";

/// Names that cargo or the language want for themselves, or that a plugin depends on.
const TAKEN: [&str; 12] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "proc-macro",
    "serde",
    "serde-json",
    "sluice-guest",
    "std",
    "test",
    "wit-bindgen",
];

/// Rust's words, which name no crate. One of them is in two pieces: a test looks where it stands.
const KEYWORDS: [&str; 51] = [
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    concat!("un", "safe"),
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The files of a new plugin of this name, or why there is none.
pub fn of(name: &str) -> Result<Vec<(String, String)>, String> {
    check(name)?;
    let example = EXAMPLE.into_iter().chain([TOOLCHAIN]).map(|(path, text)| {
        let text = match path {
            "Cargo.toml" => manifest(text, name),
            "README.md" => text.replacen("# webhook", &format!("# {name}"), 1),
            "demo/acme.toml" => text.replace(COMPONENT, &component(name)),
            _ => text.to_owned(),
        };
        (path.to_owned(), text)
    });
    let contract = CONTRACT.into_iter().map(|(path, text)| {
        let text = match path {
            "guest/Cargo.toml" => on_its_own(text),
            _ => text.to_owned(),
        };
        (format!("wit/{path}"), text)
    });
    let lock = ("Cargo.lock".to_owned(), lock(name));
    Ok(example.chain(contract).chain([lock]).collect())
}

fn check(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(plain)
        && name.len() <= 64;
    if !fine {
        return Err(format!(
            "{name:?} is no name for a plugin; expected lower-case letters, digits and `-`, like \
             `acme-crm`, beginning with a letter, at most 64"
        ));
    }
    if TAKEN.contains(&name) || KEYWORDS.contains(&name) {
        return Err(format!(
            "a crate cannot be called `{name}`; choose another name, like `{name}-crm`"
        ));
    }
    Ok(())
}

fn component(name: &str) -> String {
    let file = name.replace('-', "_");
    format!("../target/wasm32-unknown-unknown/release/{file}.wasm")
}

/// The example's manifest for a project of its own: under another name, with the guest library where
/// it is written, and built as we build plugins.
fn manifest(text: &str, name: &str) -> String {
    let text = text
        .replace("name = \"webhook\"", &format!("name = \"{name}\""))
        .replace("../../../wit/guest", "wit/guest");
    let (_, profile) = WORKSPACE
        .split_once("[profile.plugin]\ninherits = \"release\"\n")
        .unwrap_or_default();
    format!(
        "{text}\n# Of no workspace that it may lie in.\n[workspace]\n\n\
         # A component is loaded over and over: small first.\n[profile.release]\n{profile}"
    )
}

/// A manifest of our workspace with what it inherits written out.
fn on_its_own(text: &str) -> String {
    let workspace: toml::Table = WORKSPACE.parse().unwrap_or_default();
    let package = &workspace["workspace"]["package"];
    let mut lines = vec![];
    for line in text.replace("[lints]\nworkspace = true\n\n", "").lines() {
        lines.push(match line.strip_suffix(".workspace = true") {
            Some(key) => format!("{key} = {}", package[key]),
            None => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// What our lock says of the example and of all that it is made of.
fn lock(name: &str) -> String {
    let all: toml::Table = LOCK.parse().unwrap_or_default();
    let packages: Vec<&toml::Table> = all["package"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect();
    // Named as `name`, or as `name version` where there are several.
    let is = |package: &toml::Table, wanted: &str| {
        let mut words = wanted.split(' ');
        let is = |key: &str, word: Option<&str>| {
            word.is_none_or(|word| package[key].as_str() == Some(word))
        };
        is("name", words.next()) && is("version", words.next())
    };
    let mut reached = vec![false; packages.len()];
    let mut ahead = vec!["webhook"];
    while let Some(wanted) = ahead.pop() {
        for (index, package) in packages.iter().enumerate() {
            if is(package, wanted) && !std::mem::replace(&mut reached[index], true) {
                let needed = package.get("dependencies").and_then(toml::Value::as_array);
                ahead.extend(needed.into_iter().flatten().filter_map(toml::Value::as_str));
            }
        }
    }
    let mut text = "version = 4\n".to_owned();
    for (package, _) in packages.iter().zip(reached).filter(|(_, reached)| *reached) {
        let mut package = (*package).clone();
        if package["name"].as_str() == Some("webhook") {
            package.insert("name".to_owned(), name.into());
        }
        text += &format!("\n[[package]]\n{package}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// Every file below a folder, but for what is built.
    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true if ["target", ".sluice", "__pycache__"].contains(&name.as_str()) => {}
                true => below(&path, &format!("{prefix}{name}/"), found),
                false => {
                    found.insert(format!("{prefix}{name}"));
                }
            }
        }
    }

    #[test]
    fn nothing_of_the_example_and_of_the_library_is_left_out() {
        let written: BTreeSet<String> = of("acme-crm")
            .unwrap()
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        let made = ["rust-toolchain.toml", "Cargo.lock"].map(str::to_owned);
        let mut wanted = BTreeSet::from(made);
        below(&root().join("examples/plugins/webhook"), "", &mut wanted);
        below(&root().join("wit/guest"), "wit/guest/", &mut wanted);
        for track in ["0.1", "0.2"] {
            let folder = format!("wit/{track}");
            below(&root().join(&folder), &format!("{folder}/"), &mut wanted);
        }
        assert_eq!(written, wanted);
    }

    #[test]
    fn a_new_plugin_has_its_own_name_and_nothing_of_our_workspace() {
        let files = of("acme-crm").unwrap();
        for (path, text) in &files {
            assert!(
                !text.contains("../../../"),
                "{path} leads out of its folder"
            );
            assert!(!text.contains(".workspace = true"), "{path} inherits");
        }
        let text = |path: &str| &files.iter().find(|(name, _)| name == path).unwrap().1;
        let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
        assert_eq!(manifest["package"]["name"].as_str(), Some("acme-crm"));
        assert_eq!(manifest["profile"]["release"]["lto"].as_bool(), Some(true));
        let guest: toml::Table = text("wit/guest/Cargo.toml").parse().unwrap();
        assert_eq!(guest["package"]["edition"].as_str(), Some("2024"));
        let lock: toml::Table = text("Cargo.lock").parse().unwrap();
        let locked: Vec<_> = lock["package"].as_array().unwrap().iter().collect();
        let locked = |name: &str| {
            locked
                .iter()
                .any(|package| package["name"].as_str() == Some(name))
        };
        assert!(locked("acme-crm") && locked("sluice-guest") && locked("serde_json"));
        assert!(!locked("webhook") && !locked("wasmtime"));
        assert!(text("demo/acme.toml").contains("release/acme_crm.wasm"));
        assert!(text("README.md").starts_with("# acme-crm\n"));
    }

    #[test]
    fn a_name_is_one_that_cargo_and_the_contract_take() {
        for name in ["a", "acme-crm", "crm2", "webhook"] {
            assert!(of(name).is_ok(), "{name}");
        }
        let long = "x".repeat(65);
        for name in [
            "",
            "-",
            "-a",
            "a-",
            "a--b",
            "2a",
            "Acme",
            "a_b",
            "a b",
            "a/b",
            "..",
            "é",
            "test",
            "match",
            "sluice-guest",
            "serde-json",
            &long,
        ] {
            assert!(of(name).is_err(), "{name:?}");
        }
    }
}
