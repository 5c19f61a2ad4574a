//! Measurements: how much memory a run takes over audience sizes, and how fast it is against the
//! plainest program that reads the same file. Ratios in one run; nothing here fails a test.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Config, Simulator};
use sluice_audience::Audience;

use crate::config;
use crate::sluice::Sluice;

/// What is measured, smallest first.
const SIZES: [u64; 2] = [200_000, 2_000_000];

pub async fn bench(program: &Path, component: &Path) -> Result<()> {
    let mut peaks = vec![];
    println!(
        "{:>10} {:>9} {:>9} {:>12} {:>12} {:>11}",
        "members", "MB", "seconds", "members/s", "parse only", "peak RSS"
    );
    for members in SIZES {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("members.ndjson");
        let mut file = BufWriter::new(File::create(&path)?);
        for line in Audience::new(members, 1).members() {
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        let simulator = Simulator::start(Config {
            api_key: config::KEY.to_owned(),
            ..Config::default()
        })
        .await?;
        config::Export {
            members: Some("members.ndjson"),
            ..config::Export::new(component, &simulator.url())
        }
        .write(directory.path(), "demo")?;
        let sluice = Sluice::new(program, directory.path())?;
        let began = Instant::now();
        let mut running = sluice
            .command("run")
            .args(["--until-live", "--log", "error"])
            .stdout(std::process::Stdio::null())
            .spawn()?;
        let pid = running.id().context("it has ended already")?;
        let mut peak = 0;
        let status = loop {
            tokio::select! {
                status = running.wait() => break status?,
                () = tokio::time::sleep(Duration::from_millis(50)) => peak = peak.max(rss(pid)),
            }
        };
        let took = began.elapsed();
        // 7: done, with rows in quarantine, as this audience wants it.
        ensure!(status.code() == Some(7), "sluice has ended with {status}");
        let parse = parse_only(&path)?;
        println!(
            "{members:>10} {:>9} {:>9.1} {:>12.0} {:>11.1}x {:>8} MiB",
            std::fs::metadata(&path)?.len() / 1_000_000,
            took.as_secs_f64(),
            members as f64 / took.as_secs_f64(),
            took.as_secs_f64() / parse.as_secs_f64(),
            peak >> 20,
        );
        peaks.push(peak);
    }
    println!(
        "peak RSS, largest to smallest audience: {:.2}",
        peaks[1] as f64 / peaks[0] as f64
    );
    println!("(parse only: how many times as long as reading the same file with serde_json takes)");
    Ok(())
}

/// The high-water mark of a process's memory, in bytes.
fn rss(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kib| kib << 10)
}

fn parse_only(path: &Path) -> Result<Duration> {
    let began = Instant::now();
    for line in BufReader::new(File::open(path)?).lines() {
        std::hint::black_box(serde_json::from_str::<serde_json::Value>(&line?)?);
    }
    Ok(began.elapsed())
}
