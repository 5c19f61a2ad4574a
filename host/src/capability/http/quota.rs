//! So many requests of one authorization at a time, shared out fairly: who waits is served by turns,
//! one request an export, so that an export with many requests never makes another wait behind all
//! of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What the exports of one authorization may have under way.
#[derive(Clone)]
pub(super) struct Quota(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// One line for each export that waits, the next to be served in front; none is empty.
    lines: VecDeque<Line>,
    tickets: u64,
}

struct Line {
    ticket: Ticket,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// Which line one stands in: an export's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// One request may be under way; until this is dropped.
pub(super) struct Permit(Option<Quota>);

impl Quota {
    /// So many at a time.
    pub fn new(at_a_time: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: at_a_time,
            lines: VecDeque::new(),
            tickets: 0,
        })))
    }

    /// A line of one's own.
    pub fn ticket(&self) -> Ticket {
        let mut state = self.state();
        state.tickets += 1;
        Ticket(state.tickets)
    }

    /// Waits for one's turn. Who stops waiting leaves the line.
    pub async fn acquire(&self, ticket: Ticket) -> Permit {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                // Nobody waits as long as there is something free.
                state.free -= 1;
                return Permit(Some(self.clone()));
            }
            let (give, turn) = oneshot::channel();
            state.line(ticket).waiting.push_back(give);
            turn
        };
        match turn.await {
            Ok(permit) => permit,
            // A line is never given up while somebody stands in it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands what was given back to the next export's first, or keeps it.
    fn give_back(&self) {
        let mut permit = Permit(Some(self.clone()));
        let mut state = self.state();
        while let Some(mut line) = state.lines.pop_front() {
            let next = line.waiting.pop_front();
            if !line.waiting.is_empty() {
                state.lines.push_back(line);
            }
            let Some(next) = next else { continue };
            match next.send(permit) {
                Ok(()) => return,
                // It waits no more.
                Err(back) => permit = back,
            }
        }
        state.free += 1;
        // Counted as free, and not to be given back once more.
        permit.0 = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, ticket: Ticket) -> &mut Line {
        let at = self.lines.iter().position(|line| line.ticket == ticket);
        let at = at.unwrap_or_else(|| {
            self.lines.push_back(Line {
                ticket,
                waiting: VecDeque::new(),
            });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(quota) = self.0.take() {
            quota.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Waits that are looked at one after the other: no clock, no threads.
    fn ready<F: Future>(wait: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match wait.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_waits_is_served_by_turns_and_in_order_within_an_export() {
        let quota = Quota::new(2);
        let (many, few) = (quota.ticket(), quota.ticket());
        let mut waits: Vec<_> = (0..8)
            .map(|n| (format!("many {n}"), Box::pin(quota.acquire(many))))
            .collect();
        let mut held: Vec<_> = (0..2).filter_map(|n| ready(waits[n].1.as_mut())).collect();
        assert_eq!(held.len(), 2);
        waits.drain(..2);
        waits
            .iter_mut()
            .for_each(|(_, wait)| assert!(ready(wait.as_mut()).is_none()));
        for n in 0..2 {
            let mut wait = Box::pin(quota.acquire(few));
            assert!(ready(wait.as_mut()).is_none());
            waits.push((format!("few {n}"), wait));
        }
        let mut served = vec![];
        while !held.is_empty() {
            drop(held.remove(0));
            waits.retain_mut(|(name, wait)| match ready(wait.as_mut()) {
                Some(permit) => {
                    served.push(name.clone());
                    held.push(permit);
                    false
                }
                None => true,
            });
        }
        assert_eq!(
            served,
            [
                "many 2", "few 0", "many 3", "few 1", "many 4", "many 5", "many 6", "many 7"
            ]
        );
        assert_eq!(quota.state().free, 2);
    }

    #[test]
    fn who_stops_waiting_costs_nothing_even_if_it_was_its_turn() {
        let quota = Quota::new(1);
        let ticket = quota.ticket();
        let first = ready(pin!(quota.acquire(ticket))).unwrap();
        let (mut gone, mut served) = (
            Box::pin(quota.acquire(ticket)),
            Box::pin(quota.acquire(ticket)),
        );
        let mut last = Box::pin(quota.acquire(quota.ticket()));
        for wait in [&mut gone, &mut served] {
            assert!(ready(wait.as_mut()).is_none());
        }
        assert!(ready(last.as_mut()).is_none());
        drop(gone);
        drop(first);
        // Its turn has come, and it goes away without a look.
        drop(served);
        let permit = ready(last.as_mut()).unwrap();
        assert!(ready(pin!(quota.acquire(ticket))).is_none());
        drop(permit);
        assert_eq!(quota.state().free, 1);
    }
}
