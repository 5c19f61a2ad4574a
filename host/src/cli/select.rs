//! Loading the configuration, and finding an export by what was typed.

use std::io::IsTerminal;

use sluice::config::{Config, ExportConfig, Mistake, Mistakes, load};
use sluice::deploy::{Demand, Deployed, Deployment, deploy};
use sluice::plugin::LoadLimits;

use super::args::{Loading, Where};
use super::engine;
use super::exit::Exit;

/// Loads it; shows warnings and mistakes. What is answered are the tenants whose files hold none, if
/// there is one: a mistake in one tenant's file harms no other.
pub fn configuration(place: &Where) -> Result<Config, Exit> {
    match load(&place.config) {
        Ok((config, mistakes)) => {
            show(&mistakes);
            match config.tenants.is_empty() {
                true => Err(Exit::Configuration),
                false => Ok(config),
            }
        }
        Err(Mistakes(mistakes)) => {
            show(&mistakes);
            Err(Exit::Configuration)
        }
    }
}

/// The largest limits of loading that any authorization grants: for commands that keep or try a plugin
/// before it is known who will run it. Mistakes are shown by those who run it.
pub fn largest(place: &Where) -> LoadLimits {
    let mut largest = LoadLimits::default();
    let Ok((config, _)) = load(&place.config) else {
        return largest;
    };
    for tenant in &config.tenants {
        for authorization in tenant.authorizations.values() {
            largest = largest.or_larger(&authorization.load_limits);
        }
    }
    largest
}

/// Shows mistakes, and how many there are.
pub fn show(mistakes: &[Mistake]) {
    let colours = std::io::stderr().is_terminal();
    for mistake in mistakes {
        eprintln!("{}\n", mistake.render(colours));
    }
    let errors = mistakes
        .iter()
        .filter(|mistake| !mistake.is_warning())
        .count();
    match errors {
        0 => {}
        1 => eprintln!("1 mistake."),
        n => eprintln!("{n} mistakes."),
    }
}

/// The export that was named.
pub fn export<'c>(config: &'c Config, name: &str) -> Result<&'c ExportConfig, Exit> {
    let all = || config.tenants.iter().flat_map(|tenant| &tenant.exports);
    let found: Vec<_> = all()
        .filter(|export| export.spec.name() == name || export.spec.id == name)
        .collect();
    if let [one] = found.as_slice() {
        return Ok(one);
    }
    let list = |exports: &[&ExportConfig]| {
        exports
            .iter()
            .map(|export| export.spec.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if found.is_empty() {
        let all: Vec<_> = all().collect();
        eprintln!(
            "error: there is no export `{name}`; there are: {}{}",
            list(&all),
            match config.left_out.as_slice() {
                [] => String::new(),
                out => format!(
                    ". Left out for the mistakes in their files: {}",
                    out.join(", ")
                ),
            }
        );
    } else {
        eprintln!("error: `{name}` could be any of: {}", list(&found));
    }
    Err(Exit::Configuration)
}

/// The export that was named, ready for everything but sending.
pub async fn prepared(place: &Loading, name: &str) -> Result<Deployed, Exit> {
    let config = configuration(place)?;
    let export = export(&config, name)?;
    let (engine, data) = (engine::looking(place), place.data());
    let deployment = deploy(&engine, &config, &data, Demand::Preview, |other| {
        (&other.spec.tenant, &other.spec.id) == (&export.spec.tenant, &export.spec.id)
    });
    let mut deployment = deployment.await;
    let wrong = show_wrong(&deployment);
    // Whoever is neither ready nor wrong is not there.
    match (wrong, deployment.deployed.pop()) {
        (Exit::Fine, deployed) => deployed.ok_or(Exit::Unforeseen),
        (wrong, _) => Err(wrong),
    }
}

/// Shows what is wrong with a deployment; answers the exit code that says so.
pub fn show_wrong(deployment: &Deployment) -> Exit {
    let all: Vec<_> = deployment
        .mistakes
        .iter()
        .chain(&deployment.unloadable)
        .cloned()
        .collect();
    show(&all);
    match (&*deployment.mistakes, &*deployment.unloadable) {
        ([], []) => Exit::Fine,
        ([], _) => Exit::Plugin,
        _ => Exit::Configuration,
    }
}
