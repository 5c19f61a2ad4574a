//! Whether a manifest makes sense. Pure: each rule takes what the plugin has said.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::capability::http::{Credential, Endpoint, Policy};
use crate::plugin::types::{AuthMethod, Manifest};

use super::report::{Outcome, broken, ensure};

/// What an operator reads must be there.
pub fn names(manifest: &Manifest) -> Outcome {
    let numbers = |text: &str| {
        let parts: Vec<_> = text.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok())
    };
    let version = &manifest.version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    ensure(numbers(core), || format!("the version is `{version}`"))?;
    if let Err(error) = Endpoint::parse(&manifest.endpoint, false) {
        return broken(error.to_string());
    }
    let mut texts = vec![(
        "the description of the plugin".to_owned(),
        &manifest.description,
    )];
    for method in &manifest.auth_methods {
        texts.push((
            format!("the label of authorization `{}`", method.id),
            &method.label,
        ));
        for credential in &method.credentials {
            let what = format!("the label of credential `{}`", credential.id);
            texts.push((what, &credential.label));
        }
    }
    for route in &manifest.routes {
        let what = format!("the purpose of route `{} {}`", route.method, route.path);
        texts.push((what, &route.purpose));
    }
    match texts.iter().find(|(_, text)| text.trim().is_empty()) {
        Some((what, _)) => broken(format!("{what} is empty")),
        None => Ok(()),
    }
}

/// The host must be able to make the headers.
pub fn templates(manifest: &Manifest) -> Outcome {
    let ids = manifest.auth_methods.iter().map(|method| &method.id);
    unique("authorization", ids)?;
    for method in &manifest.auth_methods {
        template(method)?;
    }
    Ok(())
}

fn template(method: &AuthMethod) -> Outcome {
    let of = &method.id;
    ensure(!of.is_empty(), || "an authorization has no id".to_owned())?;
    // An API that lets everybody in has neither.
    ensure(
        !method.headers.is_empty() || method.credentials.is_empty(),
        || format!("authorization `{of}` sends no header"),
    )?;
    unique("credential", method.credentials.iter().map(|c| &c.id))?;
    let values: BTreeMap<_, _> = method
        .credentials
        .iter()
        .map(|credential| {
            let value = Zeroizing::new("a-conformance-key".to_owned());
            (credential.id.clone(), value)
        })
        .collect();
    if let Err(error) = Credential::render(method, &values) {
        return broken(format!("authorization `{of}`: {error}"));
    }
    let mut used = BTreeSet::new();
    for (_, text) in &method.headers {
        for hole in text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
        {
            used.insert(hole.0.to_owned());
        }
    }
    let known: BTreeSet<_> = values.keys().cloned().collect();
    ensure(used == known, || {
        format!("authorization `{of}` has the credentials {known:?}, its headers use {used:?}")
    })
}

/// Every route must be usable.
pub fn routes(manifest: &Manifest, options: &Map<String, Value>) -> Outcome {
    let endpoint = Endpoint::parse("https://destination.invalid", false);
    let endpoint = endpoint.map_err(|error| super::Amiss::Broken(error.to_string()))?;
    let policy = Policy::new(endpoint, manifest, options)
        .map_err(|error| super::Amiss::Broken(error.to_string()))?;
    ensure(manifest.routes.len() <= 100, || {
        format!("{} routes, which nobody reads", manifest.routes.len())
    })?;
    let written = manifest.routes.iter();
    let written = written.map(|route| format!("{} {}", route.method, route.path));
    unique("route", written.collect::<Vec<_>>().iter())?;
    let any = policy.routes().find(|route| {
        route
            .split('/')
            .skip(1)
            .all(|segment| matches!(segment, "*" | ""))
    });
    match any {
        Some(route) => broken(format!("route `{route}` allows any path")),
        None => Ok(()),
    }
}

/// Every field must be one that can be mapped to.
pub fn fields(manifest: &Manifest) -> Outcome {
    unique("field", manifest.fields.iter().map(|field| &field.name))?;
    for field in &manifest.fields {
        ensure(!field.name.trim().is_empty(), || {
            "a field has no name".to_owned()
        })?;
        ensure(!field.description.trim().is_empty(), || {
            format!("field `{}` has no description", field.name)
        })?;
    }
    let Some(form) = &manifest.custom_fields else {
        return ensure(!manifest.fields.is_empty(), || {
            "there is no field to map to".to_owned()
        });
    };
    let fine = |segment: &str| match segment.strip_prefix('<') {
        Some(rest) => rest.strip_suffix('>').is_some_and(|name| !name.is_empty()),
        None => !segment.is_empty() && !segment.contains(['<', '>']),
    };
    ensure(form.split('.').all(fine) && form.contains('<'), || {
        format!("the form of further names is `{form}`")
    })
}

/// Options must be judged by their schema.
pub fn schema(manifest: &Manifest) -> Outcome {
    let schema: Value = serde_json::from_str(&manifest.options_schema).unwrap_or_default();
    if let Err(error) = judge(&schema) {
        return broken(format!("it does not compile: {error}"));
    }
    ensure(schema["additionalProperties"] == Value::Bool(false), || {
        "it is open: a misspelt option would be taken".to_owned()
    })?;
    let required: Vec<_> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    let properties = schema["properties"].as_object();
    for name in &required {
        let known = name
            .as_str()
            .is_some_and(|name| schema["properties"].get(name).is_some());
        ensure(known, || {
            format!("it requires {name}, which is no option of it")
        })?;
    }
    for (name, option) in properties.into_iter().flatten() {
        ensure(
            option["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            || format!("option `{name}` has no description"),
        )?;
        match option.get("default") {
            None => ensure(required.iter().any(|other| *other == name), || {
                format!("option `{name}` has no default, and is not required")
            })?,
            Some(default) => {
                let fits = judge(option).is_ok_and(|judge| judge.is_valid(default));
                ensure(fits, || {
                    format!("the default of option `{name}` does not fit it")
                })?;
            }
        }
    }
    Ok(())
}

/// The engine whose time grows with the text and no faster, as the host has it.
pub fn judge(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Limits must leave the host something to work with.
pub fn limits(manifest: &Manifest) -> Outcome {
    let limits = &manifest.limits;
    for (name, value, least, most) in [
        ("file-bytes", limits.file_bytes, 1 << 20, 1 << 53),
        ("file-rows", limits.file_rows, 1_000, 1 << 53),
        ("stage-rows", limits.stage_rows.into(), 1, 100_000),
        ("deliver-rows", limits.deliver_rows.into(), 1, 2_000),
    ] {
        ensure(value == 0 || (least..=most).contains(&value), || {
            format!("`{name}` is {value}")
        })?;
    }
    Ok(())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Outcome {
    let mut seen = BTreeSet::new();
    for name in names {
        ensure(seen.insert(name), || {
            format!("{what} `{name}` stands twice")
        })?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
