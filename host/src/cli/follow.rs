//! Watching a swap until it has ended everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sluice::export::{SwapOutcome, Versions, Wanted};
use sluice::store::{Store, StoreError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;

/// How often stores are looked at. A person does not notice it.
const LOOK: Duration = Duration::from_millis(300);

/// A swap that was handed over.
pub struct Following {
    plugin: String,
    id: String,
    interrupt: Signal,
    terminate: Signal,
}

impl Following {
    /// From now on Ctrl-C and SIGTERM end nothing by themselves: what was handed over goes on, and whoever
    /// handed it over is told so.
    pub fn new(plugin: &str, id: &str) -> anyhow::Result<Self> {
        Ok(Self {
            plugin: plugin.to_owned(),
            id: id.to_owned(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Tells how the swap goes on in these exports, until it has ended in all of them. If it is not waited for,
    /// or nobody works on an export, it says only what is to be expected.
    pub async fn until_ended(mut self, exports: &[(String, PathBuf)], detach: bool) -> Exit {
        if detach {
            println!("wanted; {}", self.help());
            return Exit::Fine;
        }
        tokio::select! {
            ended = watch(exports, &self.id) => ended,
            _ = self.interrupt.recv() => self.left(),
            _ = self.terminate.recv() => self.left(),
        }
    }

    /// Whoever waited has gone. How it ends is not known.
    fn left(&self) -> Exit {
        eprintln!(
            "stopped waiting; the swap goes on without this command: {}",
            self.help()
        );
        Exit::Unforeseen
    }

    fn help(&self) -> String {
        format!(
            "`sluice status` shows how it goes, `sluice plugin rollback {}` withdraws it, or rolls it back once \
             it has begun",
            self.plugin
        )
    }
}

async fn watch(exports: &[(String, PathBuf)], swap: &str) -> Exit {
    let mut said = BTreeMap::<&str, String>::new();
    let mut unreadable = BTreeSet::new();
    let mut worst = Exit::Fine;
    loop {
        let mut open = false;
        for (name, directory) in exports {
            let (line, ended) = match seen(directory, swap) {
                Ok(seen) => seen,
                Err(error) => {
                    // How it goes on there is for `status` to say, once it can be read.
                    if unreadable.insert(name) {
                        eprintln!("error: {name}: its store cannot be read any more: {error}");
                    }
                    continue;
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
type Seen = (String, Option<SwapOutcome>);

fn seen(directory: &Path, swap: &str) -> Result<Seen, StoreError> {
    let store = Store::open_read_only(directory)?;
    // In this order: what is wanted no more has come to something that is recorded.
    let wanted = store.versions_wanted()?;
    let waits = |wanted: &Wanted| matches!(wanted, Wanted::Begin { id, .. } if id == swap);
    let waits = wanted.iter().filter_map(|(_, one)| one.as_ref()).any(waits);
    if let Some(told) = store.versions()?.and_then(|one| told(&one, swap)) {
        return Ok(told);
    }
    Ok(match (waits, Store::is_worked_on(directory)) {
        (true, true) => ("has not taken it up yet".to_owned(), None),
        (true, false) => {
            let line = "nobody works on it: it is swapped once sluice runs".to_owned();
            (line, Some(SwapOutcome::Promoted))
        }
        (false, _) => {
            let line = "withdrawn by an operator before it had begun".to_owned();
            (line, Some(SwapOutcome::RolledBack))
        }
    })
}

fn told(versions: &Versions, id: &str) -> Option<Seen> {
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
