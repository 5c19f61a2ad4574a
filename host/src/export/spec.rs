//! What an export works under, complete and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::config::{ChangesFrom, Mapping, Tuning};
use crate::plugin::Limits;
use crate::plugin::types::{Column, Manifest, Settings};
use crate::source::{LineFormat, Members, Projection};
use crate::store::Together;

/// One audience, one mapping, one set of options: everything about an export but its plugin, its
/// store and its way to the destination.
#[derive(Clone, Debug)]
pub struct ExportSpec {
    /// The tenant's name.
    pub tenant: String,
    /// The export's own.
    pub id: String,
    /// What people call it.
    pub label: String,
    /// The audience's name at the source.
    pub audience: String,
    /// The source field that tells members apart.
    pub user_id_field: String,
    /// The mapping, in order.
    pub fields: Vec<Mapping>,
    /// The plugin's options.
    pub options: Map<String, Value>,
    /// The file with the whole audience; without one there is no backfill.
    pub members: Option<PathBuf>,
    /// Where changes come from; an embedding program can also hand them in.
    pub changes: Option<ChangesFrom>,
    /// Numbers that an operator may turn.
    pub tuning: Tuning,
    /// The bounds of its plugin.
    pub limits: Limits,
}

impl ExportSpec {
    /// The tenant's and the export's name together, as commands and log lines use it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.tenant, self.id)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            columns: self
                .fields
                .iter()
                .map(|field| Column {
                    source: field.source.clone(),
                    destination: field.destination.clone(),
                })
                .collect(),
            options: Value::Object(self.options.clone()).to_string(),
            extra: vec![],
        }
    }

    pub(crate) fn projection(&self) -> Projection {
        let sources = self.fields.iter().map(|field| field.source.clone());
        Projection::new(&self.user_id_field, sources)
    }

    /// The sources that share a destination.
    pub fn together(&self) -> Together {
        let mut groups = BTreeMap::<&str, Vec<String>>::new();
        for field in &self.fields {
            groups
                .entry(&field.destination)
                .or_default()
                .push(field.source.clone());
        }
        Together::new(
            groups
                .into_values()
                .filter(|group| group.len() > 1)
                .collect(),
        )
    }

    pub(crate) fn line_format(&self) -> LineFormat {
        LineFormat {
            projection: Arc::new(self.projection()),
            audience: self.audience.clone(),
        }
    }

    pub(crate) fn scan(&self) -> Option<Members> {
        self.members.clone().map(Members::new)
    }

    /// What the rows of one scan have in common: mapping, options and the component itself.
    pub(crate) fn scan_settings(&self, component: &str) -> String {
        let settings = self.settings();
        let mut hash = Sha256::new();
        for column in &settings.columns {
            for name in [&column.source, &column.destination] {
                hash.update((name.len() as u64).to_be_bytes());
                hash.update(name);
            }
        }
        hash.update(&settings.options);
        hash.update(&self.user_id_field);
        hash.update(component);
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The largest staged file, in bytes and rows: what the plugin takes and the operator allows.
    pub(crate) fn file_limits(&self, manifest: &Manifest) -> (u64, u64) {
        let least = |plugin: u64, operator: Option<u64>| {
            [Some(plugin).filter(|&limit| limit > 0), operator]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(u64::MAX)
        };
        (
            least(
                manifest.limits.file_bytes,
                self.tuning.staged_file_max_bytes,
            ),
            least(manifest.limits.file_rows, self.tuning.staged_file_max_rows),
        )
    }

    /// What the plugin knows a staged file by: the same after a crash, another for each export.
    pub(crate) fn file_id(&self, number: u32) -> String {
        let hash = Sha256::digest(self.name());
        format!("{:02x}{:02x}-{number}", hash[0], hash[1])
    }
}
