//! The account's own time, in milliseconds since its start.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockMode {
    /// Simulated time runs with the wall's.
    Real,
    /// Simulated time stands still until it is advanced.
    Manual,
}

#[derive(Debug)]
pub(crate) struct Clock {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: ClockMode,
    base_ms: u64,
    /// When `base_ms` was true; of use in real mode only.
    since: Instant,
}

impl State {
    fn now(&self) -> u64 {
        match self.mode {
            ClockMode::Real => self.base_ms + self.since.elapsed().as_millis() as u64,
            ClockMode::Manual => self.base_ms,
        }
    }
}

impl Clock {
    pub(crate) fn new(mode: ClockMode) -> Self {
        Self {
            state: Mutex::new(State {
                mode,
                base_ms: 0,
                since: Instant::now(),
            }),
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        crate::lock(&self.state).now()
    }

    pub(crate) fn mode(&self) -> ClockMode {
        crate::lock(&self.state).mode
    }

    pub(crate) fn set(&self, mode: Option<ClockMode>, advance_ms: u64) {
        let mut state = crate::lock(&self.state);
        *state = State {
            mode: mode.unwrap_or(state.mode),
            base_ms: state.now() + advance_ms,
            since: Instant::now(),
        };
        drop(state);
        self.changed.send_replace(());
    }

    pub(crate) async fn reached(&self, due_ms: u64) {
        let mut changed = self.changed.subscribe();
        loop {
            let state = *crate::lock(&self.state);
            let now = state.now();
            if now >= due_ms {
                return;
            }
            let wait = match state.mode {
                ClockMode::Real => Duration::from_millis(due_ms - now),
                // Ended by a change of the clock; the limit only keeps the timer's arithmetic sane.
                ClockMode::Manual => Duration::from_secs(86_400),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changed.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_it_is_told_to() {
        let clock = Clock::new(ClockMode::Manual);
        let mut waiting = std::pin::pin!(clock.reached(3_600_000));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        clock.set(None, 3_599_999);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        clock.set(None, 1);
        waiting.await;
        assert_eq!(clock.now(), 3_600_000);
    }

    #[tokio::test]
    async fn a_real_clock_runs_by_itself_and_can_be_pushed() {
        let clock = Clock::new(ClockMode::Real);
        clock.reached(5).await;
        assert!(clock.now() >= 5);
        clock.set(None, 10_000);
        assert!(clock.now() >= 10_005);
    }
}
