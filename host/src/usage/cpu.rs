//! Whose processor time it is: a stopwatch that runs while a call is polled, and knows on whose side.
//!
//! Wall time would not do: a thread that computes is interrupted by others, and a call that waits is
//! polled by whichever thread is free. So the thread's own CPU clock is read at each change of sides,
//! which all happen on the thread that polls.
//!
//! A [`Stopwatch`] is one call's. What the host does for an export outside of calls is counted by
//! [`on_behalf`] and [`Working`], less what a call within it has counted already.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::Usage;

thread_local! {
    /// What of this thread's time was put down to somebody, so that nobody else pays for it, too.
    static COUNTED_NS: Cell<u64> = const { Cell::new(0) };
}

tokio::task_local! {
    /// Who pays for what this task hands to other threads.
    static PAYER: Arc<Usage>;
}

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
    fn switch(&self, side: &AtomicU64) -> u64 {
        let now = now_ns();
        let began = self.since_ns.swap(now, Ordering::Relaxed);
        side.fetch_add(now.saturating_sub(began), Ordering::Relaxed);
        now
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

/// The host at work for an export, on this thread, until it is dropped.
pub(crate) struct Working<'u> {
    usage: &'u Usage,
    since_ns: u64,
    counted_ns: u64,
    /// The clock is this thread's: so it must not be held while somebody else may go on.
    _thread: PhantomData<*const ()>,
}

impl<'u> Working<'u> {
    /// From now on.
    pub fn begin(usage: &'u Usage) -> Self {
        Self {
            usage,
            since_ns: now_ns(),
            counted_ns: COUNTED_NS.get(),
            _thread: PhantomData,
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let spent = now_ns().saturating_sub(self.since_ns);
        let others = COUNTED_NS.get().wrapping_sub(self.counted_ns);
        COUNTED_NS.set(self.counted_ns.wrapping_add(spent));
        let mine = Duration::from_nanos(spent.saturating_sub(others));
        self.usage.cpu(Duration::ZERO, mine);
    }
}

/// A task of an export: what its polls take is the host's for it, but for the calls within, which
/// have a stopwatch of their own. What it hands to `blocking` is put down to the same export.
pub(crate) fn on_behalf<F: Future>(
    usage: &Arc<Usage>,
    work: F,
) -> impl Future<Output = F::Output> + use<F> {
    let counted = OnBehalf {
        usage: usage.clone(),
        work: Box::pin(work),
    };
    PAYER.scope(usage.clone(), counted)
}

/// Who pays for the work of this task, if anybody does.
pub(crate) fn payer() -> Option<Arc<Usage>> {
    PAYER.try_with(Arc::clone).ok()
}

struct OnBehalf<F> {
    usage: Arc<Usage>,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for OnBehalf<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { usage, work } = &mut *self;
        let _working = Working::begin(usage);
        work.as_mut().poll(context)
    }
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
        let (began, counted) = (now_ns(), COUNTED_NS.get());
        self.watch.since_ns.store(began, Ordering::Relaxed);
        let polled = self.call.as_mut().poll(context);
        let now = self.watch.switch(&self.watch.guest_ns);
        COUNTED_NS.set(counted.wrapping_add(now.saturating_sub(began)));
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

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

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

    #[tokio::test]
    async fn work_around_a_call_is_the_hosts_and_the_call_is_not_counted_twice() {
        let usage = Arc::<Usage>::default();
        let (around, within, elsewhere) = (ms(20), ms(200), ms(20));
        let watch = Arc::<Stopwatch>::default();
        let inner = watch.clone();
        let task = on_behalf(&usage, async move {
            burn(around);
            guest(&inner, async { burn(within) }).await;
            crate::blocking::blocking(move || burn(elsewhere)).await;
            tokio::task::yield_now().await;
            burn(around);
        });
        task.await;
        let host = Duration::from_nanos(usage.take().used.host_cpu_ns);
        assert!(host >= around * 2 + elsewhere, "{host:?}");
        assert!(host < within, "{host:?}");
        assert!(watch.guest() >= within);
        assert!(payer().is_none());
    }
}
