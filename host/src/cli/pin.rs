//! `sluice plugin pin`.

use sluice::registry::{Registry, short};

use super::args::{PinArgs, Where};
use super::exit::Exit;
use super::{logs, remove};

pub fn pin(args: &PinArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    Ok(point(&args.place, &args.name, &args.which, &args.channel))
}

/// Lets a channel point at a version, and says so.
pub fn point(place: &Where, name: &str, version: &str, channel: &str) -> Exit {
    match Registry::at(&place.data()).pin(name, version, channel) {
        Ok(entry) => {
            let sha256 = short(&entry.sha256);
            println!("pinned  {name}, channel {channel}: {version}, SHA-256 {sha256}");
            Exit::Fine
        }
        Err(error) => remove::refused(&error),
    }
}
