//! Whose words are whose: those of a call's members, and those that the plugin and the operator use. Pure.

use serde_json::Value;

use super::call::{CapturedCell, CellKind, Input};
use super::taken::Scene;
use super::words::Words;

/// Every word of the rows.
pub(super) fn members(input: &Input) -> Words {
    let mut words = Words::default();
    for CapturedCell(kind, text) in input.rows().iter().flat_map(|row| &row.cells) {
        if *kind != CellKind::Boolean {
            words.add(text);
        }
    }
    words
}

/// Words that the operator uses: of routes, fields and options.
pub(super) fn settled<'a>(
    routes: impl IntoIterator<Item = &'a str>,
    fields: impl IntoIterator<Item = &'a str>,
    options: &Value,
) -> Words {
    let mut words = Words::default();
    for text in routes.into_iter().chain(fields) {
        words.add_names(text);
    }
    add_values(options, true, &mut words);
    words
}

/// Words that the plugin and the operator use themselves: routes, fields, and what options may be and are.
pub(super) fn vocabulary(scene: &Scene) -> Words {
    let (manifest, settings) = (&scene.plugin.manifest, &scene.rig.settings);
    let fields = manifest.fields.iter().map(|field| field.name.as_str());
    let columns = settings.columns.iter();
    let columns = columns.map(|column| column.destination.as_str());
    let routes: Vec<String> = scene.rig.policy.routes().collect();
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_default();
    let mut words = settled(
        routes.iter().map(String::as_str),
        fields.chain(columns),
        &parsed(&settings.options),
    );
    add_values(&parsed(&manifest.options_schema), false, &mut words);
    words
}

/// The texts of options; of a schema those that are values, not its own prose.
fn add_values(value: &Value, all: bool, words: &mut Words) {
    match value {
        Value::String(text) if all => words.add_names(text),
        Value::Array(items) => items.iter().for_each(|item| add_values(item, all, words)),
        Value::Object(object) => {
            for (name, value) in object {
                let values = all || matches!(name.as_str(), "default" | "enum" | "const");
                add_values(value, values, words);
            }
        }
        _ => {}
    }
}
