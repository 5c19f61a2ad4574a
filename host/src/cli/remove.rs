//! `sluice plugin remove`.

use sluice::registry::{Registry, RegistryError, short};
use sluice::store::StoreError;

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
    let users = || {
        let mut users = registry.in_use(&config)?;
        stores::add_users(&mut users, &config, &args.place)?;
        Ok::<_, NotRemoved>(users.remove(&sha256).unwrap_or_default())
    };
    let users = match registry.remove(&sha256, users) {
        Ok(users) => users,
        Err(NotRemoved::Registry(error)) => return Ok(refused(&error)),
        Err(NotRemoved::Store(error)) => {
            eprintln!("error: who uses {what} is not known: {error}; nothing was taken away");
            return Ok(Exit::Unforeseen);
        }
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
    println!("removed  {what}, SHA-256 {}", short(&sha256));
    Ok(Exit::Fine)
}

/// Why a version is still there.
#[derive(Debug, thiserror::Error)]
enum NotRemoved {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows why the registry does not do it; answers the exit code.
pub fn refused(error: &RegistryError) -> Exit {
    match error.help() {
        Some(help) => eprintln!("error: {error}; {help}"),
        None => eprintln!("error: {error}"),
    }
    match error.is_of_the_disk() {
        true => Exit::Unforeseen,
        false => Exit::Plugin,
    }
}
