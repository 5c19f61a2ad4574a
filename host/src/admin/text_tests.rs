use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus_parse::{Scrape, Value};

use super::*;
use crate::store::{Counts, Ledger, Recorded};
use crate::usage::{Denied, Used};

/// An export that is parked with a text that must not be seen, and one that has not begun.
fn scene() -> Scene {
    let parked = Observer::of("acme", "vip", "retention-science", "0.1.0");
    let usage = &parked.bills.all()[0].usage;
    usage.resume(Used::default(), None, 0, 0);
    usage.call();
    usage.cpu(Duration::from_millis(1500), Duration::from_millis(250));
    usage.request(1000);
    usage.received(50);
    usage.denied(Denied::Route);
    usage.limit("cpu_ms");
    usage.line_dropped("log_lines_per_second");
    usage.memory(1 << 20);
    usage.kept(&usage.take());
    usage.delivered_in(Duration::from_millis(70));
    usage.delivered_in(Duration::from_secs(700));
    let reason = Reason::Unauthorized("the key of jane@example.com".to_owned());
    let counts = PhaseCounts {
        received: 10,
        delivered: 5,
        quarantined: 2,
        superseded: 1,
        dropped: 0,
        pending: 2,
    };
    let observed = Observed {
        recorded: Some(Recorded {
            state: State::Parked {
                reason,
                from: Box::new(State::Live),
            },
            since_ms: 0,
            last_error: Some(("jane@example.com".to_owned(), 0)),
            next_try_ms: None,
        }),
        ledger: Ledger {
            counts: Counts {
                backfill: PhaseCounts::default(),
                live: counts,
            },
            oldest_pending_ms: Some(4_500),
            log_bytes: 512,
        },
    };
    let version = format!("1.0\"}} 1\nevil_metric{{a=\"é{}", "x".repeat(100));
    Scene {
        exports: vec![
            Seen {
                export: parked,
                up: true,
                observed: Some(observed),
            },
            Seen {
                export: Observer::of("beta", "all", "probe", &version),
                up: false,
                observed: None,
            },
        ],
        process: Process {
            resident_bytes: Some(1 << 26),
            cpu: Duration::from_secs(3),
            open_files: Some(20),
            most_files: None,
        },
        began: UNIX_EPOCH + Duration::from_secs(1_000),
        now_ms: 6_000,
    }
}

fn parsed(text: &str) -> Scrape {
    Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap()
}

