//! Opening the store of an export that was named, beside whoever works on it.

use sluice::config::{Config, ExportConfig};
use sluice::deploy::directory;
use sluice::registry::Users;
use sluice::store::{Store, StoreError};

use super::args::Where;
use super::exit::Exit;
use super::{logs, select};

/// Does something with the export that was named and its store.
pub fn with_store(
    place: &Where,
    name: &str,
    work: impl FnOnce(&ExportConfig, &Store) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let export = match select::export(&config, name) {
        Ok(export) => export,
        Err(exit) => return Ok(exit),
    };
    let directory = directory(&place.data(), export);
    if !Store::exists(&directory) {
        eprintln!(
            "error: export {} has no store in {} yet; `sluice run` makes it",
            export.spec.name(),
            directory.display()
        );
        return Ok(Exit::Configuration);
    }
    work(export, &Store::open_beside(&directory)?)
}

/// Adds whoever runs a component, may go back to it, or has a job that it began: what stores say, beside
/// what the configuration does.
pub fn add_users(users: &mut Users, config: &Config, place: &Where) -> Result<(), StoreError> {
    for export in config.tenants.iter().flat_map(|tenant| &tenant.exports) {
        let directory = directory(&place.data(), export);
        if Store::exists(&directory) {
            for sha256 in Store::open_read_only(&directory)?.components()? {
                users.entry(sha256).or_default().insert(export.spec.name());
            }
        }
    }
    Ok(())
}

/// Now, as stores keep times.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A stored time for people.
pub fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
