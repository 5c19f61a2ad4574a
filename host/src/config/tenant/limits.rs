//! The `limits` tables: of an authorization, for its plugin and the exports through it, and of an
//! export, for itself.

use crate::config::model::Authorization;
use crate::config::read::Section;
use crate::plugin::limits::{KEYS, Key, LOAD_KEYS, Limits, LoadLimits, Overrides};

pub(super) fn of_authorization(section: &Section<'_>) -> (Overrides, LoadLimits) {
    let mut load = LoadLimits::default();
    let Some(table) = section.section("limits") else {
        return (Overrides::default(), load);
    };
    let limits = read(&table, &KEYS);
    read(&table, &LOAD_KEYS).apply(&mut load, &LOAD_KEYS);
    table.finish();
    (limits, load)
}

pub(super) fn of_export(section: &Section<'_>, authorization: Option<&Authorization>) -> Limits {
    let mut limits = Limits::default();
    if let Some(authorization) = authorization {
        authorization.limits.apply(&mut limits, &KEYS);
    }
    if let Some(table) = section.section("limits") {
        for key in LOAD_KEYS.iter().filter_map(|key| table.key_span(key.name)) {
            table.collector.add(
                table
                    .collector
                    .at(key, "this limit is about loading the plugin")
                    .help("write it in the table `limits` of the authorization, which names the plugin"),
            );
        }
        read(&table, &LOAD_KEYS);
        read(&table, &KEYS).apply(&mut limits, &KEYS);
        table.finish();
    }
    limits
}

fn read<L>(table: &Section<'_>, keys: &[Key<L>]) -> Overrides {
    let turned = keys.iter().filter_map(|key| {
        let n = table.number(key.name, key.range.clone())?;
        Some((key.name, n))
    });
    Overrides(turned.collect())
}
