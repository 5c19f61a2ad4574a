//! What the endpoint knows: the exports, and whether the process is on its way up or down.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
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
    exports: OnceLock<Vec<Observer>>,
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
    /// Exports that wait for a person. They accept changes, so that the process is ready all the same.
    pub parked: Vec<String>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            began: SystemTime::now(),
            exports: OnceLock::new(),
            stopping: AtomicBool::new(false),
            made: tokio::sync::Mutex::default(),
        }
    }
}

impl Board {
    /// All exports are started.
    pub fn started(&self, exports: Vec<Observer>) {
        // A second word is a mistake of the program; the first one stays.
        let _ = self.exports.set(exports);
    }

    /// The process was asked to stop, or is done.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether every export that should run does.
    pub(super) fn readiness(&self) -> Readiness {
        let exports = self.exports.get().map(Vec::as_slice);
        let stopping = self.stopping.load(Ordering::Relaxed);
        let process = match exports {
            _ if stopping => "stopping",
            None => "starting",
            Some(_) => "running",
        };
        let named = |which: fn(&Observer) -> bool| {
            let exports = exports.unwrap_or_default().iter();
            exports
                .filter(|export| which(export))
                .map(Observer::name)
                .collect()
        };
        let failed: Vec<_> = named(Observer::has_ended);
        let parked = named(Observer::is_parked);
        Readiness {
            ready: process == "running" && failed.is_empty(),
            process,
            failed,
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
        let (exports, began) = (self.exports.get().cloned(), self.began);
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

fn look(exports: Option<Vec<Observer>>, began: SystemTime) -> Scene {
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
        exports: exports.into_iter().flatten().map(seen).collect(),
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
        board.started(vec![Observer::of("acme", "vip", "p", "1")]);
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
        board.started(vec![]);
        assert!(board.readiness().ready);
        board.stopping();
        assert_eq!(
            (board.readiness().ready, board.readiness().process),
            (false, "stopping")
        );
    }
}
