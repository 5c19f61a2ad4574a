use super::*;
use crate::plugin::types::{Credential as Asked, Field, FieldType, Limits, Route};

fn text(text: &str) -> String {
    text.to_owned()
}

fn good() -> Manifest {
    Manifest {
        name: text("good"),
        version: text("1.2.3-rc.1"),
        description: text("A destination"),
        auth_methods: vec![AuthMethod {
            id: text("key"),
            label: text("Key"),
            credentials: vec![Asked {
                id: text("api-key"),
                label: text("Key"),
                description: String::new(),
            }],
            headers: vec![(text("Authorization"), text("ApiKey {api-key}"))],
        }],
        endpoint: text("https://good.invalid/v1"),
        routes: vec![Route {
            method: text("POST"),
            path: text("{option:path}"),
            purpose: text("send"),
        }],
        fields: vec![Field {
            name: text("email"),
            type_: FieldType::Text,
            format: String::new(),
            required: true,
            composable: false,
            description: text("The address"),
        }],
        custom_fields: Some(text("custom.<group>.<name>")),
        options_schema: text(
            r#"{"additionalProperties": false, "required": ["site"], "properties": {
                "path": {"type": "string", "default": "/users", "description": "Where"},
                "site": {"type": "string", "description": "Whose"}}}"#,
        ),
        limits: Limits {
            file_bytes: 1 << 30,
            file_rows: 0,
            stage_rows: 1_000,
            deliver_rows: 100,
        },
        extra: vec![],
    }
}

/// The names of the rules that a manifest breaks.
fn broken_by(manifest: &Manifest) -> Vec<&'static str> {
    let options = Map::new();
    [
        ("names", names(manifest)),
        ("templates", templates(manifest)),
        ("routes", routes(manifest, &options)),
        ("fields", fields(manifest)),
        ("schema", schema(manifest)),
        ("limits", limits(manifest)),
    ]
    .into_iter()
    .filter(|(_, outcome)| outcome.is_err())
    .map(|(name, _)| name)
    .collect()
}

#[test]
fn each_fault_of_a_manifest_is_found_by_its_rule_and_by_no_other() {
    assert_eq!(broken_by(&good()), [""; 0]);
    type Spoil = fn(&mut Manifest);
    let schema = |manifest: &mut Manifest, from: &str, to: &str| {
        assert!(manifest.options_schema.contains(from));
        manifest.options_schema = manifest.options_schema.replace(from, to);
    };
    let faults: [(&str, Spoil); 16] = [
        ("names", |m| m.version = text("new")),
        ("names", |m| m.endpoint = text("http://good.invalid")),
        ("names", |m| m.description.clear()),
        ("names", |m| m.routes[0].purpose.clear()),
        ("templates", |m| {
            m.auth_methods[0].headers[0].1 = text("ApiKey {key}")
        }),
        ("templates", |m| {
            m.auth_methods[0].headers[0].1 = text("ApiKey")
        }),
        ("templates", |m| {
            m.auth_methods.push(m.auth_methods[0].clone())
        }),
        ("templates", |m| m.auth_methods[0].headers.clear()),
        ("routes", |m| m.routes[0].path = text("{option:site}")),
        ("routes", |m| m.routes[0].path = text("/users/../admin")),
        ("routes", |m| m.routes[0].path = text("/*")),
        ("routes", |m| m.routes.push(m.routes[0].clone())),
        ("fields", |m| m.fields.push(m.fields[0].clone())),
        ("fields", |m| m.custom_fields = Some(text("custom.<group"))),
        ("limits", |m| m.limits.file_rows = 1),
        ("limits", |m| m.limits.deliver_rows = 1_000_000),
    ];
    for (rule, spoil) in faults {
        let mut manifest = good();
        spoil(&mut manifest);
        assert_eq!(broken_by(&manifest), [rule], "{manifest:?}");
    }
    for (from, to) in [
        ("\"additionalProperties\": false, ", ""),
        ("\"Whose\"", "\"\""),
        (
            "\"type\": \"string\", \"default\"",
            "\"type\": \"integer\", \"default\"",
        ),
        ("[\"site\"]", "[]"),
        ("[\"site\"]", "[\"site\", \"place\"]"),
    ] {
        let mut manifest = good();
        schema(&mut manifest, from, to);
        assert_eq!(broken_by(&manifest), ["schema"], "{from} {to}");
    }
}

#[test]
fn an_api_that_lets_everybody_in_needs_neither_credential_nor_header() {
    let mut manifest = good();
    manifest.auth_methods[0].credentials.clear();
    manifest.auth_methods[0].headers.clear();
    assert_eq!(broken_by(&manifest), [""; 0]);
}
