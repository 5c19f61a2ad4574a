//! The demo: backfill, changes during the import, changes after it, and the proof that the account
//! holds what it should.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use retention_science_simulator::{Config, Definition, Simulator};
use sluice_audience::{Audience, Expected, definitions, forbidden_fields, unexpected_fields};
use tokio::process::Child;

use crate::config;
use crate::sluice::{Sluice, terminate};

const SEED: u64 = 2026;

/// Simulated time that the import job takes: long enough to send changes meanwhile.
const QUEUED_MS: u64 = 1_000;
const PROCESSING_MS: u64 = 4_000;

/// A demo that has not ended by now never will.
const PATIENCE: Duration = Duration::from_secs(300);

/// The one field beside the mapped ones that a request may hold.
const FLAGS: [&str; 1] = ["send_transactional_welcome"];

pub async fn demo(program: &Path, component: &Path, members: u64, changes: u64) -> Result<()> {
    let began = Instant::now();
    let directory = tempfile::tempdir()?;
    let simulator = account(QUEUED_MS, PROCESSING_MS).await?;
    say(format_args!(
        "a simulated Retention Science account listens at {}",
        simulator.url()
    ));
    config::Export {
        members: Some("members.ndjson"),
        changes: Some("changes.ndjson"),
        ..config::Export::new(component, &simulator.url())
    }
    .write(directory.path(), "demo")?;

    let audience = Audience::new(members, SEED);
    let mut expected = Expected::new();
    let mut file = BufWriter::new(File::create(directory.path().join("members.ndjson"))?);
    for line in audience.members() {
        expected.member(&line);
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    let mut log = File::create(directory.path().join("changes.ndjson"))?;
    say(format_args!(
        "wrote an audience of {members} members: Unicode, quotes, line breaks, missing and doubled \
         emails, arrays, maps, nulls"
    ));

    say("sluice run: scan, CSV, import job, then changes as they come\n");
    let sluice = Sluice::new(program, directory.path())?;
    let mut running = sluice.command("run").args(["--log", "warn"]).spawn()?;
    let started = Instant::now();
    wait(&mut running, || !simulator.jobs().is_empty()).await?;
    let scanned = started.elapsed();

    let during = changes / 4;
    for line in audience.changes(0..during) {
        expected.change(&line);
        writeln!(log, "{line}")?;
    }
    log.sync_all()?;
    say(format_args!(
        "{during} members change while the import job is pending: these wait"
    ));
    let imported = |simulator: &Simulator| {
        simulator
            .jobs()
            .iter()
            .all(|job| job["status"] == "succeeded")
    };
    wait(&mut running, || imported(&simulator)).await?;
    for line in audience.changes(during..changes) {
        expected.change(&line);
        writeln!(log, "{line}")?;
    }
    log.sync_all()?;
    let sent = Instant::now();
    say(format_args!(
        "the import job has succeeded; {} more members change",
        changes - during
    ));
    loop {
        let status = sluice.status().await?;
        let live = &status["live"];
        if status["phase"] == "live" && live["received"] == changes && live["pending"] == 0 {
            break;
        }
        check_alive(&mut running, started)?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let delivered = sent.elapsed();
    let end = terminate(running).await?;
    ensure!(
        end.success(),
        "sluice did not end well after SIGTERM: {end}"
    );
    say("sluice was asked to stop, and has ended with exit code 0\n");

    sluice.print_status().await?;
    report(&sluice, &simulator, &expected).await?;
    println!(
        "\n{members} members scanned, staged and uploaded in {:.1} s; the last {} changes delivered in \
         {:.1} s; {:.0} s in all.",
        scanned.as_secs_f64(),
        changes - during,
        delivered.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A simulated account that knows the audience's attributes.
pub async fn account(queue_delay_ms: u64, processing_delay_ms: u64) -> Result<Simulator> {
    let config = Config {
        api_key: config::KEY.to_owned(),
        queue_delay_ms,
        processing_delay_ms,
        ..Config::default()
    };
    let simulator = Simulator::start(config).await?;
    let define = |(group, name, kind): &(&str, &str, &str)| {
        Ok(Definition::new(
            group,
            name,
            kind.parse().map_err(anyhow::Error::msg)?,
        ))
    };
    simulator.define(definitions().iter().map(define).collect::<Result<_>>()?);
    Ok(simulator)
}

/// Compares what the account holds with what it should hold, and what was counted with what was
/// made.
async fn report(sluice: &Sluice, simulator: &Simulator, expected: &Expected) -> Result<()> {
    let status = sluice.status().await?;
    let comparison = expected.compare(simulator.users());
    let counts = expected.counts();
    let stats = simulator.stats();
    let forbidden = forbidden_fields(&stats);
    let unexpected = unexpected_fields(&stats, &FLAGS);
    println!("\nThe account, compared with a model of its own: {comparison}");
    let quarantined = counts.rejected + counts.refused;
    for (what, found, wanted) in [
        (
            "members received",
            &status["backfill"]["received"],
            counts.received,
        ),
        (
            "members quarantined",
            &status["backfill"]["quarantined"],
            quarantined,
        ),
        (
            "changes received",
            &status["live"]["received"],
            counts.changes,
        ),
    ] {
        println!("  {what}: {found}, expected {wanted}");
        ensure!(*found == wanted, "{what}: {found}, expected {wanted}");
    }
    println!(
        "  consent or unsubscribe fields received: {}",
        forbidden.len()
    );
    println!("  welcome mails sent: {}", stats["mails"]);
    ensure!(
        comparison.is_clean(),
        "the account does not hold what it should"
    );
    ensure!(status["adds_up"] == true, "the counts do not add up");
    ensure!(
        forbidden.is_empty(),
        "fields that nobody mapped were sent: {forbidden:?}"
    );
    ensure!(
        unexpected.is_empty(),
        "fields that nobody mapped were sent: {unexpected:?}"
    );
    println!("Every member is right, and the counts add up.");
    Ok(())
}

async fn wait(running: &mut Child, done: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !done() {
        check_alive(running, began)?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn check_alive(running: &mut Child, since: Instant) -> Result<()> {
    if let Some(end) = running.try_wait()? {
        anyhow::bail!("sluice has ended: {end}");
    }
    ensure!(
        since.elapsed() < PATIENCE,
        "sluice did not get there within {PATIENCE:?}"
    );
    Ok(())
}

fn say(what: impl std::fmt::Display) {
    println!("demo   {what}");
}
