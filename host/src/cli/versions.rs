//! What `status` says of versions.

use sluice::export::SwapOutcome;
use sluice::registry::short;

use super::status::{Configured, Report, Version};
use super::stores::time;

/// Which version an export runs, how its swap goes, and how the last one has ended.
pub fn lines(report: &Report) -> Vec<String> {
    let Configured {
        version, sha256, ..
    } = &report.plugin;
    let Some(versions) = &report.versions else {
        return match (version, sha256) {
            (Some(Version { name, version }), Some(sha256)) => {
                vec![format!(
                    "set to run {name} {version}, SHA-256 {}",
                    short(sha256)
                )]
            }
            _ => vec![],
        };
    };
    let active = &versions.active;
    let mut line = format!(
        "runs {} {}, SHA-256 {}, since {}",
        active.name,
        active.version,
        short(&active.sha256),
        time(versions.since_ms)
    );
    match sha256 {
        Some(sha256) if *sha256 != active.sha256 => {
            line += &format!("; the configuration names {}", short(sha256));
        }
        _ => {}
    }
    let mut lines = vec![line];
    if let Some(swap) = &versions.swap {
        lines.push(match swap.decided {
            true => format!("{} is promoted once the scan has ended", swap.to),
            false => format!(
                "swap to {} since {}: {} of {} batches (the old version had {})",
                swap.to,
                time(swap.began_ms),
                swap.new.batches,
                swap.plan.batches,
                swap.old.batches
            ),
        });
    }
    if let Some(last) = &versions.last {
        let what = match last.outcome {
            SwapOutcome::Promoted => "was promoted",
            SwapOutcome::RolledBack => "was rolled back",
            SwapOutcome::Refused => "was refused",
        };
        let (to, at, why) = (&last.to, time(last.at_ms), &last.why);
        lines.push(format!("{to} {what} at {at}: {why}"));
    }
    lines
}
