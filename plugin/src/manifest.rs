//! Who the plugin is and what it may ask for.

use sluice_guest::{AuthMethod, Credential, Field, Limits, Manifest, Route};

use crate::fields::{CATALOGUE, CUSTOM_FORM};
use crate::options;

/// Largest staged file. The destination names no limit and is known to take whole audiences in
/// one request; a gigabyte keeps a repetition after a broken connection bearable.
const FILE_BYTES: u64 = 1 << 30;
/// Most rows of one file: at the usual 200 bytes a row this meets the limit above.
const FILE_ROWS: u64 = 5_000_000;
/// Rows of a `stage` call: enough that the cost of the call itself no longer shows.
const STAGE_ROWS: u32 = 1_000;
/// Rows of a `deliver` call: one request each, and more than any quota sends at once.
const DELIVER_ROWS: u32 = 100;

/// The manifest; the same every time.
pub fn describe() -> Manifest {
    Manifest {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: "Keeps the users of a Retention Science account in step with an audience: \
                      one CSV import job, then one request for each change."
            .to_owned(),
        auth_methods: vec![AuthMethod {
            id: "api-key".to_owned(),
            label: "API key".to_owned(),
            credentials: vec![Credential {
                id: "api-key".to_owned(),
                label: "API key".to_owned(),
                description: "In the Retention Science dashboard under API settings, where it is \
                              called API Password. It names the site by itself."
                    .to_owned(),
            }],
            headers: vec![("Authorization".to_owned(), "ApiKey {api-key}".to_owned())],
        }],
        endpoint: "https://data.retentionscience.com/v3".to_owned(),
        routes: [
            (
                "POST",
                "{option:import_path}",
                "start the import job of a backfill",
            ),
            (
                "GET",
                "{option:job_path}",
                "ask whether an import job is done",
            ),
            (
                "{option:users_method}",
                "{option:users_path}",
                "create and update users",
            ),
            (
                "GET",
                "{option:check_path}",
                "prove that the key is not refused",
            ),
        ]
        .map(|(method, path, purpose)| Route {
            method: method.to_owned(),
            path: path.to_owned(),
            purpose: purpose.to_owned(),
        })
        .into(),
        fields: CATALOGUE
            .iter()
            .map(|field| Field {
                name: field.name.to_owned(),
                type_: field.rule.field_type(),
                format: field.format.to_owned(),
                // One of email and record_id is needed, neither by itself.
                required: false,
                composable: field.rule.is_composable(),
                description: field.description.to_owned(),
            })
            .collect(),
        custom_fields: Some(CUSTOM_FORM.to_owned()),
        options_schema: options::SCHEMA.to_owned(),
        limits: Limits {
            file_bytes: FILE_BYTES,
            file_rows: FILE_ROWS,
            stage_rows: STAGE_ROWS,
            deliver_rows: DELIVER_ROWS,
        },
        extra: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_says_what_the_host_needs() {
        let manifest = describe();
        assert_eq!(manifest.name, "retention-science");
        assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
        let method = &manifest.auth_methods[0];
        assert_eq!(
            (method.id.as_str(), method.credentials[0].id.as_str()),
            ("api-key", "api-key")
        );
        let header = ("Authorization".to_owned(), "ApiKey {api-key}".to_owned());
        assert_eq!(method.headers, [header]);
        let limits = &manifest.limits;
        assert_eq!(
            (limits.file_bytes, limits.file_rows),
            (1_073_741_824, 5_000_000)
        );
        assert_eq!((limits.stage_rows, limits.deliver_rows), (1_000, 100));
    }

    #[test]
    fn every_option_that_a_route_names_exists() {
        let schema: serde_json::Value = serde_json::from_str(options::SCHEMA).unwrap();
        let routes = describe().routes;
        assert_eq!(routes.len(), 4);
        for text in routes.iter().flat_map(|route| [&route.method, &route.path]) {
            if let Some(name) = text
                .strip_prefix("{option:")
                .and_then(|t| t.strip_suffix('}'))
            {
                assert!(schema["properties"][name]["default"].is_string(), "{name}");
            } else {
                assert!(matches!(text.as_str(), "GET" | "POST"), "{text}");
            }
        }
    }

    #[test]
    fn the_readme_lists_every_field() {
        let readme = include_str!("../README.md");
        let (_, table) = readme.split_once("\n## Fields\n").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        for field in describe().fields {
            assert!(
                table.contains(&format!("`{}`", field.name)),
                "{}",
                field.name
            );
        }
    }
}
