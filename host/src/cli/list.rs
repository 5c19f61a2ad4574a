//! `sluice plugin list`.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use sluice::config::{Config, Mistakes, load};
use sluice::registry::{Listed, Registry, Users, short};

use super::args::{VersionsArgs, Where};
use super::exit::Exit;
use super::stores::{self, grouped};
use super::{logs, remove};

/// One version, for programs.
#[derive(Serialize)]
struct Version {
    #[serde(flatten)]
    listed: Listed,
    /// `null`, if that is not known.
    used_by: Option<Vec<String>>,
}

/// Everything, for programs.
#[derive(Serialize)]
struct All {
    versions: Vec<Version>,
    nameless: Vec<Nameless>,
}

/// A component without a name: a swap keeps it, or nobody needs it any more.
#[derive(Serialize)]
struct Nameless {
    sha256: String,
    /// `null`, if that is not known.
    used_by: Option<Vec<String>>,
}

pub fn list(args: &VersionsArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let registry = Registry::at(&args.place.data());
    let index = match registry.list() {
        Ok(index) => index,
        Err(error) => return Ok(remove::refused(&error)),
    };
    let users = match known(&args.place) {
        None => None,
        Some(config) => match registry.in_use(&config) {
            Ok(mut users) => match stores::add_users(&mut users, &config, &args.place) {
                Ok(()) => Some(users),
                Err(error) => {
                    eprintln!("warning: who uses what is not known: {error}");
                    None
                }
            },
            Err(error) => return Ok(remove::refused(&error)),
        },
    };
    let versions = index.versions.into_iter().map(|listed| Version {
        used_by: used_by(users.as_ref(), &listed.entry.sha256),
        listed,
    });
    let all = All {
        versions: versions.collect(),
        nameless: index
            .nameless
            .into_iter()
            .map(|sha256| Nameless {
                used_by: used_by(users.as_ref(), &sha256),
                sha256,
            })
            .collect(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print(&all);
    }
    Ok(Exit::Fine)
}

/// The configuration, if all of it can be read: else nobody knows who uses what.
fn known(place: &Where) -> Option<Config> {
    let why = match load(&place.config) {
        Ok((config, _)) if config.left_out.is_empty() => return Some(config),
        Ok((config, _)) => format!(
            "there are mistakes in the files of {}",
            config.left_out.join(", ")
        ),
        Err(Mistakes(_)) => format!("{} holds no configuration", place.config.display()),
    };
    eprintln!("warning: who uses what is not known: {why}; `sluice check` shows more");
    None
}

fn used_by(users: Option<&Users>, sha256: &str) -> Option<Vec<String>> {
    let of_version = users?.get(sha256);
    Some(of_version.into_iter().flatten().cloned().collect())
}

fn print(all: &All) {
    if all.versions.is_empty() && all.nameless.is_empty() {
        println!("No version is kept; `sluice plugin add FILE` keeps one.");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "plugin",
        "version",
        "sha256",
        "contract",
        "bytes",
        "added",
        "channels",
        "signatures by",
        "used by",
    ]);
    for Version { listed, used_by } in &all.versions {
        let entry = &listed.entry;
        let used_by = used_by.as_ref().map(|users| users.join("\n"));
        table.add_row([
            entry.name.clone(),
            entry.version.clone(),
            short(&entry.sha256).to_owned(),
            entry.contract.clone(),
            grouped(entry.bytes),
            entry.added.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            listed.channels.join("\n"),
            listed.signatures.join("\n"),
            used_by.unwrap_or_else(|| "?".to_owned()),
        ]);
    }
    for Nameless { sha256, used_by } in &all.nameless {
        let users = used_by
            .as_ref()
            .map_or("?".to_owned(), |users| users.join("\n"));
        table.add_row(["(no name)", "", short(sha256), "", "", "", "", "", &users]);
    }
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}
