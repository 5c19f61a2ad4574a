//! The configuration that the demo writes: what an operator would write.

use std::path::Path;

use anyhow::{Context, Result};

/// The key that the simulated account accepts.
pub const KEY: &str = "demo-key-3f9a1c";

/// Writes one tenant with one export into `directory`.
pub fn write(directory: &Path, component: &Path, endpoint: &str, changes: bool) -> Result<()> {
    let component = component
        .canonicalize()
        .context("the component is not there")?;
    let fields: String = mapping();
    let changes = if changes {
        "changes = { file = \"changes.ndjson\" }\n"
    } else {
        ""
    };
    let text = format!(
        r#"[authorizations.main]
label = "Retention Science, simulated"
description = "An account on this machine, made for the demo"
plugin = {component:?}
endpoint = "{endpoint}"
allow_http = true

[authorizations.main.secrets]
api-key = {{ env = "RETENTION_SCIENCE_API_KEY" }}

[exports.everyone]
authorization = "main"
label = "Everyone"
audience = "everyone"
user_id_field = "user_id"
members = {{ file = "members.ndjson" }}
{changes}
[exports.everyone.fields]
{fields}
[exports.everyone.options]
import_type = "demo"
"#
    );
    std::fs::write(directory.join("demo.toml"), text).context("cannot write the configuration")
}

/// One line for each source; a source with several destinations has a list.
fn mapping() -> String {
    sluice_audience::mapping()
        .iter()
        .map(|(source, destination)| format!("{source} = \"{destination}\"\n"))
        .collect()
}
