//! What the batches of a live export notice when its plugin is swapped every second: the time from a
//! change's being written to its effect at the destination, without and with swaps, by turns in one run.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::isolation::effects;
use crate::neighbours::Good;
use crate::sluice::{Sluice, terminate};

/// Time between two changes. Most are a batch of their own, in one of four lanes.
const EVERY: Duration = Duration::from_millis(10);

/// Time between two swaps, unless one takes longer.
const SWAP_EVERY: Duration = Duration::from_secs(1);

/// How long each part of a round lasts.
const PART: Duration = Duration::from_secs(10);

/// By turns and again: what else the machine does falls upon all.
const ROUNDS: usize = 3;

/// Fewer swaps of a kind measure nothing.
const ENOUGH: usize = 10;

/// Until the last changes of a part have arrived, as a rule: who looks for them takes time from them.
const REST: Duration = Duration::from_millis(500);

/// What has not happened by now never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// What stands in the component of `tests/versions`, up to the version.
const MARK: &[u8] = b"sluice-version:";

/// What happens beside the batches.
struct Kind {
    name: &'static str,
    /// How `plugin swap` is called; nothing for no swaps.
    plan: &'static [&'static str],
    /// Whether each swap is to a version that was never compiled.
    cold: bool,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "none",
        plan: &[],
        cold: false,
    },
    Kind {
        name: "at once",
        plan: &["--batches=0"],
        cold: false,
    },
    Kind {
        name: "canary of 20",
        plan: &["--batches=20", "--canary=50%"],
        cold: false,
    },
    Kind {
        name: "compiled anew",
        plan: &["--batches=0"],
        cold: true,
    },
];

/// What was seen of one kind.
#[derive(Default)]
struct Measured {
    /// Microseconds from each change's being written to its effect.
    delays: Vec<u64>,
    /// From a command to its version's being promoted.
    swaps: Vec<Duration>,
}

impl Measured {
    fn percentile(&self, percent: usize) -> f64 {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let last = delays.len().saturating_sub(1);
        delays
            .get(last * percent / 100)
            .map_or(0.0, |us| *us as f64 / 1_000.0)
    }

    fn add(&mut self, other: Self) {
        self.delays.extend(other.delays);
        self.swaps.extend(other.swaps);
    }
}

/// A live export, and those who change it.
struct Scene {
    folder: PathBuf,
    sluice: Sluice,
    /// Versions that took over, as the log tells it, or why one did not.
    ends: UnboundedReceiver<(String, Instant)>,
    component: Vec<u8>,
    /// Of the last version that was never there before, and of the one that works.
    newest: u32,
    active: u32,
}

pub async fn bench(program: &Path, component: &Path) -> Result<()> {
    println!(
        "\nswaps: a live export, 4 lanes, {} changes a second from stdin; its plugin is swapped every second, \
         {ROUNDS} rounds of\n{} s each: not at all, at once, with a canary of 20 batches, and at once to a version that \
         is compiled for it",
        1_000 / EVERY.as_millis(),
        PART.as_secs(),
    );
    let folder = tempfile::tempdir()?;
    let path = component.with_file_name("sluice_versions.wasm");
    let component = std::fs::read(&path).with_context(|| format!("no {}", path.display()))?;
    let started = folder.path().join("plugin.wasm");
    std::fs::write(&started, version(&component, 0)?)?;
    let (reader, writer) = std::io::pipe()?;
    let writer = File::from(OwnedFd::from(writer));
    let mut good = Good::fed(folder.path(), &started, "good", 7, ("-", writer)).await?;
    let sluice = Sluice::new(program, folder.path())?;
    let mut running = sluice
        .command("run")
        .args(["--log", "info", "--log-json"])
        .stdin(OwnedFd::from(reader))
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let ends = tokio::time::timeout(PATIENCE, follow(&mut running))
        .await
        .context("the export does not become live")??;
    let mut scene = Scene {
        folder: folder.path().to_owned(),
        sluice,
        ends,
        component,
        newest: 2,
        active: 0,
    };
    // Both versions of the warm kinds are compiled before anything counts.
    for number in [1, 2] {
        scene.swap(number, KINDS[1].plan).await?;
    }

    println!(
        "{:>8} {:>14} {:>6} {:>9} {:>9} {:>9}",
        "round", "swaps", "number", "p50 ms", "p99 ms", "max ms"
    );
    let mut all: [Measured; KINDS.len()] = Default::default();
    let mut number = 0;
    for round in 1..=ROUNDS {
        for (kind, measured) in KINDS.iter().zip(&mut all) {
            let one = part(&mut scene, &mut good, kind, &mut number).await?;
            println!(
                "{round:>8} {:>14} {:>6} {:>9.1} {:>9.1} {:>9.1}",
                kind.name,
                one.swaps.len(),
                one.percentile(50),
                one.percentile(99),
                one.percentile(100),
            );
            measured.add(one);
            ensure!(running.try_wait()?.is_none(), "sluice has ended");
        }
    }
    let end = terminate(running).await?;
    ensure!(end.success(), "sluice did not end well: {end}");
    good.prove(&scene.sluice.statuses().await?)?;
    report(&all)
}

