//! What an export costs: counted where it is spent, added up for whoever pays.
//!
//! [`Usage`] is what the work on an export counts into, [`Used`] is a sum of it, [`UsageReport`] what is
//! shown of that. `cpu` tells the guest's time from the host's. *Not here:* where it is kept (the
//! store does that, see [`Usage::take`]) or served.

mod bills;
pub(crate) mod cpu;
mod lying;
mod used;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

pub use bills::{Bill, Bills};
use lying::Lying;
pub use used::{Denied, UsageReport, Used};
pub(crate) use used::{LIMITS, PEAK, limit_keys};

/// How often what was used becomes due to be kept: at most so much, and as much again, is lost with
/// a process that is killed.
pub(crate) const KEEP_EVERY: Duration = Duration::from_secs(2);

/// After so many times with nothing but files lying there, that is kept, too: once a minute.
const QUIET: u32 = 30;

/// Upper bounds of a batch's time in seconds: an answer at once, a usual one, a slow destination, and
/// one that is about to run into the wall.
const LATENCY: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// What one export has used under one version of its plugin, counted as it goes.
#[derive(Debug)]
pub struct Usage {
    calls: AtomicU64,
    guest_cpu_ns: AtomicU64,
    host_cpu_ns: AtomicU64,
    requests: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    log_lines_dropped: AtomicU64,
    peak_memory_bytes: AtomicU64,
    denied: [AtomicU64; Denied::ALL.len()],
    limits: [AtomicU64; LIMITS],
    lying: Mutex<Lying>,
    /// How long `deliver` takes. Since the start of the process only.
    latency: Histogram,
    /// Whether anything was counted but time: that alone is not worth a transaction.
    happened: AtomicBool,
    /// Whether the next transaction takes it along.
    due: AtomicBool,
    /// How often it was due in vain since it was kept last.
    quiet: AtomicU32,
    /// What is on disk; nothing before that was read.
    kept: Mutex<Option<Used>>,
}

/// What was counted since it was last kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The sums.
    pub used: Used,
    /// Up to when staged files are counted in it.
    pub until_ms: Option<i64>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            calls: AtomicU64::default(),
            guest_cpu_ns: AtomicU64::default(),
            host_cpu_ns: AtomicU64::default(),
            requests: AtomicU64::default(),
            bytes_out: AtomicU64::default(),
            bytes_in: AtomicU64::default(),
            log_lines_dropped: AtomicU64::default(),
            peak_memory_bytes: AtomicU64::default(),
            denied: Default::default(),
            limits: Default::default(),
            lying: Mutex::default(),
            latency: Histogram::new(LATENCY),
            happened: AtomicBool::default(),
            due: AtomicBool::default(),
            quiet: AtomicU32::default(),
            kept: Mutex::default(),
        }
    }
}

impl Usage {
    /// A call of the plugin began.
    pub(crate) fn call(&self) {
        self.add(&self.calls, 1);
    }

    /// Time that a call has taken: the guest's and the host's.
    pub(crate) fn cpu(&self, guest: Duration, host: Duration) {
        add(&self.guest_cpu_ns, nanoseconds(guest));
        add(&self.host_cpu_ns, nanoseconds(host));
    }

    /// A request went out, with so many bytes.
    pub(crate) fn request(&self, bytes: u64) {
        self.add(&self.requests, 1);
        add(&self.bytes_out, bytes);
    }

    /// A request was denied.
    pub(crate) fn denied(&self, why: Denied) {
        self.add(&self.denied[why as usize], 1);
    }

    /// A limit was reached; one that no key turns is not counted.
    pub(crate) fn limit(&self, key: &str) {
        if let Some(index) = limit_keys().position(|known| known == key) {
            self.add(&self.limits[index], 1);
        }
    }

    /// Bytes of an answer.
    pub(crate) fn received(&self, bytes: u64) {
        self.add(&self.bytes_in, bytes);
    }

