//! `sluice source accept`: a person's word that the present file of changes takes the place of the
//! one that was read.

use anyhow::bail;
use sluice::config::ChangesFrom;
use sluice::deploy::directory;
use sluice::source::anew;
use sluice::store::Store;

use super::args::AcceptArgs;
use super::exit::Exit;
use super::{logs, select};

/// Under which name the positions of a file of changes are stored.
const STREAM: &str = "changes";

pub fn accept(args: &AcceptArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let export = match select::export(&config, &args.export) {
        Ok(export) => export,
        Err(exit) => return Ok(exit),
    };
    let name = export.spec.name();
    let Some(ChangesFrom::File(path)) = &export.spec.changes else {
        eprintln!("error: export {name} reads no file of changes, so there is none to accept");
        return Ok(Exit::Configuration);
    };
    let directory = directory(&args.place.data(), export);
    let store = Store::exists(&directory)
        .then(|| Store::open_beside(&directory))
        .transpose()?;
    let accepted = match &store {
        Some(store) => store.position(STREAM)?,
        None => None,
    };
    let (Some(store), Some(accepted)) = (store, accepted) else {
        println!(
            "{name}: nothing of {} was accepted yet; it is read from its beginning",
            path.display()
        );
        return Ok(Exit::Fine);
    };
    let Some(anew) = anew(path, &accepted)? else {
        println!(
            "{name}: {} goes on where it was; nothing was changed",
            path.display()
        );
        return Ok(Exit::Fine);
    };
    if !store.move_position(STREAM, &accepted, anew.position.as_deref())? {
        bail!("export {name} has gone on meanwhile; nothing was changed. Look at `sluice status`");
    }
    let before = anew.accepted.map_or(String::new(), |(bytes, lines)| {
        format!(" Of the old file {bytes} bytes ({lines} lines) were accepted; the rest of it is given up.")
    });
    println!(
        "{name}: {} is read from its beginning from now on.{before}",
        path.display()
    );
    Ok(Exit::Fine)
}
