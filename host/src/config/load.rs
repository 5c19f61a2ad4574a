//! Reading the configuration directory.

use std::path::Path;
use std::sync::Arc;

use super::mistake::{Mistake, Mistakes, Source};
use super::model::{Config, Tenant};
use super::tenant;

/// Reads every `*.toml` in a directory, one tenant each. Answers every mistake and warning beside it:
/// a tenant whose file holds a mistake is left out, and harms no other.
///
/// # Errors
/// The directory cannot be read, or holds no such file.
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
        // Names with a dot in front are editors', and ours: they are no tenants.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let toml = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        if toml && !hidden {
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
    let mut config = Config {
        tenants: vec![],
        left_out: vec![],
    };
    let mut mistakes = vec![];
    let mut has_stdin = false;
    for path in paths {
        let id = tenant::id(&path);
        let (tenant, mut found) = match std::fs::read_to_string(&path) {
            Ok(text) => tenant::read(Arc::new(Source { path, text })),
            Err(error) => {
                let title = format!("cannot read {}: {error}", path.display());
                (None, vec![Mistake::nowhere(title)])
            }
        };
        found.extend(
            tenant
                .iter()
                .flat_map(|tenant| stdin_again(tenant, &mut has_stdin)),
        );
        let good = found.iter().all(Mistake::is_warning);
        mistakes.extend(found);
        match tenant {
            Some(tenant) if good => config.tenants.push(tenant),
            _ => config.left_out.push(id),
        }
    }
    Ok((config, mistakes))
}

/// Two readers of one standard input would each get half of it: the second one is a mistake.
fn stdin_again(tenant: &Tenant, has_stdin: &mut bool) -> Vec<Mistake> {
    let readers = tenant
        .exports
        .iter()
        .filter(|export| matches!(export.spec.changes, Some(super::ChangesFrom::Stdin(_))));
    readers
        .filter(|_| std::mem::replace(has_stdin, true))
        .map(|export| {
            Mistake::new(
                &tenant.source,
                export.spans.changes.clone(),
                "only one export can read changes from standard input",
            )
        })
        .collect()
}
