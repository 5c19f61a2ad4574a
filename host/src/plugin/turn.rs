//! Turns at computing: of an export's calls that take long, one computes at a time. So an export
//! whose plugin burns CPU takes no more of it the more lanes it has, and the others keep theirs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the calls of one export share.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// One call's place among them. A call begins without a turn: most are done before they need one.
#[derive(Clone)]
pub(super) struct Turn {
    turns: Turns,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Turn {
    pub(super) fn of(turns: &Turns) -> Self {
        Self {
            turns: turns.clone(),
            held: Arc::default(),
        }
    }

    /// Lets everybody else go first, then waits for a turn. The end of the call gives it back.
    pub(super) async fn next(self) {
        self.release();
        tokio::task::yield_now().await;
        // Nobody closes it.
        let turn = self.turns.0.clone().acquire_owned().await.ok();
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// Gives the turn back: for whoever waits for something else than to compute.
    pub(super) fn release(&self) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_turn_is_had_by_one_at_a_time_and_ends_with_its_call() {
        let turns = Turns::default();
        let (one, other) = (Turn::of(&turns), Turn::of(&turns));
        one.clone().next().await;
        let mut waiting = std::pin::pin!(other.clone().next());
        for _ in 0..3 {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        drop(one);
        waiting.await;
        let third = Turn::of(&turns);
        other.release();
        third.next().await;
    }
}
