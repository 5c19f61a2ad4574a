//! Reading the configuration directory.

use std::path::Path;
use std::sync::Arc;

use super::mistake::{Mistake, Mistakes, Source};
use super::model::Config;
use super::tenant;

/// Reads every `*.toml` in a directory, one tenant each. Answers the warnings beside it.
///
/// # Errors
/// Every mistake in every file, at once.
pub fn load(directory: &Path) -> Result<(Config, Vec<Mistake>), Mistakes> {
    let one = |mistake| Mistakes(vec![mistake]);
    let unreadable = |error: std::io::Error| {
        one(
            Mistake::nowhere(format!("cannot read {}: {error}", directory.display()))
                .help("--config names a directory that holds one TOML file for each tenant"),
        )
    };
    let mut paths = vec![];
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(one(Mistake::nowhere(format!(
            "{} holds no file that ends in .toml",
            directory.display()
        ))
        .help("write one file for each tenant; examples/ has one to copy")));
    }
    let mut tenants = vec![];
    let mut mistakes = vec![];
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let (tenant, found) = tenant::read(Arc::new(Source { path, text }));
                tenants.extend(tenant);
                mistakes.extend(found);
            }
            Err(error) => {
                mistakes.push(Mistake::nowhere(format!(
                    "cannot read {}: {error}",
                    path.display()
                )));
            }
        }
    }
    let config = Config { tenants };
    mistakes.extend(stdin_twice(&config));
    if mistakes.iter().any(|mistake| !mistake.is_warning()) {
        return Err(Mistakes(mistakes));
    }
    Ok((config, mistakes))
}

/// Two readers of one standard input would each get half of it.
fn stdin_twice(config: &Config) -> Option<Mistake> {
    let mut readers = config.tenants.iter().flat_map(|tenant| {
        tenant
            .exports
            .iter()
            .filter(|export| matches!(export.spec.changes, Some(super::ChangesFrom::Stdin(_))))
            .map(move |export| (tenant, export))
    });
    readers.next()?;
    let (tenant, export) = readers.next()?;
    Some(Mistake::new(
        &tenant.source,
        export.spans.changes.clone(),
        "only one export can read changes from standard input",
    ))
}
