//! The metrics in Prometheus' text format. Pure.
//!
//! Every label has few values, all of them the operator's or the host's own: names of tenants and
//! exports, phases, kinds of reason, keys of limits. What a plugin says of itself is cut to what a
//! name may be; its messages, members and attributes are in no label.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::samples::{Labels, Latencies, counter, gauge};
use crate::export::{Observed, Observer, Reason, State};
use crate::registry::short;
use crate::store::PhaseCounts;
use crate::usage::{Bill, Used};

/// Everything that metrics are made of.
#[derive(Debug)]
pub(super) struct Scene {
    pub exports: Vec<Seen>,
    pub process: Process,
    pub began: SystemTime,
    pub now_ms: i64,
}

/// One export.
#[derive(Debug)]
pub(super) struct Seen {
    pub export: Observer,
    /// Whether somebody works on it.
    pub up: bool,
    /// What its store says, if it could be read.
    pub observed: Option<Observed>,
}

/// A metric's name, what it means, and how it is read from what was used.
type OfUsed = (&'static str, &'static str, fn(&Used) -> f64);

/// How a number is read from the counts of a phase.
type OfCounts = fn(&PhaseCounts) -> u64;

/// What a plugin costs, as sums.
const SUMS: [OfUsed; 8] = [
    (
        "sluice_plugin_calls",
        "Calls of the plugin, each in an instance of its own",
        |used| used.calls as f64,
    ),
    (
        "sluice_plugin_cpu_seconds",
        "Processor time of the plugin's own code",
        |used| seconds(used.guest_cpu_ns),
    ),
    (
        "sluice_host_cpu_seconds",
        "Processor time of the host on the export's behalf",
        |used| seconds(used.host_cpu_ns),
    ),
    (
        "sluice_requests",
        "Requests sent to the destination",
        |used| used.requests as f64,
    ),
    (
        "sluice_sent_bytes",
        "Bytes of bodies sent to the destination",
        |used| used.bytes_out as f64,
    ),
    (
        "sluice_received_bytes",
        "Bytes of bodies received from the destination",
        |used| used.bytes_in as f64,
    ),
    (
        "sluice_staged_byte_seconds",
        "Bytes of staged files times the seconds that they lay on the disk",
        |used| used.staged_byte_seconds as f64,
    ),
    (
        "sluice_log_lines_dropped",
        "Lines of the plugin's that were over its allowance",
        |used| used.log_lines_dropped as f64,
    ),
];

/// The metrics.
pub(super) fn text(scene: &Scene) -> String {
    let mut registry = Registry::default();
    of_usage(&mut registry, &scene.exports);
    of_exports(&mut registry, scene);
    of_process(&mut registry, scene);
    let mut text = String::new();
    // A string takes everything.
    prometheus_text::encode(&mut text, &registry).expect("metrics are text");
    text
}

fn of_usage(registry: &mut Registry, exports: &[Seen]) {
    // Before the store has told what was used before, a counter would begin at 0 and then jump.
    let used: Vec<(Labels, Used)> = exports
        .iter()
        .flat_map(|seen| bills(&seen.export))
        .filter_map(|(labels, bill)| Some((labels, bill.usage.total()?)))
        .collect();
    for (name, help, get) in SUMS {
        let samples = used
            .iter()
            .map(|(labels, used)| (labels.clone(), get(used)));
        counter(registry, name, help, samples);
    }
    let denied = used.iter().flat_map(|(labels, used)| {
        let kinds = used.denied();
        kinds.map(|(kind, n)| (with(labels, "reason", kind), n as f64))
    });
    counter(
        registry,
        "sluice_requests_denied",
        "Requests that the gate denied, by the kind of reason",
        denied,
    );
    let limits = used.iter().flat_map(|(labels, used)| {
        let keys = used.limits_reached();
        keys.map(|(key, n)| (with(labels, "limit", key), n as f64))
    });
    counter(
        registry,
        "sluice_limits_reached",
        "How often a limit was reached, by its key",
        limits,
    );
    let peaks = used
        .iter()
        .map(|(labels, used)| (labels.clone(), used.peak_memory_bytes as f64));
    gauge(
        registry,
        "sluice_plugin_peak_memory_bytes",
        "The most memory that one instance of the plugin has had",
        peaks,
    );
    let latencies = exports
        .iter()
        .flat_map(|seen| bills(&seen.export))
        .map(|(labels, bill)| (labels, bill.usage.latency().clone()))
        .collect();
    registry.register(
        "sluice_deliver_seconds",
        "How long the plugin took to deliver a batch, answers included, since the process began",
        Latencies(latencies),
    );
}

