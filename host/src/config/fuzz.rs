//! Whatever a tenant's file holds: it is read or every mistake has its place, nothing shows a
//! secret, and what is read is what a plain TOML reader finds.
//!
//! An input is the file. With `␞` in it, it is four texts around a secret: what stands before its
//! table, how the value is quoted, what follows in the value, and what follows its table.

use std::path::Path;
use std::sync::Arc;

use super::mistake::{Mistake, Source};
use super::model::{
    Authorization, ChangesFrom, ExportConfig, PluginSource, Secret, StdinResume, Tenant, Which,
};
use super::tenant;

/// A text that stands for a secret.
const CANARY: &str = "s3cretC4nary";

/// Ways to quote a value, each with its end; the last are those of a hurried person.
const QUOTES: [(&str, &str); 8] = [
    ("\"", "\""),
    ("'", "'"),
    ("\"\"\"", "\"\"\""),
    ("'''", "'''"),
    ("\"\"\"\n", "\"\"\""),
    ("'''\n", "'''"),
    ("[\"", "\"]"),
    ("", ""),
];

fn source(text: String) -> Arc<Source> {
    Arc::new(Source {
        path: "etc/acme.toml".into(),
        text,
    })
}

/// A tenant with one of everything.
pub(crate) fn example() -> Tenant {
    let text = "[authorizations.main]\nlabel = \"a\"\nplugin = \"a.wasm\"\n\
                [exports.vip]\nauthorization = \"main\"\nlabel = \"a\"\naudience = \"a\"\n\
                user_id_field = \"id\"\nmembers = { file = \"a\" }\nfields = { id = \"id\" }\n";
    let (tenant, mistakes) = tenant::read(source(text.to_owned()));
    assert!(mistakes.is_empty(), "{mistakes:?}");
    tenant.expect("nothing is wrong with it")
}

/// A tenant's file.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts: Vec<&str> = text.splitn(4, '␞').collect();
    let &[before, quote, middle, after] = parts.as_slice() else {
        plain(&text);
        return;
    };
    if text.contains(CANARY) {
        return;
    }
    let quote = quote.bytes().next().unwrap_or_default();
    let (open, close) = QUOTES[usize::from(quote) % QUOTES.len()];
    let header = "[authorizations.main.secrets]\nkey = { value = ";
    hidden(format!(
        "{before}\n{header}{open}{CANARY}{middle}{close} }}\n{after}"
    ));
    let inside = close
        .chars()
        .next()
        .is_some_and(|end| !middle.contains(end) && end != ']');
    if inside && (close.len() == 3 || !middle.contains('\n')) {
        hidden(format!(
            "{before}\n{header}{open}{middle}{CANARY}{close} }}\n{after}"
        ));
    }
}

