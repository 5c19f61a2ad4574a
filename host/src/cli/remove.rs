//! `sluice plugin remove`.

use sluice::registry::{Registry, RegistryError, short};

use super::args::RemoveArgs;
use super::exit::Exit;
use super::{logs, select, stores};

pub fn remove(args: &RemoveArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    if !config.left_out.is_empty() {
        eprintln!(
            "error: what these tenants use is not known for the mistakes in their files: {}. Mend them, \
             and try once more; nothing was taken away",
            config.left_out.join(", ")
        );
        return Ok(Exit::Configuration);
    }
    let registry = Registry::at(&args.place.data());
    let (sha256, what) = match registry.find(&args.which) {
        Ok(found) => found,
        Err(error) => return Ok(refused(&error)),
    };
    let users = match registry.in_use(&config) {
        Ok(mut users) => {
            stores::add_users(&mut users, &config, &args.place)?;
            users.remove(&sha256).unwrap_or_default()
        }
        Err(error) => return Ok(refused(&error)),
    };
    if !users.is_empty() {
        let users: Vec<_> = users.into_iter().collect();
        eprintln!(
            "error: {what} is used by {}; have these run another version first (`sluice plugin swap`, \
             `plugin pin`, or `plugin = …` in the configuration)",
            users.join(", ")
        );
        return Ok(Exit::Plugin);
    }
    match registry.remove(&sha256) {
        Ok(()) => {
            println!("removed  {what}, SHA-256 {}", short(&sha256));
            Ok(Exit::Fine)
        }
        Err(error) => Ok(refused(&error)),
    }
}

/// Shows why the registry does not do it.
pub fn refused(error: &RegistryError) -> Exit {
    match error.help() {
        Some(help) => eprintln!("error: {error}; {help}"),
        None => eprintln!("error: {error}"),
    }
    Exit::Plugin
}
