//! Sums of usage, the names under which they are kept, and what is shown of them. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plugin::limits::{KEYS, LOAD_KEYS};

/// How many limits there are.
pub(crate) const LIMITS: usize = KEYS.len() + LOAD_KEYS.len();

/// The keys of all limits, in the order in which they are counted.
pub(crate) fn limit_keys() -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter().map(|key| key.name);
    keys.chain(LOAD_KEYS.iter().map(|key| key.name))
}

/// Why a request was denied: the kinds of reason, few enough to be counted one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Its path is malformed.
    Path,
    /// No route allows it.
    Route,
    /// One of its headers may not be sent, or all of them are too large.
    Header,
    /// A part of its body is malformed.
    Part,
    /// It names a staged file that the call was not given.
    StagedFile,
    /// The destination's address is in a range that was not granted.
    Address,
    /// The function that asks may make no requests.
    Function,
    /// Something else.
    Other,
}

impl Denied {
    /// All kinds, in the order in which they are counted.
    pub(crate) const ALL: [Self; 8] = [
        Self::Path,
        Self::Route,
        Self::Header,
        Self::Part,
        Self::StagedFile,
        Self::Address,
        Self::Function,
        Self::Other,
    ];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Route => "route",
            Self::Header => "header",
            Self::Part => "part",
            Self::StagedFile => "staged_file",
            Self::Address => "address",
            Self::Function => "function",
            Self::Other => "other",
        }
    }
}

/// A sum of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Bytes of bodies that were sent, staged files included.
    pub bytes_out: u64,
    /// Bytes of bodies that came back.
    pub bytes_in: u64,
    /// Lines of the plugin's that were over its allowance.
    pub log_lines_dropped: u64,
    /// Bytes of staged files times the seconds that they lay on the disk.
    pub staged_byte_seconds: u64,
    /// The most memory that one instance has had, in bytes.
    pub peak_memory_bytes: u64,
    pub(crate) denied: [u64; Denied::ALL.len()],
    pub(crate) limits: [u64; LIMITS],
}

/// The name of the one number that is no sum.
pub(crate) const PEAK: &str = "peak_memory_bytes";

impl Used {
    /// Requests that were denied, by the kind of reason.
    pub fn denied(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Denied::ALL.map(Denied::name).into_iter().zip(self.denied)
    }

    /// Requests that were denied because the function that asked may make none.
    pub(crate) fn denied_to_functions(&self) -> u64 {
        self.denied[Denied::Function as usize]
    }

    /// How often each limit was reached, by its key.
    pub fn limits_reached(&self) -> impl Iterator<Item = (&'static str, u64)> {
        limit_keys().zip(self.limits)
    }

    /// Adds another sum. The peak is that of both.
    pub(crate) fn add(&mut self, mut more: Self) {
        let peak = self.peak_memory_bytes.max(more.peak_memory_bytes);
        for ((_, sum), (_, more)) in self.slots().into_iter().zip(more.slots()) {
            *sum = sum.saturating_add(*more);
        }
        self.peak_memory_bytes = peak;
    }

    /// Every number that is not 0, by the name under which it is kept.
    pub(crate) fn numbers(mut self) -> Vec<(String, u64)> {
        let slots = self.slots().into_iter().map(|(name, n)| (name, *n));
        slots.filter(|(_, n)| *n > 0).collect()
    }

    /// Puts a number that was kept back in its place. One that another version of this program
    /// knew is left out.
    pub(crate) fn set(&mut self, name: &str, n: u64) {
        let mut slots = self.slots();
        if let Some((_, slot)) = slots.iter_mut().find(|(known, _)| known == name) {
            **slot = n;
        }
    }

    fn slots(&mut self) -> Vec<(String, &mut u64)> {
        let Self {
            calls,
            guest_cpu_ns,
            host_cpu_ns,
            requests,
            bytes_out,
            bytes_in,
            log_lines_dropped,
            staged_byte_seconds,
            peak_memory_bytes,
            denied,
            limits,
        } = self;
        let mut slots: Vec<(String, &mut u64)> = [
            ("calls", calls),
            ("guest_cpu_ns", guest_cpu_ns),
            ("host_cpu_ns", host_cpu_ns),
            ("requests", requests),
            ("bytes_out", bytes_out),
            ("bytes_in", bytes_in),
            ("log_lines_dropped", log_lines_dropped),
            ("staged_byte_seconds", staged_byte_seconds),
            (PEAK, peak_memory_bytes),
        ]
        .map(|(name, slot)| (name.to_owned(), slot))
        .into();
        let denied = Denied::ALL.iter().zip(denied);
        slots.extend(denied.map(|(kind, n)| (format!("denied:{}", kind.name()), n)));
        slots.extend(
            limit_keys()
                .zip(limits)
                .map(|(key, n)| (format!("limit:{key}"), n)),
        );
        slots
    }
}

