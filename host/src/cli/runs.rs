//! Which exports run a plugin: what their stores say, whatever the configuration leads to by now.

use std::path::{Path, PathBuf};

use sluice::config::Config;
use sluice::deploy::{directory, stores_of};
use sluice::export::Versions;
use sluice::store::{Store, StoreError};

use super::args::Where;
use super::exit::Exit;

/// An export that runs it.
pub struct Runs {
    /// As `tenant/export`.
    pub name: String,
    /// The folder of its store.
    pub directory: PathBuf,
    pub versions: Versions,
}

/// All that do, and what else there is.
pub struct Found {
    pub runs: Vec<Runs>,
    /// How the command ends at best: something else than `Fine` if an export that does, or may, is left out.
    pub at_best: Exit,
    /// Exports that have not run yet.
    pub unborn: Vec<String>,
    /// Names of plugins that other exports run.
    others: Vec<String>,
}

/// Looks into the store of every export. What has to be left out is named, with the reason.
pub fn find(config: &Config, place: &Where, plugin: &str) -> Found {
    let mut found = Found {
        runs: vec![],
        at_best: Exit::Fine,
        unborn: vec![],
        others: vec![],
    };
    let data = place.data();
    for export in config.tenants.iter().flat_map(|tenant| &tenant.exports) {
        let (name, directory) = (export.spec.name(), directory(&data, export));
        match versions(&directory) {
            Ok(None) => found.unborn.push(name),
            Ok(Some(versions)) if versions.active.name == plugin => found.runs.push(Runs {
                name,
                directory,
                versions,
            }),
            Ok(Some(versions)) => found.others.push(versions.active.name),
            Err(error) => found.unreadable(&name, &error),
        }
    }
    for tenant in &config.left_out {
        found.look_at(&data, tenant, plugin);
    }
    found
}

impl Found {
    /// An export is not part of it.
    pub fn leave_out(&mut self, export: &str, why: &str, ends: Exit) {
        eprintln!("error: {export} is left out: {why}");
        // The first reason is as good as any other.
        if self.at_best == Exit::Fine {
            self.at_best = ends;
        }
    }

    fn unreadable(&mut self, export: &str, error: &StoreError) {
        let why = format!("its store cannot be read, so what it runs is not known: {error}");
        self.leave_out(export, &why, Exit::Unforeseen);
    }

    /// Looks at what a tenant runs whose file holds a mistake.
    fn look_at(&mut self, data: &Path, tenant: &str, plugin: &str) {
        let stores = match stores_of(data, tenant) {
            Ok(stores) => stores,
            Err(error) => {
                let why = format!("what it runs is not known: {error}");
                return self.leave_out(&format!("tenant {tenant}"), &why, Exit::Unforeseen);
            }
        };
        for (name, directory) in stores {
            match versions(&directory) {
                Ok(Some(versions)) if versions.active.name == plugin => {
                    let why = "it runs the plugin, and its tenant's file holds mistakes";
                    self.leave_out(&name, why, Exit::Configuration);
                }
                Ok(_) => {}
                Err(error) => self.unreadable(&name, &error),
            }
        }
    }

    /// Says that there is nobody to be told; answers the exit code.
    pub fn nobody(mut self, plugin: &str) -> Exit {
        if self.at_best != Exit::Fine {
            return self.at_best;
        }
        self.others.sort();
        self.others.dedup();
        let others = match self.others.as_slice() {
            [] => "no export has run yet".to_owned(),
            names => format!("exports run: {}", names.join(", ")),
        };
        eprintln!("error: no export runs a plugin named `{plugin}`; {others}");
        Exit::Configuration
    }
}

fn versions(directory: &Path) -> Result<Option<Versions>, StoreError> {
    match Store::exists(directory) {
        true => Store::open_read_only(directory)?.versions(),
        false => Ok(None),
    }
}