fn report(all: &[Measured; KINDS.len()]) -> Result<()> {
    println!("all rounds together, and the ratio to no swaps:");
    for (percent, name) in [(50, "p50"), (99, "p99"), (100, "max")] {
        let none = all[0].percentile(percent);
        print!("{name:>6} ms from written to effect: none {none:.1}");
        for (kind, measured) in KINDS.iter().zip(all).skip(1) {
            let ms = measured.percentile(percent);
            print!(", {} {ms:.1} ({:.2})", kind.name, ms / none);
        }
        println!();
    }
    print!("   s from the command until it is promoted, median and max:");
    for (kind, measured) in KINDS.iter().zip(all).skip(1) {
        let mut swaps = measured.swaps.clone();
        swaps.sort_unstable();
        let (median, max) = (swaps.get(swaps.len() / 2), swaps.last());
        print!(
            " {} {:.2} {:.2};",
            kind.name,
            median.unwrap_or(&Duration::ZERO).as_secs_f64(),
            max.unwrap_or(&Duration::ZERO).as_secs_f64()
        );
        ensure!(
            measured.swaps.len() > ENOUGH || kind.cold,
            "{} swaps ({}) are too few to measure anything",
            measured.swaps.len(),
            kind.name
        );
    }
    let (changes, swaps) = all.iter().fold((0, 0), |(changes, swaps), one| {
        (changes + one.delays.len(), swaps + one.swaps.len())
    });
    println!(
        "\n({changes} changes and {swaps} swaps: every change had its effect, the counts add up, and the account \
         equals its model)"
    );
    Ok(())
}

/// Feeds the export for a while, swaps beside it, and waits until everything has had its effect.
async fn part(
    scene: &mut Scene,
    good: &mut Good,
    kind: &Kind,
    number: &mut u64,
) -> Result<Measured> {
    let done = Cell::new(false);
    let mut written = HashMap::new();
    let feed = async {
        let mut next = tokio::time::interval(EVERY);
        // A canary that is not over yet needs batches.
        while !done.get() {
            next.tick().await;
            let at_us = good.simulator.wall_us();
            if let Some(member) = good.change(*number)? {
                written.insert(*number, (member, at_us));
            }
            *number += 1;
        }
        anyhow::Ok(())
    };
    let swap = async {
        let swaps = scene.swaps(kind).await;
        done.set(true);
        swaps
    };
    let (fed, swaps) = tokio::join!(feed, swap);
    let swaps = swaps?;
    fed?;
    tokio::time::sleep(REST).await;
    let all = |sim: &_| effects(sim, &written, "wall_us").is_some();
    tokio::time::timeout(PATIENCE, good.simulator.until(all))
        .await
        .context("a change does not arrive")?;
    let delays = effects(&good.simulator, &written, "wall_us");
    Ok(Measured {
        delays: delays.unwrap_or_default(),
        swaps,
    })
}

impl Scene {
    /// Swaps for as long as a part lasts; answers how long each took.
    async fn swaps(&mut self, kind: &Kind) -> Result<Vec<Duration>> {
        let end = tokio::time::Instant::now() + PART;
        let mut took = vec![];
        if !kind.plan.is_empty() {
            let mut next = tokio::time::interval(SWAP_EVERY);
            next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while tokio::time::Instant::now() < end {
                next.tick().await;
                let to = match (kind.cold, self.active) {
                    (true, _) => {
                        self.newest += 1;
                        self.newest
                    }
                    (false, 1) => 2,
                    (false, _) => 1,
                };
                took.push(self.swap(to, kind.plan).await?);
            }
        }
        tokio::time::sleep_until(end).await;
        Ok(took)
    }

    /// Swaps to a version as an operator does; answers how long it takes until it works.
    async fn swap(&mut self, to: u32, plan: &[&str]) -> Result<Duration> {
        let file = self.folder.join(format!("version-{to}.wasm"));
        if !file.exists() {
            std::fs::write(&file, version(&self.component, to)?)?;
        }
        let began = Instant::now();
        let swap = self.sluice.command("plugin swap");
        let called = call(swap, &file, plan).await?;
        let ended = tokio::time::timeout(PATIENCE, self.ends.recv()).await;
        let (what, at) = ended
            .context("a swap does not end")?
            .context("sluice has ended")?;
        let wanted = format!("retention-science 0.9.{to:02}");
        ensure!(
            what.starts_with(&wanted),
            "not {wanted} but {what}; {called}"
        );
        self.active = to;
        Ok(at - began)
    }
}

async fn call(mut command: tokio::process::Command, file: &Path, plan: &[&str]) -> Result<String> {
    let output = command
        .args(["retention-science", "--detach"])
        .arg(file)
        .args(plan)
        .output()
        .await?;
    let said = format!(
        "`plugin swap` said: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

/// Reads the log until the export is live; then on, for swaps that end.
async fn follow(running: &mut Child) -> Result<UnboundedReceiver<(String, Instant)>> {
    let log = running.stderr.take().context("no log")?;
    let mut lines = BufReader::new(log).lines();
    loop {
        let line = lines.next_line().await?.context("sluice has ended")?;
        let event: Value = serde_json::from_str(&line).context(line)?;
        if event["to"] == "live" {
            break;
        }
    }
    let (tell, ends) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let at = Instant::now();
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let message = event["message"].as_str().unwrap_or_default();
            let what = match message {
                "promoted" => event["to"].as_str().unwrap_or_default().to_owned(),
                _ if message.starts_with("rolled back") || message.contains("is refused") => line,
                _ => continue,
            };
            if tell.send((what, at)).is_err() {
                return;
            }
        }
    });
    Ok(ends)
}

/// The exporter as version `0.9.NN`.
fn version(component: &[u8], number: u32) -> Result<Vec<u8>> {
    if number > 99 {
        bail!("there are no more versions");
    }
    let mut bytes = component.to_vec();
    let at = bytes
        .windows(MARK.len())
        .position(|window| window == MARK)
        .context("the component holds no mark")?;
    let text = format!("sluice-version:0.9.{number:02}");
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    Ok(bytes)
}
