//! One tenant's file: authorizations and exports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Map;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Source, nearest};
use super::model::{
    Authorization, AuthorizationSpans, ChangesFrom, ExportConfig, ExportSpans, Mapping, Secret,
    StdinResume, Tenant, Tuning,
};
use super::read::{At, Collector, Section, json};
use crate::capability::http::Endpoint;

/// Requests that one authorization has under way if nothing else is said: enough to hide the
/// latency of an ordinary API, few enough that none takes it for an attack.
const REQUESTS_IN_FLIGHT: usize = 16;

/// Reads a tenant's file. Relative paths in it begin at the file's folder.
pub(super) fn read(source: Arc<Source>) -> (Option<Tenant>, Vec<Mistake>) {
    let collector = Collector {
        source: source.clone(),
        mistakes: Default::default(),
    };
    let (parsed, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        collector.add(collector.at(span, format!("this is no TOML: {}", error.message())));
    }
    if !errors.is_empty() {
        return (None, collector.mistakes.into_inner());
    }
    let id = source
        .path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let folder = source.path.parent().unwrap_or(Path::new("."));
    let top = Section::new(&collector, "the file".to_owned(), 0..0, parsed.get_ref());
    let mut tenant = Tenant {
        id,
        authorizations: BTreeMap::new(),
        exports: vec![],
        source: source.clone(),
    };
    for section in named(&top, "authorizations") {
        let authorization = authorization(section, folder);
        tenant
            .authorizations
            .insert(authorization.id.clone(), authorization);
    }
    for section in named(&top, "exports") {
        if let Some(export) = export(section, folder, &tenant) {
            tenant.exports.push(export);
        }
    }
    top.finish();
    (Some(tenant), collector.mistakes.into_inner())
}

/// The tables below `[kind]`, whose names the operator chose.
fn named<'a>(top: &Section<'a>, kind: &'static str) -> Vec<Section<'a>> {
    let Some(parent) = top.section(kind) else {
        return vec![];
    };
    parent
        .entries()
        .filter_map(|(key, value)| {
            let collector = top.collector;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !key.value.chars().all(plain) {
                collector.add(
                    collector
                        .at(
                            key.span.clone(),
                            format!("`{}` cannot be a name", key.value),
                        )
                        .help("use letters, digits, `-` and `_`: it becomes the name of a folder"),
                );
            }
            match value.get_ref().as_table() {
                Some(table) => {
                    let name = format!("[{kind}.{}]", key.value);
                    Some(Section::new(collector, name, key.span, table))
                }
                None => {
                    collector.add(
                        collector.at(value.span(), format!("`{kind}.{}` is no table", key.value)),
                    );
                    None
                }
            }
        })
        .collect()
}

/// The operator's own name in `[kind.name]`.
fn own_name(section: &Section<'_>) -> String {
    let name = section.name.trim_matches(['[', ']']);
    name.split_once('.').map_or(name, |(_, own)| own).to_owned()
}

fn authorization(section: Section<'_>, folder: &Path) -> Authorization {
    let id = own_name(&section);
    let whole = section.span.clone();
    let label = section.required("label", "\"Retention Science, production\"");
    let description = section
        .text("description")
        .map_or_else(String::new, |text| text.value);
    let plugin = section.required("plugin", "\"retention_science.wasm\"");
    let method = section.text("method");
    let endpoint = section.text("endpoint");
    let allow_http = section.boolean("allow_http").unwrap_or(false);
    if let Some(endpoint) = &endpoint
        && let Err(error) = Endpoint::parse(&endpoint.value, allow_http)
    {
        section.collector.add(
            section
                .collector
                .at(endpoint.span.clone(), error.to_string()),
        );
    }
    let requests = section.number("requests_in_flight", 1);
    let mut secrets = BTreeMap::new();
    let mut secret_spans = BTreeMap::new();
    if let Some(table) = section.section("secrets") {
        for (key, value) in table.entries() {
            if let Some(secret) = secret(&table, &key, value.get_ref(), folder) {
                secret_spans.insert(key.value.clone(), key.span);
                secrets.insert(key.value, secret);
            }
        }
    }
    section.finish();
    let span_of =
        |text: &Option<At<String>>| text.as_ref().map_or(whole.clone(), |t| t.span.clone());
    Authorization {
        id,
        label: label.value,
        description,
        plugin: folder.join(&plugin.value),
        spans: AuthorizationSpans {
            plugin: plugin.span,
            method: span_of(&method),
            endpoint: span_of(&endpoint),
            secrets: secret_spans,
            whole,
        },
        method: method.map(|text| text.value),
        endpoint: endpoint.map(|text| text.value),
        allow_http,
        requests_in_flight: requests.map_or(REQUESTS_IN_FLIGHT, |n| n as usize),
        secrets,
    }
}

fn secret(
    section: &Section<'_>,
    key: &At<String>,
    value: &DeValue<'_>,
    folder: &Path,
) -> Option<Secret> {
    let collector = section.collector;
    let ways = "{ env = \"NAME\" } or { file = \"path\" }";
    let Some(table) = value.as_table() else {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!("secret `{}` does not say where it comes from", key.value),
                )
                .help(format!("write `{} = {ways}`", key.value)),
        );
        return None;
    };
    let inner = Section::new(
        collector,
        format!("secret `{}`", key.value),
        key.span.clone(),
        table,
    );
    let found: Vec<Secret> = [
        inner.text("env").map(|text| Secret::Env(text.value)),
        inner
            .text("file")
            .map(|text| Secret::File(folder.join(text.value))),
        inner
            .text("value")
            .map(|text| Secret::Value(text.value.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    inner.finish();
    if let [Secret::Value(_)] = found.as_slice() {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!("secret `{}` stands in the clear", key.value),
                )
                .help(format!("better: `{} = {ways}`", key.value))
                .warning(),
        );
    }
    if found.len() != 1 {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!(
                        "secret `{}` needs exactly one of env, file, value",
                        key.value
                    ),
                )
                .help(format!("write `{} = {ways}`", key.value)),
        );
        return None;
    }
    found.into_iter().next()
}

fn export(section: Section<'_>, folder: &Path, tenant: &Tenant) -> Option<ExportConfig> {
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
    let members = source_table(&section, "members", &["file"], folder);
    let changes = source_table(&section, "changes", &["file", "stdin"], folder);
    let span = |key| {
        section
            .key_span(key)
            .unwrap_or_else(|| section.span.clone())
    };
    let spans = ExportSpans {
        whole: section.span.clone(),
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
    section.finish();
    Some(ExportConfig {
        tenant: tenant.id.clone(),
        id,
        label,
        description,
        authorization: authorization.value,
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
    let tuning = Tuning {
        lanes: table
            .number("lanes", 1)
            .map_or(default.lanes, |n| n.min(64) as u32),
        import_timeout_minutes: table
            .number("import_timeout_minutes", 1)
            .unwrap_or(default.import_timeout_minutes),
        staged_file_max_bytes: table.number("staged_file_max_bytes", 1),
        staged_file_max_rows: table.number("staged_file_max_rows", 1),
        memory_mib: table
            .number("memory_mib", 1)
            .map_or(default.memory_mib, |n| n.min(4096) as u32),
        cpu_seconds: table
            .number("cpu_seconds", 1)
            .unwrap_or(default.cpu_seconds),
    };
    table.finish();
    tuning
}

#[cfg(test)]
mod tests;
