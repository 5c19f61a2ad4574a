//! What `status` says of versions.

use sluice::export::{Swap, SwapOutcome, Wanted};
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
        lines.push(under_way(swap, &report.export));
    }
    for wanted in &report.wanted {
        if let Wanted::Begin { to, .. } = wanted {
            lines.push(format!(
                "swap to {to} is wanted, and has not begun (`sluice plugin rollback {}` withdraws it)",
                active.name
            ));
        }
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

/// How a swap goes in this export, or for whom it waits.
fn under_way(swap: &Swap, export: &str) -> String {
    if swap.decided {
        return format!("{} is promoted once the scan has ended", swap.to);
    }
    let line = format!("swap to {} since {}: ", swap.to, time(swap.began_ms));
    let leaders = &swap.plan.leaders;
    let leads = leaders.iter().any(|leader| leader == export);
    if !leaders.is_empty() && !leads {
        let go = if leaders.len() == 1 { "goes" } else { "go" };
        return format!(
            "{line}it waits for {}, which {go} first (`sluice plugin promote` and `rollback` do not wait)",
            leaders.join(", ")
        );
    }
    let (new, old) = (&swap.new, &swap.old);
    let mut line = format!(
        "{line}{} of {} batches (the old version had {})",
        new.batches, swap.plan.batches, old.batches
    );
    if new.fruitless > 0 {
        line += &format!("; its latest {} came to nothing", new.fruitless);
    }
    if leads {
        line += "; exports that are not named wait for it";
    }
    line
}

#[cfg(test)]
mod tests {
    use sluice::export::{Plan, Version, Versions};

    use super::*;

    #[test]
    fn a_swap_says_how_far_it_is_and_for_whom_it_waits() {
        let version = |version: &str| Version {
            name: "p".to_owned(),
            version: version.to_owned(),
            sha256: "0123456789abcdef".to_owned(),
            contract: "0.2.0".to_owned(),
        };
        let mut versions = Versions::first(version("1.0.0"), vec![], 0);
        for (leaders, fruitless, expected) in [
            (&[][..], 0, "3 of 20 batches (the old version had 27)"),
            (
                &[],
                4,
                "3 of 20 batches (the old version had 27); its latest 4 came to nothing",
            ),
            (
                &["acme/all"],
                0,
                "3 of 20 batches (the old version had 27); exports that are not named wait for it",
            ),
            (
                &["acme/vip"],
                0,
                "it waits for acme/vip, which goes first (`sluice plugin promote` and `rollback` do not wait)",
            ),
            (
                &["acme/vip", "umbra/all"],
                0,
                "it waits for acme/vip, umbra/all, which go first (`sluice plugin promote` and `rollback` do \
                 not wait)",
            ),
        ] {
            let plan = Plan {
                percent: 10,
                batches: 20,
                leaders: leaders.iter().map(|&one| one.to_owned()).collect(),
            };
            versions.begin("s", &version("2.0.0"), &plan, 0);
            let mut swap = versions.swap.clone().unwrap();
            (swap.new.batches, swap.new.fruitless) = (3, fruitless);
            swap.old.batches = 27;
            let line = under_way(&swap, "acme/all");
            let begin = format!("swap to p 2.0.0 (0123456789ab) since {}: ", time(0));
            assert_eq!(line.strip_prefix(&begin), Some(expected));
        }
    }
}
