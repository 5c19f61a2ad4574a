//! One authorization: a labelled credential and where it comes from.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeValue;

use super::{limits, own_name};
use crate::capability::http::{Addresses, Endpoint, Proxy};
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
    let plugin = section.required("plugin", "\"retention_science.wasm\"");
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
        allow_addresses: addresses.unwrap_or_default(),
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

fn secret(
    section: &Section<'_>,
    key: &At<String>,
    value: &DeValue<'_>,
    folder: &Path,
) -> Option<Secret> {
    let collector = section.collector;
    let ways = format!(
        "`{0} = {{ env = \"NAME\" }}` or `{0} = {{ file = \"path\" }}`",
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
                        "secret `{}` needs exactly one of env, file, value",
                        key.value
                    ),
                )
                .help(format!("write {ways}")),
        );
        return None;
    }
    found.into_iter().next()
}
