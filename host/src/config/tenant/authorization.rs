//! One authorization: a labelled credential and where it comes from.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::{limits, own_name, plugin};
use std::ops::Range;

use crate::capability::http::{Addresses, Endpoint, Proxy, RouteGrant};
use crate::config::model::{Authorization, AuthorizationSpans, Secret};
use crate::config::read::{At, Section};

/// Requests that one authorization has under way if nothing else is said: enough to hide the
/// latency of an ordinary API, few enough that none takes it for an attack.
const REQUESTS_IN_FLIGHT: usize = 16;

pub(super) fn authorization(section: Section<'_>, folder: &Path) -> Authorization {
    let id = own_name(&section);
    let whole = section.span.clone();
    let label = section.required("label", "\"Retention Science, production\"");
    let description = section
        .text("description")
        .map_or_else(String::new, |text| text.value);
    let (plugin, plugin_spans) = plugin::required(&section, folder);
    let signed_by = plugin::signed_by(&section);
    let method = section.text("method");
    let endpoint = section.text("endpoint");
    let allow_http = section.boolean("allow_http");
    // One that was misspelt has been complained about; the endpoint is not to blame for it.
    let allow_http = allow_http.unwrap_or(section.key_span("allow_http").is_some());
    let addresses = addresses(&section);
    if let Some(endpoint) = &endpoint {
        let parsed = Endpoint::parse(&endpoint.value, allow_http);
        // The same for grants that were complained about.
        let judged = parsed.and_then(|parsed| {
            let granted = addresses.as_ref().map(|granted| parsed.granted_by(granted));
            granted.unwrap_or(Ok(()))
        });
        if let Err(error) = judged {
            let at = endpoint.span.clone();
            section
                .collector
                .add(section.collector.at(at, error.to_string()));
        }
    }
    let proxy = section.text("proxy").and_then(|text| {
        Proxy::parse(&text.value)
            .map_err(|error| {
                let mistake = section.collector.at(text.span, error.to_string());
                section.collector.add(mistake);
            })
            .ok()
    });
    let (routes, route_spans) = routes(&section);
    let requests = section.number("requests_in_flight", 1..=1024);
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
    let (limits, load_limits) = limits::of_authorization(&section);
    section.finish();
    let span_of =
        |text: &Option<At<String>>| text.as_ref().map_or(whole.clone(), |t| t.span.clone());
    Authorization {
        id,
        label: label.value,
        description,
        plugin,
        signed_by,
        spans: AuthorizationSpans {
            plugin: plugin_spans,
            method: span_of(&method),
            endpoint: span_of(&endpoint),
            secrets: secret_spans,
            routes: route_spans,
            whole,
        },
        method: method.map(|text| text.value),
        endpoint: endpoint.map(|text| text.value),
        allow_http,
        allow_addresses: addresses.unwrap_or_default(),
        routes,
        proxy,
        requests_in_flight: requests.map_or(REQUESTS_IN_FLIGHT, |n| n as usize),
        limits,
        load_limits,
        secrets,
    }
}

/// The addresses that the operator grants; `None` if what stands there grants nothing.
fn addresses(section: &Section<'_>) -> Option<Addresses> {
    if section.key_span("allow_addresses").is_none() {
        // Asked for, so that the key is known.
        section.texts("allow_addresses");
        return Some(Addresses::default());
    }
    let texts = section.texts("allow_addresses")?;
    let mut understood = true;
    for text in &texts {
        if let Err(error) = Addresses::granting([text.value.as_str()]) {
            understood = false;
            let mistake = section.collector.at(text.span.clone(), error.to_string());
            section.collector.add(mistake);
        }
    }
    let texts = texts.iter().map(|text| text.value.as_str());
    Addresses::granting(texts).ok().filter(|_| understood)
}

/// The routes that the operator grants, and where each stands.
fn routes(section: &Section<'_>) -> (Option<Vec<RouteGrant>>, Vec<Range<usize>>) {
    let Some(texts) = section.texts("routes") else {
        return (None, vec![]);
    };
    if texts.is_empty() {
        let at = section.key_span("routes").unwrap_or(section.span.clone());
        let mistake = section.collector.at(
            at,
            "`routes` grants nothing, so that no request could be made",
        );
        section.collector.add(mistake.help(
            "name some, like `routes = [\"POST /users\"]`, or leave the key out to grant all that the manifest asks for",
        ));
    }
    let (mut grants, mut spans) = (vec![], vec![]);
    for text in texts {
        match RouteGrant::parse(&text.value) {
            Ok(grant) => {
                grants.push(grant);
                spans.push(text.span);
            }
            Err(error) => section
                .collector
                .add(section.collector.at(text.span, error.to_string())),
        }
    }
    (Some(grants), spans)
}

fn secret(
    section: &Section<'_>,
    key: &At<String>,
    value: &DeValue<'_>,
    folder: &Path,
) -> Option<Secret> {
    let collector = section.collector;
    let ways = format!(
        "`{0} = {{ env = \"NAME\" }}`, `{0} = {{ file = \"path\" }}` or `{0} = {{ command = [\"program\", \"argument\"] }}`",
        key.value
    );
    let Some(table) = value.as_table() else {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!("secret `{}` does not say where it comes from", key.value),
                )
                .help(format!("write {ways}")),
        );
        return None;
    };
    let inner = Section::new(
        collector,
        format!("secret `{}`", key.value),
        key.span.clone(),
        table,
    );
    let shared = inner.boolean("shared");
    let found: Vec<Secret> = [
        inner.text("env").map(|text| Secret::Env(text.value)),
        inner.text("file").map(|text| Secret::File {
            path: folder.join(text.value),
            shared: shared.unwrap_or(false),
        }),
        command(&inner, folder),
        inner
            .text("value")
            .map(|text| Secret::Value(text.value.into())),
    ]
    .into_iter()
    .flatten()
    .collect();
    let understood = inner.finish();
    if let [Secret::Value(_)] = found.as_slice() {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!("secret `{}` stands in the clear", key.value),
                )
                .help(format!("better: {ways}"))
                .warning(),
        );
    }
    if found.len() != 1 && !understood {
        return None;
    }
    if found.len() != 1 {
        collector.add(
            collector
                .at(
                    key.span.clone(),
                    format!(
                        "secret `{}` needs exactly one of env, file, command, value",
                        key.value
                    ),
                )
                .help(format!("write {ways}")),
        );
        return None;
    }
    if let (Some(_), [Secret::Env(_) | Secret::Command { .. } | Secret::Value(_)]) =
        (shared, found.as_slice())
    {
        let title = format!(
            "secret `{}` is no file, so there is nothing to share",
            key.value
        );
        let mistake = collector.at(key.span.clone(), title);
        collector.add(mistake.help("`shared` says that others may read the secret's file"));
    }
    found.into_iter().next()
}

/// A program, and what it is called with. A path with a folder in it begins at the file's folder.
fn command(section: &Section<'_>, folder: &Path) -> Option<Secret> {
    let mut texts = section.texts("command")?.into_iter();
    let program = texts.next().filter(|text| !text.value.is_empty());
    let Some(program) = program else {
        let at = section.key_span("command").unwrap_or(section.span.clone());
        let mistake = section.collector.at(at, "`command` names no program");
        section
            .collector
            .add(mistake.help("write `command = [\"program\", \"argument\"]`"));
        return None;
    };
    Some(Secret::Command {
        program: match program.value.contains('/') {
            true => folder.join(&program.value),
            false => program.value.into(),
        },
        args: texts.map(|text| text.value).collect(),
    })
}
