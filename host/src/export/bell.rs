//! Tells tasks that something has happened. Like a `watch` channel of tokio, but whoever waits is
//! woken in the order in which they began to wait: tokio wakes in an order of its own dice, and a
//! seed of the simulation would not replay.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Rings for everybody who listens.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Mutex<Rung>>);

#[derive(Default)]
struct Rung {
    times: u64,
    waiting: Vec<Waker>,
}

/// Hears every ring after the last one that was noted.
pub(super) struct Ear {
    bell: Bell,
    heard: u64,
}

impl Bell {
    /// Something has happened.
    pub fn ring(&self) {
        let waiting = {
            let mut rung = self.rung();
            rung.times = rung.times.wrapping_add(1);
            std::mem::take(&mut rung.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Listens from now on.
    pub fn listen(&self) -> Ear {
        Ear {
            heard: self.rung().times,
            bell: self.clone(),
        }
    }

    fn rung(&self) -> MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// What has happened until now is known; `heard` waits for what comes after.
    pub fn note(&mut self) {
        self.heard = self.bell.rung().times;
    }

    /// Whether something has happened that was not noted.
    pub fn rang(&self) -> bool {
        self.bell.rung().times != self.heard
    }

    /// Waits until something has happened that was not noted. May be given up at any moment.
    pub async fn heard(&mut self) {
        poll_fn(|context| {
            let mut rung = self.bell.rung();
            if rung.times != self.heard {
                self.heard = rung.times;
                return Poll::Ready(());
            }
            // A task that gave up and waits again stands there already.
            if !rung
                .waiting
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                rung.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_between_the_note_and_the_wait_is_heard() {
        let bell = Bell::default();
        let mut ear = bell.listen();
        bell.ring();
        assert!(ear.rang());
        ear.heard().await;
        assert!(!ear.rang());
        bell.ring();
        ear.note();
        let waits = tokio::time::timeout(std::time::Duration::ZERO, ear.heard());
        assert!(waits.await.is_err(), "what was noted is heard again");
    }

    #[tokio::test]
    async fn everybody_who_waits_is_woken_in_the_order_of_waiting() {
        let (bell, order) = (Bell::default(), Arc::new(Mutex::new(vec![])));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (mut ear, order) = (bell.listen(), order.clone());
                tokio::spawn(async move {
                    ear.heard().await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        bell.ring();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(order.lock().unwrap().is_sorted());
    }
}
