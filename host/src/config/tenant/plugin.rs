//! Which component runs, and who must have signed it.

use std::ops::Range;
use std::path::Path;

use crate::config::model::{PluginSource, PluginSpans, Which};
use crate::config::read::{At, Section};
use crate::registry::SigningKey;
use crate::registry::names::{self, BadName};

/// What can be written.
const WAYS: &str = "write `plugin = \"file.wasm\"`, or of the versions that `sluice plugin list` shows \
                    `plugin = { name = \"…\", version = \"…\" }`, `{ name = \"…\", channel = \"stable\" }` or \
                    `{ name = \"…\", sha256 = \"…\" }`";

/// What stands under `plugin`, which must be there.
pub(super) fn required(section: &Section<'_>, folder: &Path) -> (PluginSource, PluginSpans) {
    if section.is_table("plugin") {
        let source = section.section("plugin").map(kept);
        return source.unwrap_or_else(|| nothing(section.span.clone()));
    }
    let file = section.required("plugin", "\"retention_science.wasm\"");
    from_file(file, folder)
}

/// What stands under `plugin`, if there is something.
pub(super) fn optional(
    section: &Section<'_>,
    folder: &Path,
) -> Option<(PluginSource, PluginSpans)> {
    if section.is_table("plugin") {
        return section.section("plugin").map(kept);
    }
    let file = section.text("plugin")?;
    if file.value.trim().is_empty() {
        let title = format!("`plugin` in {} is empty", section.name);
        let mistake = section.collector.at(file.span.clone(), title);
        section.collector.add(mistake.help(WAYS));
    }
    Some(from_file(file, folder))
}

/// The keys under `signed_by`.
pub(super) fn signed_by(section: &Section<'_>) -> Vec<SigningKey> {
    let Some(texts) = section.texts("signed_by") else {
        return vec![];
    };
    if texts.is_empty() {
        let at = section.key_span("signed_by");
        let title = "`signed_by` names no key, so that no plugin could run";
        let mistake = section
            .collector
            .at(at.unwrap_or(section.span.clone()), title);
        section.collector.add(mistake.help(
            "name some, like `signed_by = [\"RW…\"]`, or leave the key out to run what nobody has signed",
        ));
    }
    let mut keys = vec![];
    for text in texts {
        match text.value.parse() {
            Ok(key) => keys.push(key),
            Err(error @ crate::registry::NoKey) => section
                .collector
                .add(section.collector.at(text.span, error.to_string())),
        }
    }
    keys
}

fn from_file(file: At<String>, folder: &Path) -> (PluginSource, PluginSpans) {
    let spans = PluginSpans {
        name: file.span.clone(),
        which: file.span,
    };
    (PluginSource::File(folder.join(file.value)), spans)
}

/// Of what cannot be read there is a mistake; nobody relies on what is answered.
fn nothing(span: Range<usize>) -> (PluginSource, PluginSpans) {
    let value = String::new();
    from_file(At { value, span }, Path::new(""))
}

/// What a name must be.
type Rule = fn(&str) -> Result<(), BadName>;

/// A way to say which version: its key, what it makes of the text, and what that must be.
type Way = (&'static str, fn(String) -> Which, Rule);

/// A version of the registry.
fn kept(table: Section<'_>) -> (PluginSource, PluginSpans) {
    let collector = table.collector;
    let whole = table.span.clone();
    let name = table.text("name");
    let ways: [Way; 3] = [
        ("version", Which::Version, names::version),
        ("channel", Which::Channel, names::channel),
        ("sha256", Which::Sha256, names::sha256),
    ];
    let mut found = vec![];
    for (key, which, rule) in ways {
        if let Some(text) = table.text(key) {
            found.push((text, which, rule));
        }
    }
    let written = ["name", "version", "channel", "sha256"].map(|key| table.key_span(key).is_some());
    let [has_name, of_which @ ..] = written;
    let understood = table.finish();
    let broken = |text: &At<String>, rule: Rule| {
        if let Err(error) = rule(&text.value) {
            collector.add(collector.at(text.span.clone(), error.to_string()));
        }
    };
    if let Some(name) = &name {
        broken(name, names::name);
    }
    for (text, _, rule) in &found {
        broken(text, *rule);
    }
    let ways = of_which.iter().filter(|there| **there).count();
    if understood && (!has_name || ways != 1) {
        let title = match (has_name, ways) {
            (false, _) => "`plugin` has no `name`",
            (_, 0) => "`plugin` does not say which version",
            _ => "`plugin` needs exactly one of version, channel, sha256",
        };
        collector.add(collector.at(whole.clone(), title).help(WAYS));
    }
    let (Some(name), Some((text, which, _))) = (name, found.into_iter().next()) else {
        return nothing(whole);
    };
    let spans = PluginSpans {
        name: name.span,
        which: text.span,
    };
    let (name, which) = (name.value, which(text.value));
    (PluginSource::Kept { name, which }, spans)
}
