//! One tenant's file: authorizations and exports.

mod authorization;
mod export;
mod limits;
mod plugin;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use self::authorization::authorization;
use self::export::export;
use super::mistake::{Mistake, Source};
use super::model::Tenant;
use super::read::{Collector, Section};

/// Reads a tenant's file. Relative paths in it begin at the file's folder.
pub(super) fn read(source: Arc<Source>) -> (Option<Tenant>, Vec<Mistake>) {
    let collector = Collector {
        source: source.clone(),
        mistakes: Default::default(),
    };
    let (parsed, errors) = DeTable::parse_recoverable(&source.text);
    // One slip of the pen makes a parser stumble over all that follows: only the first counts.
    if let Some(error) = errors.first() {
        let span = error.span().unwrap_or(0..0);
        collector.add(collector.at(span, format!("this is no TOML: {}", error.message())));
    }
    if !errors.is_empty() {
        return (None, collector.mistakes.into_inner());
    }
    let id = id(&source.path);
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

/// A tenant's name: that of its file.
pub(super) fn id(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
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

#[cfg(test)]
mod tests;
