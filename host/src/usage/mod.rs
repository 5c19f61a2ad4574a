//! What an export costs: counted where it is spent, added up for whoever pays.
//!
//! [`Usage`] is what the work on an export counts into; [`Used`] is a sum of it. `cpu` tells the
//! guest's time from the host's. *Not here:* where it is kept or shown.

pub(crate) mod cpu;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one export has used under one version of its plugin, counted as it goes.
#[derive(Debug, Default)]
pub struct Usage {
    calls: AtomicU64,
    guest_cpu_ns: AtomicU64,
    host_cpu_ns: AtomicU64,
    requests: AtomicU64,
    denied: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    log_lines_dropped: AtomicU64,
    staged_byte_ms: AtomicU64,
    peak_memory_bytes: AtomicU64,
}

/// A sum of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Used {
    /// Calls of the plugin, each in an instance of its own.
    pub calls: u64,
    /// Processor time of the plugin's own code, in nanoseconds; what the host copies for it at the
    /// border of a call is part of it.
    pub guest_cpu_ns: u64,
    /// Processor time of the host on its behalf, in nanoseconds: the gate's, the store's and the
    /// staged files'. Not that of connections, which several exports may share.
    pub host_cpu_ns: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that were denied.
    pub denied: u64,
    /// Bytes of bodies that were sent, staged files included.
    pub bytes_out: u64,
    /// Bytes of bodies that came back.
    pub bytes_in: u64,
    /// Lines of the plugin's that were over its allowance.
    pub log_lines_dropped: u64,
    /// Bytes of staged files times the milliseconds that they lay on the disk.
    pub staged_byte_ms: u64,
    /// The most memory that one instance has had, in bytes.
    pub peak_memory_bytes: u64,
}

impl Usage {
    /// A call of the plugin began.
    pub(crate) fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Time that a call has taken: the guest's and the host's.
    pub(crate) fn cpu(&self, guest: Duration, host: Duration) {
        add(&self.guest_cpu_ns, nanoseconds(guest));
        add(&self.host_cpu_ns, nanoseconds(host));
    }

    /// A request went out, with so many bytes.
    pub(crate) fn request(&self, bytes: u64) {
        add(&self.requests, 1);
        add(&self.bytes_out, bytes);
    }

    /// A request was denied.
    pub(crate) fn denied(&self) {
        add(&self.denied, 1);
    }

    /// Bytes of an answer.
    pub(crate) fn received(&self, bytes: u64) {
        add(&self.bytes_in, bytes);
    }

    /// A line was over the allowance.
    pub(crate) fn line_dropped(&self) {
        add(&self.log_lines_dropped, 1);
    }

    /// An instance has so much memory.
    pub(crate) fn memory(&self, bytes: u64) {
        self.peak_memory_bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    /// What was counted since this was last asked for. The peak is not reset: it is the most of all.
    pub fn take(&self) -> Used {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Used {
            calls: take(&self.calls),
            guest_cpu_ns: take(&self.guest_cpu_ns),
            host_cpu_ns: take(&self.host_cpu_ns),
            requests: take(&self.requests),
            denied: take(&self.denied),
            bytes_out: take(&self.bytes_out),
            bytes_in: take(&self.bytes_in),
            log_lines_dropped: take(&self.log_lines_dropped),
            staged_byte_ms: take(&self.staged_byte_ms),
            peak_memory_bytes: self.peak_memory_bytes.load(Ordering::Relaxed),
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}
