//! What 45 exports notice of bad neighbours in the same process: the time from a change's
//! being written to its effect at the destination, without and with them, by turns in one run.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use retention_science_simulator::Simulator;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::neighbours::{Bad, Good};
use crate::sluice::{Sluice, terminate};

/// Exports that are measured: with six bad ones, 51 in one process.
const GOOD: usize = 45;

/// Changes of each export, one after the other.
const CHANGES: u64 = 24;

/// Time between two changes of an export: 45 exports make 90 changes a second, a transaction each,
/// which leaves the machine time to spare. A machine that is full measures only how full it is.
const EVERY: Duration = Duration::from_millis(500);

/// How many bad neighbours there are, by turns.
const BAD: [usize; 3] = [0, 5, 6];

/// By turns and again: what else the machine does falls upon all.
const ROUNDS: usize = 3;

/// What has not happened by now never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one run has shown.
struct Measured {
    /// From the start of the program until the last of the 45 is live.
    backfill: Duration,
    /// Milliseconds from each change's being written to its effect, sorted.
    delays: Vec<u64>,
}

impl Measured {
    fn percentile(&self, percent: usize) -> f64 {
        let last = self.delays.len().saturating_sub(1);
        self.delays
            .get(last * percent / 100)
            .map_or(0.0, |ms| *ms as f64)
    }
}

pub async fn bench(program: &Path, component: &Path) -> Result<()> {
    println!(
        "\nisolation: {GOOD} exports in one process, {CHANGES} changes each. Bad neighbours: 5, whose \
         destination hangs, answers only\n500, or is down with the log full, whose plugin traps on every \
         call, or burns CPU in a scan without end; 6: and in 64 lanes"
    );
    println!(
        "{:>8} {:>10} {:>16} {:>9} {:>9} {:>9}",
        "round", "bad ones", "45 live after s", "p50 ms", "p99 ms", "max ms"
    );
    let mut all: [Vec<Measured>; 3] = Default::default();
    for round in 1..=ROUNDS {
        for (bad, measured) in BAD.into_iter().zip(&mut all) {
            let one = run(program, component, bad).await?;
            println!(
                "{round:>8} {bad:>10} {:>16.1} {:>9.0} {:>9.0} {:>9.0}",
                one.backfill.as_secs_f64(),
                one.percentile(50),
                one.percentile(99),
                one.percentile(100),
            );
            measured.push(one);
        }
    }
    println!("medians of {ROUNDS}, and their ratio to none:");
    let ratio = |name: &str, of: &dyn Fn(&Measured) -> f64| {
        let [none, five, six] = all.each_ref().map(|measured| median(measured, of));
        println!(
            "{name:>30}: none {none:.1}, five {five:.1} ({:.2}), six {six:.1} ({:.2})",
            five / none,
            six / none
        );
    };
    ratio("p99 ms from written to effect", &|m| m.percentile(99));
    ratio("p50 ms from written to effect", &|m| m.percentile(50));
    ratio("seconds until all 45 are live", &|m| {
        m.backfill.as_secs_f64()
    });
    println!(
        "(in every run all {GOOD} finished, their counts add up, and each account equals its model. A file \
         of changes\nis looked at every 200 ms, which is most of these times. A disk that is really full \
         cannot be had without root.)"
    );
    Ok(())
}

fn median(of: &[Measured], value: &dyn Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = of.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

async fn run(program: &Path, component: &Path, bad: usize) -> Result<Measured> {
    let folder = tempfile::tempdir()?;
    let mut good = vec![];
    for number in 0..GOOD {
        good.push(Good::new(folder.path(), component, number).await?);
    }
    let bad = match bad {
        0 => None,
        bad => Some(Bad::new(folder.path(), component, bad > 5).await?),
    };
    let sluice = Sluice::new(program, folder.path())?;
    let began = Instant::now();
    let mut running = sluice
        .command("run")
        .args(["--log", "info", "--log-json"])
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let backfill = tokio::time::timeout(PATIENCE, live(&mut running))
        .await
        .context("the 45 do not become live")??
        - began;
    let mut written = vec![HashMap::new(); GOOD];
    let mut next = tokio::time::interval(EVERY / GOOD as u32);
    for change in 0..CHANGES {
        for (good, written) in good.iter_mut().zip(&mut written) {
            next.tick().await;
            let at_ms = good.simulator.now_ms();
            if let Some(member) = good.change(change)? {
                written.insert(change, (member, at_ms));
            }
        }
    }
    let mut delays = vec![];
    for (good, written) in good.iter().zip(&written) {
        let all = good
            .simulator
            .until(|sim| effects(sim, written, "at_ms").is_some());
        tokio::time::timeout(PATIENCE, all)
            .await
            .context("a change does not arrive")?;
        delays.extend(
            effects(&good.simulator, written, "at_ms")
                .into_iter()
                .flatten(),
        );
    }
    delays.sort_unstable();
    ensure!(running.try_wait()?.is_none(), "sluice has ended");
    if let Some(bad) = &bad {
        bad.are_in_trouble(&sluice.statuses().await?)?;
    }
    let end = terminate(running).await?;
    ensure!(end.success(), "sluice did not end well: {end}");
    let statuses = sluice.statuses().await?;
    for good in &good {
        good.prove(&statuses)?;
    }
    Ok(Measured { backfill, delays })
}

/// Reads the log until all good exports are live; then on, without a look, so that nobody waits for
/// room in a pipe.
async fn live(running: &mut Child) -> Result<Instant> {
    let log = running.stderr.take().context("no log")?;
    let mut lines = BufReader::new(log).lines();
    let mut left = GOOD;
    while left > 0 {
        let line = lines.next_line().await?.context("sluice has ended")?;
        let event: Value = serde_json::from_str(&line).context(line)?;
        let export = event["export"].as_str().unwrap_or_default();
        if export.starts_with("good-") && event["to"] == "live" {
            left -= 1;
        }
    }
    let all_live = Instant::now();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(all_live)
}

/// How long each change took, in the unit of the stamp; `None` while one has had no effect. A change that was
/// laid over by a newer one of its member came with that one.
pub fn effects(
    simulator: &Simulator,
    written: &HashMap<u64, (String, u64)>,
    stamp: &str,
) -> Option<Vec<u64>> {
    let mut took = vec![];
    let mut seen = vec![];
    for request in simulator.requests() {
        if request["effect"].is_u64() {
            let number = &request["body"]["custom_attributes"]["resci"]["credits_available"];
            let number = number.as_u64().or_else(|| number.as_str()?.parse().ok())?;
            let member = request["record_id"].as_str()?.to_owned();
            seen.push((member, number, request[stamp].as_u64()?));
        }
    }
    for (change, (member, at)) in written {
        let effect = seen
            .iter()
            .filter(|(of, number, _)| of == member && number >= change)
            .map(|(_, _, effect)| *effect)
            .min()?;
        took.push(effect.saturating_sub(*at));
    }
    Some(took)
}