    /// A line was over the allowance, which is the limit of that key.
    pub(crate) fn line_dropped(&self, key: &str) {
        self.add(&self.log_lines_dropped, 1);
        self.limit(key);
    }

    /// An instance has so much memory.
    pub(crate) fn memory(&self, bytes: u64) {
        self.peak_memory_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// A batch was delivered, or was not, within this time.
    pub(crate) fn delivered_in(&self, time: Duration) {
        self.latency.observe(time.as_secs_f64());
    }

    /// From now on staged files of so many bytes lie on the disk.
    pub(crate) fn staged(&self, bytes: u64, now_ms: i64) {
        let mut lying = lock(&self.lying);
        lying.count(now_ms);
        lying.bytes = bytes;
    }

    /// Goes on from what is on disk: what was used before, up to when staged files are counted in it,
    /// and how many bytes of these there are. Their time in between counts.
    pub(crate) fn resume(&self, kept: Used, until_ms: Option<i64>, staged: u64, now_ms: i64) {
        let peak = kept.peak_memory_bytes;
        self.peak_memory_bytes.fetch_max(peak, Ordering::Relaxed);
        let mut lying = lock(&self.lying);
        (lying.until_ms, lying.bytes) = (until_ms, staged);
        lying.count(now_ms);
        *lock(&self.kept) = Some(kept);
    }

    /// The next transaction is to take along what was counted. Answers whether none has come by since
    /// this was last said, though there is something to be kept.
    pub(crate) fn fall_due(&self, now_ms: i64) -> bool {
        let mut lying = lock(&self.lying);
        lying.count(now_ms);
        if !self.due.swap(true, Ordering::Relaxed) {
            return false;
        }
        let quiet = self.quiet.fetch_add(1, Ordering::Relaxed);
        self.happened.load(Ordering::Relaxed) || (lying.bytes > 0 && quiet >= QUIET)
    }

    /// Whether the next transaction is to take it along.
    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Ordering::Relaxed)
    }

    /// What was counted since this was last asked for, which is due no more. It belongs either on disk
    /// ([`Self::kept`]) or back here ([`Self::give_back`]).
    pub(crate) fn take(&self) -> Taken {
        self.due.store(false, Ordering::Relaxed);
        self.happened.store(false, Ordering::Relaxed);
        self.quiet.store(0, Ordering::Relaxed);
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let mut lying = lock(&self.lying);
        let used = Used {
            calls: take(&self.calls),
            guest_cpu_ns: take(&self.guest_cpu_ns),
            host_cpu_ns: take(&self.host_cpu_ns),
            requests: take(&self.requests),
            bytes_out: take(&self.bytes_out),
            bytes_in: take(&self.bytes_in),
            log_lines_dropped: take(&self.log_lines_dropped),
            staged_byte_seconds: lying.take(),
            // Of all that was, and so the same however often it is kept.
            peak_memory_bytes: self.peak_memory_bytes.load(Ordering::Relaxed),
            denied: self.denied.each_ref().map(take),
            limits: self.limits.each_ref().map(take),
        };
        Taken {
            used,
            until_ms: lying.until_ms,
        }
    }

    /// What was taken is on disk.
    pub(crate) fn kept(&self, taken: &Taken) {
        lock(&self.kept).get_or_insert_default().add(taken.used);
    }

    /// What was taken could not be kept.
    pub(crate) fn give_back(&self, taken: &Taken) {
        let Taken { used, .. } = taken;
        for (counter, n) in [
            (&self.calls, used.calls),
            (&self.guest_cpu_ns, used.guest_cpu_ns),
            (&self.host_cpu_ns, used.host_cpu_ns),
            (&self.requests, used.requests),
            (&self.bytes_out, used.bytes_out),
            (&self.bytes_in, used.bytes_in),
            (&self.log_lines_dropped, used.log_lines_dropped),
        ] {
            add(counter, n);
        }
        let kinds = self.denied.iter().zip(used.denied);
        kinds
            .chain(self.limits.iter().zip(used.limits))
            .for_each(|(counter, n)| add(counter, n));
        lock(&self.lying).give_back(used.staged_byte_seconds);
        self.happened.store(true, Ordering::Relaxed);
        self.due.store(true, Ordering::Relaxed);
    }

    /// All that was ever used, as far as it is on disk: so it never becomes less, also if the process
    /// is killed. `None` before the store has told.
    pub fn total(&self) -> Option<Used> {
        *lock(&self.kept)
    }

    /// How long batches took since the start of the process.
    pub(crate) fn latency(&self) -> &Histogram {
        &self.latency
    }

    fn add(&self, counter: &AtomicU64, n: u64) {
        add(counter, n);
        self.happened.store(true, Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Usage {
        let usage = Usage::default();
        usage.call();
        usage.cpu(Duration::from_millis(3), Duration::from_millis(2));
        usage.request(10);
        usage.received(20);
        usage.denied(Denied::Part);
        usage.limit("cpu_ms");
        usage.limit("no such limit");
        usage.line_dropped("log_lines_per_second");
        usage.memory(4096);
        usage
    }

    #[test]
    fn what_is_taken_is_taken_once_and_the_peak_is_of_all() {
        let usage = counted();
        usage.resume(Used::default(), Some(0), 5_000, 2_500);
        let Taken { used, until_ms } = usage.take();
        assert_eq!((used.calls, used.guest_cpu_ns), (1, 3_000_000));
        assert_eq!((used.requests, used.bytes_out, used.bytes_in), (1, 10, 20));
        assert_eq!(
            used.denied().find(|(kind, _)| *kind == "part"),
            Some(("part", 1))
        );
        let limits: Vec<_> = used.limits_reached().filter(|(_, n)| *n > 0).collect();
        assert_eq!(limits, [("cpu_ms", 1), ("log_lines_per_second", 1)]);
        assert_eq!((used.staged_byte_seconds, until_ms), (12_500, Some(2_500)));
        let again = usage.take().used;
        assert_eq!(
            again,
            Used {
                peak_memory_bytes: 4096,
                ..Used::default()
            }
        );
    }

    #[test]
    fn what_could_not_be_kept_is_there_the_next_time() {
        let usage = counted();
        usage.resume(Used::default(), Some(0), 5_000, 2_500);
        let taken = usage.take();
        usage.give_back(&taken);
        assert_eq!(usage.take(), taken);
    }

    #[test]
    fn the_total_is_what_is_on_disk_and_nothing_else() {
        let usage = counted();
        assert_eq!(usage.total(), None);
        let before = Used {
            calls: 7,
            peak_memory_bytes: 9_999,
            ..Used::default()
        };
        usage.resume(before, None, 0, 0);
        assert_eq!(usage.total(), Some(before));
        usage.kept(&usage.take());
        let total = usage.total().unwrap();
        assert_eq!((total.calls, total.peak_memory_bytes), (8, 9_999));
    }

    #[test]
    fn it_is_kept_with_what_is_written_anyway_and_else_by_itself_if_there_is_something() {
        let usage = Usage::default();
        usage.call();
        assert!(!usage.is_due());
        assert!(!usage.fall_due(0), "somebody else may come by");
        assert!(usage.is_due());
        assert!(usage.fall_due(0), "nobody came by");
        usage.take();
        assert!(!usage.is_due());
        // Time alone is nothing.
        usage.cpu(Duration::from_secs(1), Duration::from_secs(1));
        for _ in 0..QUIET * 2 {
            assert!(!usage.fall_due(0));
        }
        usage.take();
        // But for files that lie there, now and then.
        usage.staged(1, 0);
        let kept = (0..=QUIET + 1).filter(|_| usage.fall_due(0)).count();
        assert_eq!(kept, 1);
    }
}
