//! `sluice plugin promote` and `rollback`. Each says of which swap it speaks, as this process has seen it: what
//! comes late is nothing to the next one.

use sluice::export::Wanted;
use sluice::store::{Store, StoreError};

use super::args::DecideArgs;
use super::exit::Exit;
use super::runs::{self, Runs};
use super::stores::now_ms;
use super::{logs, select};

/// How a swap is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Promote,
    RollBack,
}

pub fn decide(args: &DecideArgs, decision: Decision) -> Exit {
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
        match tell(&one, decision) {
            Ok(lines) => {
                told += lines.len();
                lines
                    .iter()
                    .for_each(|line| println!("{}: {line}", one.name));
            }
            Err(error) => {
                let why = format!("its store cannot be written: {error}");
                found.leave_out(&one.name, &why, Exit::Unforeseen);
            }
        }
    }
    if told == 0 && found.at_best == Exit::Fine {
        let undone = match decision {
            Decision::Promote => "",
            Decision::RollBack => ", and no version worked before the one that works now",
        };
        eprintln!("error: no swap of {} is under way{undone}", args.name);
        return Exit::Swap;
    }
    found.at_best
}

/// Tells one export; answers what comes of it.
fn tell(one: &Runs, decision: Decision) -> Result<Vec<String>, StoreError> {
    let (store, now) = (Store::open_beside(&one.directory)?, now_ms());
    let withdrawn = match decision {
        Decision::Promote => vec![],
        Decision::RollBack => store.withdraw_swaps(now)?,
    };
    let mut lines: Vec<_> = withdrawn
        .iter()
        .map(|to| format!("the swap to {to} is withdrawn; it had not begun"))
        .collect();
    // Only now: whatever could not be withdrawn any more has begun by now.
    let Some(versions) = store.versions()? else {
        return Ok(lines);
    };
    let (wanted, what) = match (versions.swap, versions.before, decision) {
        (Some(swap), _, Decision::Promote) => {
            let what = format!("{} is promoted", swap.to);
            (
                Wanted::Promote {
                    swap: Some(swap.id),
                },
                what,
            )
        }
        (Some(swap), _, Decision::RollBack) => {
            let what = format!("{} is rolled back", swap.to);
            (
                Wanted::RollBack {
                    swap: Some(swap.id),
                },
                what,
            )
        }
        (None, Some(before), Decision::RollBack) if lines.is_empty() => {
            let from = versions.active.sha256;
            (Wanted::GoBack { from }, format!("goes back to {before}"))
        }
        (None, ..) => return Ok(lines),
    };
    store.want_version(&wanted, now)?;
    lines.push(what);
    Ok(lines)
}
