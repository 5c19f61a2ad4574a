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
            "error: there is no export `{name}`; there are: {}",
            list(&all)
        );
    } else {
        eprintln!("error: `{name}` could be any of: {}", list(&found));
    }
    Err(Exit::Configuration)
}