/// What an export has used under one version of its plugin, for programs: units stand in the names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageReport {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub plugin_version: String,
    /// See [`Used::calls`].
    pub calls: u64,
    /// See [`Used::guest_cpu_ns`].
    pub guest_cpu_ms: u64,
    /// See [`Used::host_cpu_ns`].
    pub host_cpu_ms: u64,
    /// See [`Used::requests`].
    pub requests: u64,
    /// Requests that were denied.
    pub requests_denied: u64,
    /// The same by the kind of reason, without those that never occurred.
    pub denied: BTreeMap<&'static str, u64>,
    /// See [`Used::bytes_out`].
    pub bytes_out: u64,
    /// See [`Used::bytes_in`].
    pub bytes_in: u64,
    /// See [`Used::staged_byte_seconds`].
    pub staged_byte_seconds: u64,
    /// See [`Used::peak_memory_bytes`].
    pub peak_memory_bytes: u64,
    /// See [`Used::log_lines_dropped`].
    pub log_lines_dropped: u64,
    /// How often each limit was reached, without those that never were.
    pub limits_reached: BTreeMap<&'static str, u64>,
}

impl UsageReport {
    /// The report of a sum.
    pub fn new(plugin: &str, plugin_version: &str, used: &Used) -> Self {
        let ms = |ns: u64| ns / 1_000_000;
        Self {
            plugin: plugin.to_owned(),
            plugin_version: plugin_version.to_owned(),
            calls: used.calls,
            guest_cpu_ms: ms(used.guest_cpu_ns),
            host_cpu_ms: ms(used.host_cpu_ns),
            requests: used.requests,
            requests_denied: used.denied.iter().sum(),
            denied: used.denied().filter(|(_, n)| *n > 0).collect(),
            bytes_out: used.bytes_out,
            bytes_in: used.bytes_in,
            staged_byte_seconds: used.staged_byte_seconds,
            peak_memory_bytes: used.peak_memory_bytes,
            log_lines_dropped: used.log_lines_dropped,
            limits_reached: used.limits_reached().filter(|(_, n)| *n > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number another one.
    fn all_different() -> Used {
        let mut used = Used::default();
        for ((_, slot), n) in used.slots().into_iter().zip(1..) {
            *slot = n;
        }
        used
    }

    #[test]
    fn what_is_kept_by_name_is_the_same_when_it_is_read() {
        let used = all_different();
        let mut read = Used::default();
        for (name, n) in used.numbers() {
            read.set(&name, n);
        }
        read.set("of another version", 7);
        assert_eq!(read, used);
        assert!(Used::default().numbers().is_empty());
    }

    #[test]
    fn names_are_one_for_each_number() {
        let names: std::collections::BTreeSet<_> = all_different()
            .numbers()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names.len(), all_different().numbers().len());
    }

    #[test]
    fn sums_are_added_and_the_peak_is_the_higher_one() {
        let mut sum = all_different();
        sum.add(all_different());
        let peak = all_different().peak_memory_bytes;
        assert_eq!(sum.peak_memory_bytes, peak);
        assert_eq!(sum.calls, 2 * all_different().calls);
        assert_eq!(
            sum.limits[LIMITS - 1],
            2 * all_different().limits[LIMITS - 1]
        );
        let mut lower = Used::default();
        lower.add(all_different());
        assert_eq!(lower, all_different());
    }

    #[test]
    fn a_report_is_in_milliseconds_and_names_only_what_occurred() {
        let mut used = Used {
            guest_cpu_ns: 2_999_999,
            host_cpu_ns: 5_000_000,
            ..Used::default()
        };
        used.denied[Denied::ALL
            .iter()
            .position(|kind| *kind == Denied::Route)
            .unwrap()] = 3;
        used.limits[limit_keys().position(|key| key == "cpu_ms").unwrap()] = 1;
        let report = UsageReport::new("p", "1", &used);
        assert_eq!((report.guest_cpu_ms, report.host_cpu_ms), (2, 5));
        assert_eq!(report.requests_denied, 3);
        assert_eq!(report.denied, BTreeMap::from([("route", 3)]));
        assert_eq!(report.limits_reached, BTreeMap::from([("cpu_ms", 1)]));
    }
}
