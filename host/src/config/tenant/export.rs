//! One export: an audience, a mapping, options and sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Map;
use toml::de::DeValue;

use super::{limits, own_name, plugin};
use crate::config::mistake::nearest;
use crate::config::model::{
    ChangesFrom, ExportConfig, ExportSpans, Mapping, StdinResume, Tenant, Tuning,
};
use crate::config::read::{Section, json};
use crate::export::ExportSpec;

pub(super) fn export(section: Section<'_>, folder: &Path, tenant: &Tenant) -> Option<ExportConfig> {
    let collector = section.collector;
    let id = own_name(&section);
    let authorization = section.required("authorization", "\"main\"");
    if !authorization.value.is_empty() && !tenant.authorizations.contains_key(&authorization.value)
    {
        let names: Vec<_> = tenant.authorizations.keys().map(String::as_str).collect();
        let mistake = collector.at(
            authorization.span.clone(),
            format!(
                "there is no authorization `{}` in this file",
                authorization.value
            ),
        );
        collector.add(
            match (
                nearest(&authorization.value, names.iter().copied()),
                names.is_empty(),
            ) {
                (Some(near), _) => mistake.help(format!("did you mean `{near}`?")),
                (None, false) => mistake.help(format!("there are: {}", names.join(", "))),
                (None, true) => mistake.help("add a table `[authorizations.main]`"),
            },
        );
    }
    let label = section.required("label", "\"VIP customers\"").value;
    let description = section
        .text("description")
        .map_or_else(String::new, |text| text.value);
    let audience = section.required("audience", "\"vip_customers\"").value;
    let user_id_field = section.required("user_id_field", "\"user_id\"").value;
    let (fields, columns, fields_span) = fields(&section);
    let mut options = Map::new();
    let mut option_spans = BTreeMap::new();
    let mut options_span = section.span.clone();
    if let Some(table) = section.section("options") {
        options_span = table.span.clone();
        for (key, value) in table.entries() {
            option_spans.insert(key.value.clone(), key.span);
            options.insert(key.value, json(value.get_ref()));
        }
    }
    let (plugin, plugin_spans) = plugin::optional(&section, folder).unzip();
    let members = source_table(&section, "members", &["file"], folder);
    let changes = source_table(&section, "changes", &["file", "stdin"], folder);
    let span = |key| {
        section
            .key_span(key)
            .unwrap_or_else(|| section.span.clone())
    };
    let spans = ExportSpans {
        whole: section.span.clone(),
        plugin: plugin_spans,
        fields: fields_span,
        columns,
        options: options_span,
        option: option_spans,
        members: span("members"),
        changes: span("changes"),
    };
    if section.key_span("members").is_none() && section.key_span("changes").is_none() {
        collector.add(
            collector
                .at(section.span.clone(), format!("{} has neither `members` nor `changes`", section.name))
                .help("write `members = { file = \"members.ndjson\" }` and `changes = { file = \"changes.ndjson\" }`"),
        );
    }
    let tuning = section
        .section("tuning")
        .map_or_else(Tuning::default, tuning);
    let limits = limits::of_export(&section, tenant.authorizations.get(&authorization.value));
    section.finish();
    let spec = ExportSpec {
        tenant: tenant.id.clone(),
        id,
        label,
        audience,
        user_id_field,
        fields,
        options,
        members: members.and_then(|from| match from {
            ChangesFrom::File(path) => Some(path),
            ChangesFrom::Stdin(_) => None,
        }),
        changes,
        tuning,
        limits,
    };
    Some(ExportConfig {
        spec,
        description,
        authorization: authorization.value,
        plugin,
        spans,
    })
}

type Fields = (
    Vec<Mapping>,
    Vec<std::ops::Range<usize>>,
    std::ops::Range<usize>,
);

fn fields(section: &Section<'_>) -> Fields {
    let collector = section.collector;
    let (mut fields, mut spans) = (vec![], vec![]);
    let table = section.section("fields");
    let whole = table
        .as_ref()
        .map_or(section.span.clone(), |table| table.span.clone());
    for (key, value) in table.iter().flat_map(Section::entries) {
        let texts: Option<Vec<String>> = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect(),
            _ => None,
        };
        let Some(texts) = texts.filter(|texts| texts.iter().all(|text| !text.trim().is_empty()))
        else {
            collector.add(
                collector
                    .at(
                        value.span(),
                        format!("field `{}` is mapped to no name", key.value),
                    )
                    .help(format!(
                        "write `{} = \"destination_field\"`, or a list of several",
                        key.value
                    )),
            );
            continue;
        };
        for destination in texts {
            fields.push(Mapping {
                source: key.value.clone(),
                destination,
            });
            spans.push(value.span());
        }
    }
    if fields.is_empty() {
        collector.add(
            collector
                .at(whole.clone(), format!("{} maps no field", section.name))
                .help("add a table `fields` with at least one `source = \"destination\"`"),
        );
    }
    (fields, spans, whole)
}

fn source_table(
    section: &Section<'_>,
    key: &'static str,
    kinds: &[&'static str],
    folder: &Path,
) -> Option<ChangesFrom> {
    let table = section.section(key)?;
    let span = table.span.clone();
    let collector = table.collector;
    let mut found = vec![];
    if let Some(file) = table.text("file") {
        found.push(ChangesFrom::File(folder.join(PathBuf::from(file.value))));
    }
    if kinds.contains(&"stdin")
        && let Some(stdin) = table.text("stdin")
    {
        match stdin.value.as_str() {
            "continue" => found.push(ChangesFrom::Stdin(StdinResume::Continue)),
            "replay" => found.push(ChangesFrom::Stdin(StdinResume::Replay)),
            other => collector.add(
                collector
                    .at(stdin.span, format!("`stdin` cannot be \"{other}\""))
                    .help("\"continue\": after a restart whoever writes goes on where it was; \"replay\": it begins anew"),
            ),
        }
    }
    let empty = found.is_empty() && kinds.iter().all(|kind| table.key_span(kind).is_none());
    table.finish();
    if empty || found.len() > 1 {
        collector.add(
            collector
                .at(
                    span,
                    format!("`{key}` needs exactly one of: {}", kinds.join(", ")),
                )
                .help(format!("write `{key} = {{ file = \"{key}.ndjson\" }}`")),
        );
        return None;
    }
    found.into_iter().next()
}

fn tuning(table: Section<'_>) -> Tuning {
    let default = Tuning::default();
    let any = || 1..=u64::MAX;
    let tuning = Tuning {
        lanes: table
            .number("lanes", 1..=64)
            .map_or(default.lanes, |n| n as u32),
        import_timeout_minutes: table
            .number("import_timeout_minutes", any())
            .unwrap_or(default.import_timeout_minutes),
        staged_file_max_bytes: table.number("staged_file_max_bytes", any()),
        staged_file_max_rows: table.number("staged_file_max_rows", any()),
        log_max_mib: table
            .number("log_max_mib", 1..=1 << 20)
            .unwrap_or(default.log_max_mib),
        canary_percent: table
            .number("canary_percent", 1..=100)
            .map_or(default.canary_percent, |n| n as u8),
        canary_batches: table
            .number("canary_batches", 0..=10_000)
            .map_or(default.canary_batches, |n| n as u32),
        capture_failures: table
            .number("capture_failures", 0..=100)
            .map_or(default.capture_failures, |n| n as u32),
    };
    table.finish();
    tuning
}
