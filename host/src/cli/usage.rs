//! `sluice status --usage`: what exports have used, for people.

use comfy_table::{CellAlignment, Table, presets};
use sluice::usage::UsageReport;

use super::status::Report;
use super::stores::grouped;

/// A table, and below it what was denied or came to a limit.
pub fn print(reports: &[Report]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "export",
        "plugin",
        "calls",
        "plugin CPU",
        "host CPU",
        "requests",
        "sent",
        "received",
        "staged",
        "peak memory",
    ]);
    for report in reports {
        for (index, used) in report.usage.iter().enumerate() {
            let first = if index == 0 {
                report.export.as_str()
            } else {
                ""
            };
            table.add_row(row(first, used));
        }
    }
    for column in 2..=9 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    for report in reports {
        for used in &report.usage {
            let lines = [
                line("requests denied", &used.denied),
                line("limits reached", &used.limits_reached),
            ];
            for line in lines.into_iter().flatten() {
                println!(
                    "{} ({} {}): {line}",
                    report.export, used.plugin, used.plugin_version
                );
            }
            if used.log_lines_dropped > 0 {
                let n = grouped(used.log_lines_dropped);
                println!("{}: lines of the plugin dropped: {n}", report.export);
            }
        }
    }
}

fn row(export: &str, used: &UsageReport) -> Vec<String> {
    vec![
        export.to_owned(),
        format!("{} {}", used.plugin, used.plugin_version),
        grouped(used.calls),
        seconds(used.guest_cpu_ms),
        seconds(used.host_cpu_ms),
        grouped(used.requests),
        bytes(used.bytes_out),
        bytes(used.bytes_in),
        format!("{}·h", bytes(used.staged_byte_seconds / 3600)),
        bytes(used.peak_memory_bytes),
    ]
}

fn line(what: &str, counts: &std::collections::BTreeMap<&'static str, u64>) -> Option<String> {
    let each: Vec<_> = counts
        .iter()
        .map(|(name, n)| format!("{name} {}", grouped(*n)))
        .collect();
    (!each.is_empty()).then(|| format!("{what}: {}", each.join(", ")))
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", grouped(ms / 1000), ms % 1000 / 100)
}

/// In the largest unit of which there is one.
fn bytes(n: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, shift)| n >> shift > 0);
    match unit {
        None => format!("{n} B"),
        Some((unit, shift)) => {
            let tenths = (u128::from(n) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 * (1 << 30) / 2, "2.5 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(seconds(1_234_567), "1,234.5 s");
        assert_eq!(seconds(49), "0.0 s");
    }
}
