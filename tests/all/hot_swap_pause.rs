//! A swap makes no batch wait: batches go on while a candidate is compiled, however long that takes and
//! however it ends, and a version that takes over does not wait for what the old one has under way.

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{FaultKind, Match, Rule};
use serde_json::Value;
use sluice::export::{Plan, Version, Wanted, swap_id};
use sluice::registry::Registry;
use sluice::store::Store;

use crate::hot_swap::{deploy, file, finish, live, version};
use crate::process::{Running, until_true};
use crate::world::World;

/// Changes that are delivered while something else hangs: one after the other, so a batch each.
const MEANWHILE: u64 = 8;

/// Some time, for the name of a swap.
pub const NOW_MS: i64 = 1_800_000_000_000;

/// The process that compiles for a running sluice, held where it is. Dropping it lets it go on.
pub struct Compilation {
    pid: String,
}

impl Compilation {
    /// Waits for it, and stops it.
    pub async fn stop(running: &mut Running) -> Result<Self> {
        let host = running.pid().context("sluice has ended")?;
        let mut pid = None;
        let begun = until_true(|| {
            pid = compiler(host);
            pid.is_some()
        });
        running.until("a compilation", begun).await?;
        let pid = pid.context("nothing is compiled")?;
        signal("STOP", &pid)?;
        Ok(Self { pid })
    }

    /// Whether it is there, and stands still.
    pub fn stands_still(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        // The name, in brackets, comes before it.
        stat.is_ok_and(|stat| stat.contains(") T "))
    }
}

impl Drop for Compilation {
    fn drop(&mut self) {
        if self.stands_still() {
            let _ = signal("CONT", &self.pid);
        }
    }
}

/// A child of a process, which has none but for compiling.
fn compiler(host: u32) -> Option<String> {
    let threads = std::fs::read_dir(format!("/proc/{host}/task")).ok()?;
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .find_map(|children| children.split_whitespace().next().map(str::to_owned))
}

/// Sends a signal to a process.
pub fn signal(name: &str, pid: &str) -> Result<()> {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), pid])
        .status()?;
    ensure!(sent.success(), "cannot send SIG{name} to process {pid}");
    Ok(())
}

/// Appends changes one after the other, and waits for each until it is delivered.
async fn deliver(world: &mut World, running: &mut Running) -> Result<()> {
    let first = world.expected.counts().changes;
    for number in first..first + MEANWHILE {
        world.append(number..number + 1)?;
        let sent = |status: &Value| {
            status["live"]["received"] == number + 1 && status["live"]["pending"] == 0
        };
        running.until_status(&world.sluice, "sent", sent).await?;
    }
    Ok(())
}

async fn active(world: &World) -> Result<String> {
    let status = world.sluice.status().await?;
    let version = status["versions"]["active"]["version"].as_str();
    Ok(version.context("no version works")?.to_owned())
}

async fn until_promoted(world: &World, running: &mut Running, version: &str) -> Result<()> {
    let works = |status: &Value| status["versions"]["active"]["version"] == version;
    running.until_status(&world.sluice, "promoted", works).await
}

#[tokio::test]
async fn batches_go_on_while_a_candidate_is_compiled_however_long_that_takes() -> Result<()> {
    let (mut world, mut running) = live(30, 721, "canary_batches = 0\n").await?;
    deploy(&world, 21, "good")?;
    let compilation = Compilation::stop(&mut running).await?;
    deliver(&mut world, &mut running).await?;
    ensure!(compilation.stands_still() && active(&world).await? == "0.1.0");
    drop(compilation);
    until_promoted(&world, &mut running, "0.9.21").await?;

    // One that dies over it costs nothing either, and is tried again.
    deploy(&world, 22, "good")?;
    let compilation = Compilation::stop(&mut running).await?;
    deliver(&mut world, &mut running).await?;
    ensure!(compilation.stands_still() && active(&world).await? == "0.9.21");
    signal("KILL", &compilation.pid)?;
    let told = "cannot be loaded; everything goes on as it was";
    running.until_said(told).await?;
    deliver(&mut world, &mut running).await?;
    until_promoted(&world, &mut running, "0.9.22").await?;
    finish(world, running).await
}

