//! What the endpoint knows: the exports, and whether the process is on its way up or down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::process::Process;
use super::text::{self, Scene, Seen};
use crate::export::Observer;

/// Metrics are made anew after this at the earliest, however many ask.
const FRESH: Duration = Duration::from_secs(1);

/// And after so many times what it took to make them: large logs take long to count, and metrics
/// are to take no more than a twentieth of a processor.
const REST: u32 = 20;

/// What is shown. The program tells it what it does; the endpoint reads it.
#[derive(Debug)]
pub struct Board {
    began: SystemTime,
    exports: Mutex<Vec<Observer>>,
    left_out: Mutex<Vec<String>>,
    started: AtomicBool,
    stopping: AtomicBool,
    made: tokio::sync::Mutex<Option<Made>>,
}

/// Metrics that were made.
#[derive(Debug)]
struct Made {
    at: Instant,
    took: Duration,
    text: String,
}

/// Whether every export works, and which does not.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Readiness {
    pub ready: bool,
    /// `starting`, `running` or `stopping`.
    pub process: &'static str,
    /// Exports that have ended by themselves: their store failed.
    pub failed: Vec<String>,
    /// Exports, or whole tenants, that could not be started for what is wrong with them.
    pub left_out: Vec<String>,
    /// Exports that wait for a person. They accept changes, so that the process is ready all the same.
    pub parked: Vec<String>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            began: SystemTime::now(),
            exports: Mutex::default(),
            left_out: Mutex::default(),
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            made: tokio::sync::Mutex::default(),
        }
    }
}

impl Board {
    /// One more export is started.
    pub fn add(&self, export: Observer) {
        hold(&self.exports).push(export);
    }

    /// An export, or a whole tenant, cannot be started.
    pub fn leave_out(&self, name: &str) {
        hold(&self.left_out).push(name.to_owned());
    }

    /// All that can be started is.
    pub fn started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// The process was asked to stop, or is done.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether every export that should run does.
    pub(super) fn readiness(&self) -> Readiness {
        let said = |word: &AtomicBool| word.load(Ordering::Relaxed);
        let process = match (said(&self.started), said(&self.stopping)) {
            (_, true) => "stopping",
            (false, _) => "starting",
            (true, _) => "running",
        };
        let exports = hold(&self.exports).clone();
        let named = |which: fn(&Observer) -> bool| {
            exports
                .iter()
                .filter(|export| which(export))
                .map(Observer::name)
                .collect()
        };
        let failed: Vec<_> = named(Observer::has_ended);
        let parked = named(Observer::is_parked);
        let left_out = hold(&self.left_out).clone();
        Readiness {
            ready: process == "running" && failed.is_empty() && left_out.is_empty(),
            process,
            failed,
            left_out,
            parked,
        }
    }

    /// The metrics, at most a little old. Whoever asks while they are made waits for the same.
    pub(super) async fn metrics(&self) -> String {
        let mut made = self.made.lock().await;
        if let Some(made) = &*made
            && made.at.elapsed() < FRESH.max(made.took * REST)
        {
            return made.text.clone();
        }
        let (exports, began) = (hold(&self.exports).clone(), self.began);
        let begun = Instant::now();
        let text = tokio::task::spawn_blocking(move || text::text(&look(exports, began))).await;
        let text = match text {
            Ok(text) => text,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        *made = Some(Made {
            at: Instant::now(),
            took: begun.elapsed(),
            text: text.clone(),
        });
        text
    }
}

fn hold<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(exports: Vec<Observer>, began: SystemTime) -> Scene {
    let seen = |export: Observer| {
        let observed = export.read();
        if let Err(error) = &observed {
            tracing::debug!(export = %export.name(), %error, "no metrics from its store");
        }
        Seen {
            up: !export.has_ended(),
            observed: observed.ok(),
            export,
        }
    };
    Scene {
        exports: exports.into_iter().map(seen).collect(),
        process: Process::now(),
        began,
        now_ms: jiff::Timestamp::now().as_millisecond(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_once_all_exports_are_started_and_until_one_has_failed() {
        let board = Board::default();
        let readiness = board.readiness();
        assert_eq!((readiness.ready, readiness.process), (false, "starting"));
        // Nobody runs this one: its end came without a word.
        board.add(Observer::of("acme", "vip", "p", "1"));
        board.started();
        let readiness = board.readiness();
        assert_eq!((readiness.ready, readiness.process), (false, "running"));
        assert_eq!(readiness.failed, ["acme/vip"]);
        // A store that cannot be read costs its own metrics, and nobody else's.
        let text = board.metrics().await;
        assert!(
            text.contains("sluice_export_up{tenant=\"acme\",export=\"vip\"} 0"),
            "{text}"
        );
        assert!(text.contains("sluice_build_info"));

        let board = Board::default();
        board.started();
        assert!(board.readiness().ready);
        board.leave_out("acme/other");
        let readiness = board.readiness();
        assert!(!readiness.ready);
        assert_eq!(readiness.left_out, ["acme/other"]);
        board.stopping();
        assert_eq!(
            (board.readiness().ready, board.readiness().process),
            (false, "stopping")
        );
    }
}
