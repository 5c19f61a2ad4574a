//! Watching a swap until it has ended everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluice::export::{SwapOutcome, Versions};
use sluice::store::Store;

use super::exit::Exit;

/// How often stores are looked at. A person does not notice it.
const LOOK: Duration = Duration::from_millis(300);

/// Tells how a swap goes on in these exports, until it has ended in all of them. If it is not waited for,
/// or nobody works on an export, it says only what is to be expected.
pub async fn follow(exports: &[(String, PathBuf)], swap: &str, detach: bool) -> Exit {
    if detach {
        println!("wanted; `sluice status` shows how it goes");
        return Exit::Fine;
    }
    let mut said = BTreeMap::<&str, String>::new();
    let mut unreadable = BTreeSet::new();
    let mut worst = Exit::Fine;
    loop {
        let mut open = false;
        for (name, directory) in exports {
            let read = Store::open_read_only(directory).and_then(|store| store.versions());
            let versions = match read {
                Ok(versions) => versions,
                Err(error) => {
                    // How it goes on there is for `status` to say, once it can be read.
                    if unreadable.insert(name) {
                        eprintln!("error: {name}: its store cannot be read any more: {error}");
                    }
                    continue;
                }
            };
            let (line, ended) = match versions.as_ref().and_then(|one| told(one, swap)) {
                Some((line, outcome)) => (line, outcome),
                None if works(directory) => ("has not taken it up yet".to_owned(), None),
                None => {
                    let line = "nobody works on it: it is swapped once sluice runs".to_owned();
                    (line, Some(SwapOutcome::Promoted))
                }
            };
            open |= ended.is_none();
            if said.get(name.as_str()) != Some(&line) {
                println!("{name}: {line}");
                said.insert(name, line);
                if matches!(ended, Some(SwapOutcome::RolledBack | SwapOutcome::Refused)) {
                    worst = Exit::Swap;
                }
            }
        }
        if !open {
            return match (worst, unreadable.is_empty()) {
                (Exit::Fine, false) => Exit::Unforeseen,
                (worst, _) => worst,
            };
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// How far a swap is in one export, and how it has ended.
fn told(versions: &Versions, id: &str) -> Option<(String, Option<SwapOutcome>)> {
    if let Some(swap) = &versions.swap
        && swap.id == id
    {
        let line = match swap.decided {
            true => "decided; it waits for the scan to end".to_owned(),
            false => format!(
                "canary, {} of {} batches (the old version had {})",
                swap.new.batches, swap.plan.batches, swap.old.batches
            ),
        };
        return Some((line, None));
    }
    let last = versions.last.as_ref()?;
    if last.id == id {
        let line = format!("{}: {}", last.outcome.name(), last.why);
        return Some((line, Some(last.outcome)));
    }
    // A later one took its place.
    (last.id.as_str() > id).then(|| {
        (
            "a newer swap took its place".to_owned(),
            Some(SwapOutcome::RolledBack),
        )
    })
}

/// Whether a process works on this store.
fn works(directory: &Path) -> bool {
    Store::is_worked_on(directory)
}