/// A wish for a swap without a canary, to a version that is kept, and that nobody has compiled before.
pub async fn wanted(world: &World, number: u32, how: &str) -> Result<Wanted> {
    let kept = Registry::at(&world.path(".sluice")).keep(&version(number, how)?)?;
    let status = world.sluice.status().await?;
    let contract = status["versions"]["active"]["contract"].as_str();
    Ok(Wanted::Begin {
        id: swap_id(&kept.sha256, NOW_MS),
        to: Version {
            name: "retention-science".to_owned(),
            version: format!("0.9.{number}"),
            sha256: kept.sha256,
            contract: contract.context("no contract")?.to_owned(),
        },
        configured: None,
        plan: Plan {
            percent: 100,
            batches: 0,
            leaders: vec![],
        },
        routes: vec![],
    })
}

/// Here the work on the export loads it, and not the watch over files; nobody has compiled it before.
#[tokio::test]
async fn batches_go_on_while_a_wanted_version_is_loaded() -> Result<()> {
    let (mut world, mut running) = live(30, 722, "").await?;
    let wanted = wanted(&world, 23, "good").await?;
    let store = Store::open_beside(&world.path(".sluice/test/everyone"))?;
    store.want_version(&wanted, NOW_MS)?;
    drop(store);
    let compilation = Compilation::stop(&mut running).await?;
    deliver(&mut world, &mut running).await?;
    ensure!(compilation.stands_still() && active(&world).await? == "0.1.0");
    drop(compilation);
    until_promoted(&world, &mut running, "0.9.23").await?;
    finish(world, running).await
}

/// Requests of a version, as they were metered.
fn requests(status: &Value, version: &str) -> u64 {
    let usage = status["usage"].as_array().into_iter().flatten();
    usage
        .filter(|used| used["plugin_version"] == version)
        .filter_map(|used| used["requests"].as_u64())
        .sum()
}

#[tokio::test]
async fn what_is_under_way_ends_under_the_old_version_and_the_new_one_does_not_wait() -> Result<()>
{
    let (mut world, mut running) = live(40, 723, "lanes = 8\n").await?;
    let idle = |status: &Value| status["live"]["received"] == 5 && status["live"]["pending"] == 0;
    running.until_status(&world.sluice, "idle", idle).await?;
    let by_old = world.simulator.requests().len() as u64;
    // The next request gets no answer until it is let go.
    world.simulator.set_faults(
        vec![Rule {
            matches: Match {
                method: Some("POST".to_owned()),
                path_prefix: Some("/users".to_owned()),
            },
            first: Some(1),
            kind: FaultKind::Held,
            ..Rule::default()
        }],
        vec![],
    );
    world.append(100..101)?;
    let simulator = &world.simulator;
    let held = until_true(|| simulator.stats()["faults"]["held"] == 1);
    running.until("a batch is under way", held).await?;

    // The swap is over before that batch is.
    let next = file(&world, 24, "good")?;
    let wanted = ["plugin", "swap", "retention-science", &next, "--batches=0"];
    let ended = world.sluice.call(&wanted).await?;
    ensure!(
        ended.code == Some(0) && ended.stdout.contains("promoted"),
        "{ended:?}"
    );
    // So are batches of the new version, in other lanes.
    world.append(101..120)?;
    let more = world
        .simulator
        .until(|simulator| simulator.requests().len() as u64 > by_old);
    running
        .until("a batch of the new version ends", more)
        .await?;
    let status = world.sluice.status().await?;
    ensure!(status["versions"]["active"]["version"] == "0.9.24");
    ensure!(
        status["live"]["pending"].as_u64() >= Some(1),
        "the held batch has ended: {status}"
    );

    world.simulator.clear_faults();
    let sent = |status: &Value| {
        status["live"]["received"] == world.expected.counts().changes
            && status["live"]["pending"] == 0
    };
    running.until_status(&world.sluice, "sent", sent).await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    // The old version has made the request that was held and none after it, the new one all others.
    let all = world.simulator.requests().len() as u64;
    let status = world.sluice.status().await?;
    ensure!(requests(&status, "0.1.0") == by_old + 1, "{status:#}");
    ensure!(
        requests(&status, "0.9.24") == all - by_old - 1,
        "{status:#}"
    );
    world.prove().await
}
