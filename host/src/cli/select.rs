//! Loading the configuration, and finding an export by what was typed.

use std::io::IsTerminal;

use sluice::config::{Config, ExportConfig, Mistake, Mistakes, load};

use super::args::Where;
use super::exit::Exit;

/// Loads it; shows warnings and mistakes.
pub fn configuration(place: &Where) -> Result<Config, Exit> {
    match load(&place.config) {
        Ok((config, warnings)) => {
            show(&warnings);
            Ok(config)
        }
        Err(Mistakes(mistakes)) => {
            show(&mistakes);
            Err(Exit::Configuration)
        }
    }
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
        1 => eprintln!("1 mistake; nothing was started."),
        n => eprintln!("{n} mistakes; nothing was started."),
    }
}

/// The export that was named.
pub fn export<'c>(config: &'c Config, name: &str) -> Result<&'c ExportConfig, Exit> {
    let all = || config.tenants.iter().flat_map(|tenant| &tenant.exports);
    let full = |export: &ExportConfig| export.spec.name();
    let found: Vec<_> = all()
        .filter(|export| full(export) == name || export.spec.id == name)
        .collect();
    if let [one] = found.as_slice() {
        return Ok(one);
    }
    let names: Vec<_> = if found.is_empty() {
        all().map(full).collect()
    } else {
        found.into_iter().map(full).collect()
    };
    eprintln!(
        "error: there is no one export `{name}`; there are: {}",
        names.join(", ")
    );
    Err(Exit::Configuration)
}
