//! The configuration that the demo and the benchmarks write: what an operator would write.

use std::path::Path;

use anyhow::{Context, Result};

/// The key that the simulated account accepts.
pub const KEY: &str = "demo-key-3f9a1c";

/// One tenant with one export.
pub struct Export<'a> {
    pub component: &'a Path,
    pub endpoint: &'a str,
    /// Files beside the configuration; `-` is standard input.
    pub members: Option<&'a str>,
    pub changes: Option<&'a str>,
    /// Lines of TOML.
    pub fields: &'a str,
    pub options: &'a str,
    pub tuning: &'a str,
}

impl<'a> Export<'a> {
    /// An export with the audience's mapping.
    pub fn new(component: &'a Path, endpoint: &'a str) -> Self {
        Self {
            component,
            endpoint,
            members: None,
            changes: None,
            fields: "",
            options: "import_type = \"demo\"",
            tuning: "",
        }
    }

    /// Writes it into `directory`, as the tenant `name`.
    pub fn write(&self, directory: &Path, name: &str) -> Result<()> {
        let component = self.component.canonicalize();
        let component = component.context("the component is not there")?;
        let Self {
            endpoint,
            options,
            tuning,
            ..
        } = self;
        let fields = match self.fields {
            "" => mapping(),
            fields => fields.to_owned(),
        };
        let sources: String = [("members", self.members), ("changes", self.changes)]
            .iter()
            .filter_map(|(key, file)| {
                Some(match (*file)? {
                    "-" => format!("{key} = {{ stdin = \"continue\" }}\n"),
                    file => format!("{key} = {{ file = {file:?} }}\n"),
                })
            })
            .collect();
        let text = format!(
            r#"[authorizations.main]
label = "Retention Science, simulated"
description = "An account on this machine, made for the demo"
plugin = {component:?}
endpoint = "{endpoint}"
allow_http = true
allow_addresses = ["127.0.0.0/8"]

[authorizations.main.secrets]
api-key = {{ env = "RETENTION_SCIENCE_API_KEY" }}

[exports.everyone]
authorization = "main"
label = "Everyone"
audience = "everyone"
user_id_field = "user_id"
{sources}
[exports.everyone.fields]
{fields}
[exports.everyone.options]
{options}

[exports.everyone.tuning]
{tuning}
"#
        );
        let file = directory.join(format!("{name}.toml"));
        std::fs::write(file, text).context("cannot write the configuration")
    }
}

/// One line for each source; a source with several destinations has a list.
fn mapping() -> String {
    sluice_audience::mapping()
        .iter()
        .map(|(source, destination)| format!("{source} = \"{destination}\"\n"))
        .collect()
}
