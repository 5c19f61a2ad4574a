//! Whose processor time it is: a stopwatch that runs while a call is polled, and knows on whose side.
//!
//! Wall time would not do: a thread that computes is interrupted by others, and a call that waits is
//! polled by whichever thread is free. So the thread's own CPU clock is read at each change of sides,
//! which all happen on the thread that polls.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// The time of one call, by sides.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    /// When the present side began, on the clock of the thread that polls.
    since_ns: AtomicU64,
    guest_ns: AtomicU64,
    host_ns: AtomicU64,
}

impl Stopwatch {
    /// What the guest has taken so far. Right also in the middle of its turn, on its own thread.
    pub fn guest_now(&self) -> Duration {
        let running = now_ns().saturating_sub(self.since_ns.load(Ordering::Relaxed));
        self.guest() + Duration::from_nanos(running)
    }

    /// What the guest has taken.
    pub fn guest(&self) -> Duration {
        Duration::from_nanos(self.guest_ns.load(Ordering::Relaxed))
    }

    /// What the host has taken for it.
    pub fn host(&self) -> Duration {
        Duration::from_nanos(self.host_ns.load(Ordering::Relaxed))
    }

    /// The side changes: what went by is put down to `side`.
    fn switch(&self, side: &AtomicU64) {
        let now = now_ns();
        let began = self.since_ns.swap(now, Ordering::Relaxed);
        side.fetch_add(now.saturating_sub(began), Ordering::Relaxed);
    }
}

/// A call of the guest: what its polls take is the guest's, but for the host's parts within.
pub(crate) struct Guest<F> {
    watch: Arc<Stopwatch>,
    call: Pin<Box<F>>,
}

/// The host's part of a call, within a [`Guest`]'s.
pub(crate) struct Host<F> {
    watch: Arc<Stopwatch>,
    work: Pin<Box<F>>,
}

/// Counts a call of the guest.
pub(crate) fn guest<F: Future>(watch: &Arc<Stopwatch>, call: F) -> Guest<F> {
    Guest {
        watch: watch.clone(),
        call: Box::pin(call),
    }
}

/// Counts the host's part of a call.
pub(crate) fn host<F: Future>(watch: &Arc<Stopwatch>, work: F) -> Host<F> {
    Host {
        watch: watch.clone(),
        work: Box::pin(work),
    }
}

impl<F: Future> Future for Guest<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.watch.since_ns.store(now_ns(), Ordering::Relaxed);
        let polled = self.call.as_mut().poll(context);
        self.watch.switch(&self.watch.guest_ns);
        polled
    }
}

impl<F: Future> Future for Host<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.watch.switch(&self.watch.guest_ns);
        let polled = self.work.as_mut().poll(context);
        self.watch.switch(&self.watch.host_ns);
        polled
    }
}

/// The CPU clock of this thread.
pub(crate) fn now_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes until the thread's clock has moved on by so much.
    fn burn(time: Duration) {
        let end = now_ns() + time.as_nanos() as u64;
        while now_ns() < end {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_side_is_charged_with_what_it_has_computed_and_nobody_with_waiting() {
        let watch = Arc::<Stopwatch>::default();
        let (mine, yours) = (Duration::from_millis(20), Duration::from_millis(50));
        let inner = watch.clone();
        guest(&watch, async move {
            burn(mine);
            host(&inner, async {
                burn(yours);
                tokio::time::sleep(Duration::from_secs(3600)).await;
            })
            .await;
            burn(mine);
            assert!(inner.guest_now() >= mine * 2);
        })
        .await;
        // What was measured is what was burnt, and the overhead of asking; never the other's.
        assert!(watch.guest() >= mine * 2 && watch.guest() < mine * 2 + yours / 2);
        assert!(watch.host() >= yours && watch.host() < yours + mine);
    }
}