fn hidden(text: String) {
    let (_, mistakes) = tenant::read(source(text));
    for mistake in &mistakes {
        let shown = rendered(mistake);
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

/// Both renderings of a mistake, whose place is in the file.
fn rendered(mistake: &Mistake) -> String {
    let text = mistake
        .source
        .as_ref()
        .map_or("", |source| source.text.as_str());
    assert!(
        text.get(mistake.span.clone()).is_some(),
        "{:?}",
        mistake.span
    );
    let shown = mistake.render(false);
    assert!(
        shown.starts_with(if mistake.is_warning() {
            "warning"
        } else {
            "error"
        }),
        "{shown}"
    );
    shown + &mistake.render(true)
}

fn plain(text: &str) {
    let (tenant, mistakes) = tenant::read(source(text.to_owned()));
    let shown: String = mistakes.iter().map(rendered).collect();
    let table = text.parse::<toml::Table>();
    let Some(tenant) = tenant else {
        assert!(table.is_err() && !mistakes.is_empty(), "{shown}");
        return;
    };
    if mistakes.iter().any(|mistake| !mistake.is_warning()) {
        return;
    }
    let table = table.expect("nothing is wrong with it");
    let entries = |kind: &str| table.get(kind).and_then(toml::Value::as_table);
    let names = |kind| entries(kind).into_iter().flat_map(toml::Table::keys);
    assert!(tenant.authorizations.len() == names("authorizations").count());
    assert!(tenant.exports.len() == names("exports").count());
    for (id, authorization) in &tenant.authorizations {
        says(authorization, &table["authorizations"][id]);
    }
    for export in &tenant.exports {
        assert!(tenant.authorizations.contains_key(&export.authorization));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(export.spec.id.chars().all(plain), "it becomes a folder");
        exports(export, &table["exports"][&export.spec.id]);
    }
}

fn text<'a>(table: &'a toml::Value, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}

fn says(read: &Authorization, table: &toml::Value) {
    assert_eq!(Some(read.label.as_str()), text(table, "label"));
    assert_eq!(
        read.description,
        text(table, "description").unwrap_or_default()
    );
    assert_eq!(read.method.as_deref(), text(table, "method"));
    assert_eq!(read.endpoint.as_deref(), text(table, "endpoint"));
    plugin(&read.plugin, &table["plugin"]);
    let granted = table.get("allow_http").and_then(toml::Value::as_bool);
    assert_eq!(read.allow_http, granted.unwrap_or(false));
    for (name, secret) in &read.secrets {
        let said = &table["secrets"][name];
        match secret {
            Secret::Env(name) => assert_eq!(Some(name.as_str()), text(said, "env")),
            Secret::Value(value) => assert_eq!(Some(value.as_str()), text(said, "value")),
            Secret::File { path, shared } => {
                assert_eq!(
                    Some(path.clone()),
                    text(said, "file").map(|file| Path::new("etc").join(file))
                );
                let said = said.get("shared").and_then(toml::Value::as_bool);
                assert_eq!(*shared, said.unwrap_or(false));
            }
            Secret::Command { args, .. } => {
                let said = said["command"].as_array().expect("a list");
                let said: Vec<_> = said
                    .iter()
                    .skip(1)
                    .filter_map(toml::Value::as_str)
                    .collect();
                assert_eq!(*args, said);
            }
        }
    }
}

fn plugin(read: &PluginSource, said: &toml::Value) {
    match read {
        PluginSource::File(path) => {
            let said = said.as_str().or_else(|| text(said, "file"));
            assert_eq!(*path, Path::new("etc").join(said.expect("a path")));
        }
        PluginSource::Kept { name, which } => {
            assert_eq!(Some(name.as_str()), text(said, "name"));
            let (key, value) = match which {
                Which::Version(version) => ("version", version),
                Which::Channel(channel) => ("channel", channel),
                Which::Sha256(sha256) => ("sha256", sha256),
            };
            assert_eq!(Some(value.as_str()), text(said, key));
            let fine = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
            assert!(
                name.chars().chain(value.chars()).all(fine),
                "files are named by it"
            );
        }
    }
}

fn exports(read: &ExportConfig, table: &toml::Value) {
    assert_eq!(read.plugin.is_some(), table.get("plugin").is_some());
    if let Some(source) = &read.plugin {
        plugin(source, &table["plugin"]);
    }
    let spec = &read.spec;
    assert_eq!(Some(spec.label.as_str()), text(table, "label"));
    assert_eq!(Some(spec.audience.as_str()), text(table, "audience"));
    assert_eq!(
        Some(spec.user_id_field.as_str()),
        text(table, "user_id_field")
    );
    let mut fields = vec![];
    for (source, destinations) in table["fields"].as_table().expect("required") {
        match destinations {
            toml::Value::String(name) => fields.push((source.as_str(), name.as_str())),
            names => fields.extend(
                names
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|name| Some((source.as_str(), name.as_str()?))),
            ),
        }
    }
    let read: Vec<_> = spec
        .fields
        .iter()
        .map(|f| (f.source.as_str(), f.destination.as_str()))
        .collect();
    assert_eq!(read, fields);
    let options = table.get("options").and_then(toml::Value::as_table);
    assert!(
        spec.options
            .keys()
            .eq(options.into_iter().flat_map(toml::Table::keys))
    );
    let from = |key: &str, kind: &str| table.get(key).and_then(|from| text(from, kind));
    let path = |file: &str| Path::new("etc").join(file);
    assert_eq!(spec.members, from("members", "file").map(path));
    let changes = match (from("changes", "file"), from("changes", "stdin")) {
        (Some(file), _) => Some(ChangesFrom::File(path(file))),
        (None, Some("replay")) => Some(ChangesFrom::Stdin(StdinResume::Replay)),
        (None, Some(_)) => Some(ChangesFrom::Stdin(StdinResume::Continue)),
        (None, None) => None,
    };
    assert_eq!(spec.changes, changes);
    assert!(spec.members.is_some() || spec.changes.is_some());
}