/// The value of the only sample with these labels among its own.
fn value(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found: Vec<_> = scrape
        .samples
        .iter()
        .filter(|sample| sample.metric == name)
        .filter(|sample| {
            labels
                .iter()
                .all(|(name, value)| sample.labels.get(name) == Some(value))
        })
        .collect();
    match found[..] {
        [sample] => match sample.value {
            Value::Counter(n) | Value::Gauge(n) => n,
            ref other => panic!("{name}: {other:?}"),
        },
        ref other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn what_is_shown_is_what_was_counted() {
    let scrape = parsed(&text(&scene()));
    let vip = [("tenant", "acme"), ("export", "vip")];
    for (name, expected) in [
        ("sluice_plugin_calls_total", 1.0),
        ("sluice_plugin_cpu_seconds_total", 1.5),
        ("sluice_host_cpu_seconds_total", 0.25),
        ("sluice_requests_total", 1.0),
        ("sluice_sent_bytes_total", 1000.0),
        ("sluice_received_bytes_total", 50.0),
        ("sluice_log_lines_dropped_total", 1.0),
        ("sluice_plugin_peak_memory_bytes", 1048576.0),
        ("sluice_lag_seconds", 1.5),
        ("sluice_log_bytes", 512.0),
    ] {
        assert_eq!(value(&scrape, name, &vip), expected, "{name}");
    }
    for (name, label, of, expected) in [
        ("sluice_requests_denied_total", "reason", "route", 1.0),
        ("sluice_requests_denied_total", "reason", "path", 0.0),
        ("sluice_limits_reached_total", "limit", "cpu_ms", 1.0),
        ("sluice_limits_reached_total", "limit", "memory_mib", 0.0),
        ("sluice_export_phase", "phase", "parked", 1.0),
        ("sluice_export_phase", "phase", "live", 0.0),
        ("sluice_export_parked", "why", "unauthorized", 1.0),
        ("sluice_export_parked", "why", "paused", 0.0),
        ("sluice_rows_pending", "phase", "live", 2.0),
        ("sluice_rows_quarantined", "phase", "live", 2.0),
        ("sluice_export_up", "tenant", "acme", 1.0),
        ("sluice_export_up", "tenant", "beta", 0.0),
    ] {
        assert_eq!(
            value(&scrape, name, &[(label, of)]),
            expected,
            "{name} {of}"
        );
    }
    let runs = [("plugin_version", "0.1.0"), ("sha256", "0123456789ab")];
    assert_eq!(value(&scrape, "sluice_plugin_info", &runs), 1.0);
    let delivered = [("phase", "live"), ("outcome", "delivered")];
    assert_eq!(value(&scrape, "sluice_rows_total", &delivered), 5.0);
    assert_eq!(value(&scrape, "process_cpu_seconds_total", &[]), 3.0);
    assert_eq!(value(&scrape, "process_start_time_seconds", &[]), 1000.0);
}

#[test]
fn every_metric_says_what_it_is_and_is_named_by_the_conventions() {
    let text = text(&scene());
    let scrape = parsed(&text);
    let kinds: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    assert!(kinds.len() > 20, "{kinds:?}");
    let units = ["seconds", "bytes", "bytes_total", "seconds_total"];
    for (name, kind) in &kinds {
        assert!(scrape.docs.contains_key(*name), "{name} has no HELP");
        assert_eq!(
            *kind == "counter",
            name.ends_with("_total"),
            "{name} is a {kind}"
        );
        assert!(name.starts_with("sluice_") || name.starts_with("process_"));
        assert!(
            ["counter", "gauge", "histogram"].contains(kind),
            "{name} is a {kind}"
        );
        // A unit stands at the end.
        let parts: Vec<_> = name.split('_').collect();
        if parts.iter().any(|part| ["seconds", "bytes"].contains(part)) {
            assert!(units.iter().any(|unit| name.ends_with(unit)), "{name}");
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let base = name.strip_suffix(end)?;
            (kinds.get(base) == Some(&"histogram")).then_some(base)
        });
        assert!(kinds.contains_key(base.unwrap_or(name)), "{line}");
    }
}

#[test]
fn labels_are_few_and_hold_nothing_that_a_plugin_or_a_destination_said() {
    let text = text(&scene());
    assert!(
        !text.contains("jane") && !text.contains("evil_metric{"),
        "{text}"
    );
    let known = [
        "tenant",
        "export",
        "plugin",
        "plugin_version",
        "sha256",
        "phase",
        "outcome",
        "reason",
        "limit",
        "why",
        "version",
    ];
    let scrape = parsed(&text);
    let mut names = BTreeSet::new();
    for sample in &scrape.samples {
        names.extend(sample.labels.keys().cloned());
        for value in sample.labels.values() {
            assert!(value.len() <= 64, "{value}");
        }
    }
    assert!(
        names.iter().all(|name| known.contains(&name.as_str())),
        "{names:?}"
    );
    let of_vip = scrape
        .samples
        .iter()
        .filter(|sample| sample.labels.get("export") == Some("vip"));
    // Whatever happens, an export has so many and no more.
    assert!(of_vip.count() < 100);
}

#[test]
fn a_counter_is_not_shown_before_it_is_known_where_it_stood() {
    let text = text(&scene());
    let beta = |name: &str| {
        let mut lines = text.lines().filter(|line| line.starts_with(name));
        lines.any(|line| line.contains("tenant=\"beta\""))
    };
    assert!(!beta("sluice_requests_total"));
    assert!(!beta("sluice_rows_total"));
    assert!(beta("sluice_export_up"));
}

#[test]
fn latencies_are_in_their_buckets() {
    let scrape = parsed(&text(&scene()));
    let histograms: Vec<_> = scrape
        .samples
        .iter()
        .filter(|sample| sample.metric == "sluice_deliver_seconds")
        .filter(|sample| sample.labels.get("export") == Some("vip"))
        .collect();
    let [sample] = histograms[..] else {
        panic!("{histograms:?}");
    };
    let Value::Histogram(buckets) = &sample.value else {
        panic!("{sample:?}");
    };
    let counts: Vec<_> = buckets.iter().map(|bucket| bucket.count).collect();
    assert_eq!(counts, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
    assert!(buckets[8].less_than.is_infinite());
}
