//! `sluice plugin promote` and `rollback`.

use sluice::export::Wanted;
use sluice::store::{Store, StoreError};

use super::args::DecideArgs;
use super::exit::Exit;
use super::runs::{self, Runs};
use super::stores::now_ms;
use super::{logs, select};

pub fn decide(args: &DecideArgs, wanted: &Wanted) -> Exit {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut found = runs::find(&config, &args.place, &args.name);
    if found.runs.is_empty() {
        return found.nobody(&args.name);
    }
    let mut told = 0;
    for one in std::mem::take(&mut found.runs) {
        match tell(&one, wanted) {
            Ok(None) => {}
            Ok(Some(what)) => {
                println!("{}: {what}", one.name);
                told += 1;
            }
            Err(error) => {
                let why = format!("its store cannot be written: {error}");
                found.leave_out(&one.name, &why, Exit::Unforeseen);
            }
        }
    }
    if told == 0 && found.at_best == Exit::Fine {
        let undone = match wanted {
            Wanted::Promote => "",
            _ => ", and no version worked before the one that works now",
        };
        eprintln!("error: no swap of {} is under way{undone}", args.name);
        return Exit::Swap;
    }
    found.at_best
}

/// Tells one export; answers what comes of it, if anything does.
fn tell(one: &Runs, wanted: &Wanted) -> Result<Option<String>, StoreError> {
    let what = match (&one.versions.swap, &one.versions.before, wanted) {
        (Some(swap), _, Wanted::Promote) => format!("{} is promoted", swap.to),
        (Some(swap), _, _) => format!("{} is rolled back", swap.to),
        (None, Some(before), Wanted::RollBack) => format!("goes back to {before}"),
        (None, ..) => return Ok(None),
    };
    Store::open_beside(&one.directory)?.want_version(wanted, now_ms())?;
    Ok(Some(what))
}
