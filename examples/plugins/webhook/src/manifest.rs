//! Who the plugin is and what it may ask for: the host shows it to the operator, and grants no more.

use sluice_guest::{AuthMethod, Credential, Field, FieldType, Limits, Manifest, Route};

use crate::member::KEY;
use crate::options;

/// Rows of one request, and the most that is lost by one that fails.
const DELIVER_ROWS: u32 = 100;

/// The manifest; the same every time.
pub fn describe() -> Manifest {
    let text = str::to_owned;
    let route = |method: &str, path: &str, purpose: &str| Route {
        method: text(method),
        path: text(path),
        purpose: text(purpose),
    };
    Manifest {
        name: text(env!("CARGO_PKG_NAME")),
        version: text(env!("CARGO_PKG_VERSION")),
        description: text(env!("CARGO_PKG_DESCRIPTION")),
        // The first is the default. What `{token}` stands for is never seen here: the host fills it in.
        auth_methods: vec![
            method(
                "bearer",
                "Bearer token",
                "token",
                "Authorization",
                "Bearer {token}",
            ),
            method("api-key", "API key", "key", "X-Api-Key", "{key}"),
        ],
        endpoint: text("https://api.example.com/v1"),
        // A path that is an option widens what the plugin may do, so it is the operator who says it.
        routes: vec![
            route(
                "POST",
                "{option:import_path}",
                "start the import of the audience",
            ),
            route("GET", "{option:job_path}", "ask whether the import is done"),
            route("POST", "{option:members_path}", "send changes"),
            route(
                "GET",
                "{option:check_path}",
                "see whether the credential is accepted",
            ),
        ],
        fields: vec![Field {
            name: text(KEY),
            type_: FieldType::Text,
            format: String::new(),
            required: true,
            composable: false,
            description: text("By what the receiver tells members apart"),
        }],
        // Whatever else is mapped becomes a key of the member's JSON.
        custom_fields: Some(text("<name>")),
        options_schema: text(options::SCHEMA),
        limits: Limits {
            file_bytes: 256 << 20,
            file_rows: 1_000_000,
            stage_rows: 1_000,
            deliver_rows: DELIVER_ROWS,
        },
        extra: vec![],
    }
}

/// A way to authorize with one secret in one header.
fn method(id: &str, label: &str, secret: &str, header: &str, template: &str) -> AuthMethod {
    AuthMethod {
        id: id.to_owned(),
        label: label.to_owned(),
        credentials: vec![Credential {
            id: secret.to_owned(),
            label: label.to_owned(),
            description: "From whoever runs the API".to_owned(),
        }],
        headers: vec![(header.to_owned(), template.to_owned())],
    }
}
