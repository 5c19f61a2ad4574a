//! Whether a plugin accepts an export's mapping and options: first by its schema, which finds
//! every mistake in the options, then by its own judgement.

use std::ops::Range;

use serde_json::Value;

use crate::capability::LogSink;
use crate::config::{ExportConfig, Mistake, Tenant, nearest};
use crate::plugin::types::{Finding, Place, Problem};
use crate::plugin::{CallError, Grant, Plugin};

pub(super) async fn check(
    tenant: &Tenant,
    export: &ExportConfig,
    plugin: &Plugin,
) -> Result<(), Vec<Mistake>> {
    let mut mistakes = options(tenant, export, &plugin.manifest.options_schema);
    // Asked in any case, for the mapping; what it says of options that do not fit the schema would
    // only repeat it.
    let grant = Grant::none(LogSink::new(&export.spec.name(), &export.spec.limits));
    match plugin
        .open(&export.spec.settings(), grant, export.spec.limits)
        .await
    {
        Ok(_) => {}
        Err(CallError::Problem(Problem::InvalidSettings(findings))) => {
            let of_options = !mistakes.is_empty();
            mistakes.extend(
                findings
                    .iter()
                    .filter(|finding| !(of_options && about_options(finding)))
                    .map(|finding| mistake(tenant, export, finding)),
            );
        }
        Err(error) => {
            let span = export.spans.whole.clone();
            mistakes.push(Mistake::new(&tenant.source, span, error.to_string()));
        }
    }
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes)
    }
}

fn about_options(finding: &Finding) -> bool {
    matches!(finding.place, Place::Option(_) | Place::Whole)
}

fn mistake(tenant: &Tenant, export: &ExportConfig, finding: &Finding) -> Mistake {
    let spans = &export.spans;
    let span = match &finding.place {
        Place::Whole => spans.whole.clone(),
        Place::Mapping => spans.fields.clone(),
        Place::Column(index) => spans
            .columns
            .get(*index as usize)
            .unwrap_or(&spans.fields)
            .clone(),
        Place::Option(name) => option_span(export, name),
    };
    Mistake::new(&tenant.source, span, finding.message.clone())
}

fn option_span(export: &ExportConfig, name: &str) -> Range<usize> {
    let top = name.split('.').next().unwrap_or(name);
    export
        .spans
        .option
        .get(top)
        .unwrap_or(&export.spans.options)
        .clone()
}

/// What is wrong with the options by the plugin's schema.
pub(super) fn options(tenant: &Tenant, export: &ExportConfig, schema: &str) -> Vec<Mistake> {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return vec![];
    };
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let mut mistakes = vec![];
    let closed = schema["additionalProperties"] == Value::Bool(false);
    for name in export
        .spec
        .options
        .keys()
        .filter(|name| closed && !known.contains(&name.as_str()))
    {
        let title = format!("unknown option `{name}`");
        let mistake = Mistake::new(&tenant.source, option_span(export, name), title);
        mistakes.push(match nearest(name, known.iter().copied()) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake.help(format!("known options: {}", known.join(", "))),
        });
    }
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for name in required.filter(|name| !export.spec.options.contains_key(*name)) {
        let what = schema["properties"][name]["description"]
            .as_str()
            .unwrap_or_default();
        mistakes.push(
            Mistake::new(
                &tenant.source,
                export.spans.options.clone(),
                format!("option `{name}` is missing, and has no default"),
            )
            .help(format!(
                "write `{name} = …` in [exports.{}.options]: {what}",
                export.spec.id
            )),
        );
    }
    // The engine whose time grows with the text and no faster: the pattern is the plugin's, and
    // nothing bounds the time.
    let judge = jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex());
    let Ok(validator) = judge.build(&schema) else {
        return mistakes;
    };
    let options = Value::Object(export.spec.options.clone());
    for error in validator.iter_errors(&options) {
        let at = error.instance_path().to_string();
        let Some(name) = at.split('/').nth(1) else {
            continue;
        };
        let title = format!("option `{name}`: {error}");
        let mistake = Mistake::new(&tenant.source, option_span(export, name), title);
        mistakes.push(match schema["properties"][name]["description"].as_str() {
            Some(what) => mistake.help(what.to_owned()),
            None => mistake,
        });
    }
    mistakes
}
