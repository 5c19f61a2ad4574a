//! Kills the program at the boundary of an effect, and takes what a power failure takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use super::dice::Dice;

thread_local! {
    /// A simulation keeps to its thread, and so does its killer.
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

struct State {
    /// How many steps there are until the end; `None` for a life in which nobody is killed.
    left: Option<u64>,
    dead: bool,
    struck: Arc<Notify>,
    dice: Dice,
    /// How much of each file is synced.
    synced: BTreeMap<PathBuf, u64>,
}

/// The killer of this thread's simulation.
pub(crate) struct Killer;

/// The killer, if this thread simulates.
pub(crate) fn killer() -> Option<Killer> {
    STATE.with_borrow(|state| state.is_some()).then_some(Killer)
}

/// Notes that so much of a file is synced.
pub(crate) fn synced(path: &Path, bytes: u64) {
    STATE.with_borrow_mut(|state| {
        if let Some(state) = state {
            state.synced.insert(path.to_owned(), bytes);
        }
    });
}

fn with<R>(what: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(|state| what(state.as_mut().expect("nobody simulates")))
}

impl Killer {
    /// Begins a simulation on this thread.
    pub fn begin(seed: u64) {
        STATE.set(Some(State {
            left: None,
            dead: false,
            struck: Arc::default(),
            dice: Dice::new(seed),
            synced: BTreeMap::new(),
        }));
    }

    /// Ends it.
    pub fn end() {
        STATE.set(None);
    }

    /// Lets a life begin that ends after so many steps.
    pub fn arm(left: Option<u64>) -> Arc<Notify> {
        with(|state| {
            state.left = left;
            state.dead = false;
            state.struck = Arc::default();
            state.struck.clone()
        })
    }

    /// The life that is lived ends after so many steps from now on.
    pub fn strike(&self, after: u64) {
        with(|state| state.left = Some(after));
    }

    /// One step: other tasks get their turn, and the program may end here.
    pub async fn pass(&self) {
        for _ in 0..with(|state| state.dice.below(3)) {
            tokio::task::yield_now().await;
        }
        let dead = with(|state| {
            if let Some(left) = &mut state.left {
                *left = left.saturating_sub(1);
                state.dead |= *left == 0;
            }
            if state.dead {
                state.struck.notify_one();
            }
            state.dead
        });
        if dead {
            std::future::pending::<()>().await;
        }
    }

    /// What a power failure does to a folder: of what was written after the last sync some is
    /// there, some is not, and some is rubbish.
    pub fn lose_unsynced(folder: &Path) {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return;
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let length = std::fs::metadata(&path).unwrap().len();
            let (kept, rubbish) = with(|state| {
                let safe = state.synced.get(&path).copied().unwrap_or(0).min(length);
                let kept = safe + state.dice.below(length - safe + 1);
                (kept, kept < length && state.dice.percent(30))
            });
            let mut file = OpenOptions::new().write(true).open(&path).unwrap();
            if rubbish {
                file.seek(SeekFrom::Start(kept)).unwrap();
                file.write_all(&vec![0; (length - kept) as usize]).unwrap();
            } else {
                file.set_len(kept).unwrap();
            }
        }
    }
}