fn of_exports(registry: &mut Registry, scene: &Scene) {
    let up = scene
        .exports
        .iter()
        .map(|seen| (of_export(&seen.export), number(seen.up)));
    gauge(
        registry,
        "sluice_export_up",
        "Whether the export is worked on: 0 once its store has failed",
        up,
    );
    let runs = scene.exports.iter().map(|seen| {
        let version = seen.export.version();
        let mut labels = of_export(&seen.export);
        labels.push(("plugin", plain(&version.name)));
        labels.push(("plugin_version", plain(&version.version)));
        (with(&labels, "sha256", short(&version.sha256)), 1.0)
    });
    gauge(
        registry,
        "sluice_plugin_info",
        "Which version of its plugin the export runs, with the beginning of its SHA-256",
        runs,
    );
    let observed: Vec<(Labels, &Observed)> = scene
        .exports
        .iter()
        .filter_map(|seen| Some((of_export(&seen.export), seen.observed.as_ref()?)))
        .collect();
    let state = |observed: &Observed| observed.recorded.as_ref().map(|r| r.state.clone());
    let phases = observed.iter().flat_map(|(labels, observed)| {
        let now = state(observed);
        State::PHASES.map(|phase| {
            let is = now.as_ref().is_some_and(|state| state.phase() == phase);
            (with(labels, "phase", phase), number(is))
        })
    });
    gauge(
        registry,
        "sluice_export_phase",
        "1 for the phase that the export is in",
        phases,
    );
    let parked = observed.iter().flat_map(|(labels, observed)| {
        let why = match state(observed) {
            Some(State::Parked { reason, .. }) => Some(reason.why()),
            _ => None,
        };
        Reason::WHYS.map(|kind| (with(labels, "why", kind), number(why == Some(kind))))
    });
    gauge(
        registry,
        "sluice_export_parked",
        "1 for the kind of reason for which the export waits for a person",
        parked,
    );
    let by_phase = |get: OfCounts| {
        observed.iter().flat_map(move |(labels, observed)| {
            let counts = observed.ledger.counts;
            [("backfill", counts.backfill), ("live", counts.live)]
                .map(|(phase, counts)| (with(labels, "phase", phase), get(&counts) as f64))
        })
    };
    let outcomes: [(&str, OfCounts); 4] = [
        ("received", |counts| counts.received),
        ("delivered", |counts| counts.delivered),
        ("superseded", |counts| counts.superseded),
        ("dropped", |counts| counts.dropped),
    ];
    let rows = outcomes.into_iter().flat_map(|(outcome, get)| {
        by_phase(get).map(move |(labels, n)| (with(&labels, "outcome", outcome), n))
    });
    counter(
        registry,
        "sluice_rows",
        "Rows accepted, and what became of them",
        rows,
    );
    gauge(
        registry,
        "sluice_rows_pending",
        "Rows that have come to no end yet",
        by_phase(|counts| counts.pending),
    );
    gauge(
        registry,
        "sluice_rows_quarantined",
        "Rows in quarantine",
        by_phase(|counts| counts.quarantined),
    );
    let log = observed
        .iter()
        .map(|(labels, o)| (labels.clone(), o.ledger.log_bytes as f64));
    gauge(
        registry,
        "sluice_log_bytes",
        "Bytes of the changes that wait",
        log,
    );
    let lag = observed.iter().map(|(labels, observed)| {
        let oldest = observed.ledger.oldest_pending_ms;
        let ms = oldest.map_or(0, |oldest| scene.now_ms.saturating_sub(oldest).max(0));
        (labels.clone(), ms as f64 / 1000.0)
    });
    gauge(
        registry,
        "sluice_lag_seconds",
        "Age of the oldest change that waits",
        lag,
    );
}

fn of_process(registry: &mut Registry, scene: &Scene) {
    let Process {
        resident_bytes,
        cpu,
        open_files,
        most_files,
    } = scene.process;
    let began = scene.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    counter(
        registry,
        "process_cpu_seconds",
        "Processor time of the whole process",
        [(vec![], cpu.as_secs_f64())],
    );
    for (name, help, value) in [
        (
            "process_start_time_seconds",
            "When the process began, since 1970",
            Some(began.as_secs_f64()),
        ),
        (
            "process_resident_memory_bytes",
            "Memory that the process has",
            resident_bytes.map(|n| n as f64),
        ),
        (
            "process_open_fds",
            "Files and connections that are open",
            open_files.map(|n| n as f64),
        ),
        (
            "process_max_fds",
            "How many of these there may be",
            most_files.map(|n| n as f64),
        ),
    ] {
        gauge(registry, name, help, value.map(|value| (vec![], value)));
    }
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    gauge(
        registry,
        "sluice_build_info",
        "Which sluice this is",
        [(version, 1.0)],
    );
}

fn of_export(export: &Observer) -> Labels {
    vec![
        ("tenant", export.tenant.clone()),
        ("export", export.id.clone()),
    ]
}

/// What each version of an export's plugin uses, with its labels.
fn bills(export: &Observer) -> Vec<(Labels, Bill)> {
    let labelled = |bill: Bill| {
        let mut labels = of_export(export);
        labels.push(("plugin", plain(&bill.plugin)));
        labels.push(("plugin_version", plain(&bill.version)));
        (labels, bill)
    };
    export.bills.all().into_iter().map(labelled).collect()
}

fn with(labels: &Labels, name: &'static str, value: &str) -> Labels {
    let mut labels = labels.clone();
    labels.push((name, value.to_owned()));
    labels
}

/// A name as the plugin gives it, cut to what one may be.
fn plain(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
    let chars = name.chars().take(64);
    chars.map(|c| if fine(c) { c } else { '_' }).collect()
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn number(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
