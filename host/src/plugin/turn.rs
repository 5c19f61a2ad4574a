//! Turns at computing: of an export's calls that take long, one computes at a time, and of all exports
//! together as many as leave one processor free. So whoever burns CPU takes no more of it the more
//! lanes it has, burners share what they burn, and calls that are short always find a thread.

use std::future::poll_fn;
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all exports of a process share: places for calls that take long. Whoever waits gets one in
/// the order of asking, and gives it up after each tick, so they go round.
#[derive(Clone)]
pub(super) struct Slots(Arc<Semaphore>);

impl Slots {
    /// All processors but one; one, if there is no other.
    pub fn of_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new((processors - 1).max(1))))
    }
}

/// What the calls of one export share.
#[derive(Clone)]
pub struct Turns {
    own: Arc<Semaphore>,
    slots: Option<Slots>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            own: Arc::new(Semaphore::new(1)),
            slots: None,
        }
    }
}

impl Turns {
    /// From now on its calls also need one of these.
    pub(super) fn share(&mut self, slots: &Slots) {
        self.slots = Some(slots.clone());
    }
}

/// One call's place among them. A call begins without a turn: most are done before they need one.
#[derive(Clone)]
pub(super) struct Turn {
    turns: Turns,
    held: Arc<Mutex<Vec<OwnedSemaphorePermit>>>,
    /// Whether it waits for a turn.
    in_line: Arc<AtomicBool>,
}

impl Turn {
    pub(super) fn of(turns: &Turns) -> Self {
        Self {
            turns: turns.clone(),
            held: Arc::default(),
            in_line: Arc::default(),
        }
    }

    /// A call of the guest. Whenever it waits for anything but a turn, it gives its turn back: so
    /// whoever sleeps or reads slowly holds up nobody.
    pub(super) async fn during<R>(self, call: impl Future<Output = R>) -> R {
        let mut call = pin!(call);
        poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            if polled.is_pending() && !self.in_line.load(Ordering::Relaxed) {
                self.release();
            }
            polled
        })
        .await
    }

    /// Lets everybody else go first, then waits for a turn. The end of the call gives it back.
    pub(super) async fn next(self) {
        self.release();
        self.in_line.store(true, Ordering::Relaxed);
        tokio::task::yield_now().await;
        // First among its own, so that an export waits in the common line only once.
        self.take(&self.turns.own).await;
        if let Some(slots) = &self.turns.slots {
            self.take(&slots.0).await;
        }
        self.in_line.store(false, Ordering::Relaxed);
    }

    async fn take(&self, from: &Arc<Semaphore>) {
        // Nobody closes it.
        if let Ok(permit) = from.clone().acquire_owned().await {
            self.held().push(permit);
        }
    }

    /// Gives the turn back: for whoever waits for something else than to compute.
    pub(super) fn release(&self) {
        self.held().clear();
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waits(next: impl Future<Output = ()>) -> bool {
        let mut next = std::pin::pin!(next);
        for _ in 0..5 {
            if futures_util::poll!(next.as_mut()).is_ready() {
                return false;
            }
        }
        true
    }

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

    #[tokio::test]
    async fn a_call_that_waits_for_something_else_gives_its_turn_back() {
        let turns = Turns::default();
        let (one, other) = (Turn::of(&turns), Turn::of(&turns));
        let (wakes, waits) = tokio::sync::oneshot::channel();
        let turn = one.clone();
        let call = one.during(async move {
            turn.next().await;
            waits.await
        });
        let mut call = Box::pin(call);
        // In line, then past it, waiting for something else.
        for _ in 0..3 {
            assert!(futures_util::poll!(call.as_mut()).is_pending());
        }
        other.clone().next().await;
        assert!(wakes.send(()).is_ok());
        assert!(call.await.is_ok());
        other.release();
    }

    #[tokio::test]
    async fn exports_share_the_slots_and_each_waits_for_one_only_once() {
        let slots = Slots(Arc::new(Semaphore::new(1)));
        let [burning, neighbour] = [(); 2].map(|()| {
            let mut turns = Turns::default();
            turns.share(&slots);
            turns
        });
        let lanes: Vec<_> = (0..64).map(|_| Turn::of(&burning)).collect();
        lanes[0].clone().next().await;
        let mut behind: Vec<_> = lanes[1..]
            .iter()
            .map(|lane| Box::pin(lane.clone().next()))
            .collect();
        for waiting in &mut behind {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        let mine = Turn::of(&neighbour);
        let mut next = std::pin::pin!(mine.clone().next());
        for _ in 0..3 {
            assert!(futures_util::poll!(next.as_mut()).is_pending());
        }
        // The first lane's tick is over: of all who wait the neighbour is next, and not a 64th lane.
        lanes[0].release();
        for waiting in &mut behind {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        next.await;
        assert!(waits(lanes[0].clone().next()).await);
    }
}
