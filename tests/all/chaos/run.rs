//! Performing a plan on the real program, and proving the end.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use sluice::store::Store;
use sluice_audience::Audience;
use tokio::time::{sleep, timeout};

use super::schedule::{Append, Moment, PHASES, Round, Scale, Schedule};
use super::tally::Tally;
use crate::process::{PATIENCE, until_true};
use crate::world::World;

/// Performs the plan of this seed. If it fails, what is left of it is kept, and the error says how
/// to see it again.
pub async fn survives(seed: u64, scale: Scale) -> Result<Tally> {
    let schedule = Schedule::of(seed, scale);
    let audience = Audience::new(schedule.members, seed).broken_lines(schedule.broken_lines);
    let mut world = World::with(audience).await?;
    let mut life = Life {
        fed: 0,
        tail: vec![],
        received: [0; 2],
        tally: Tally::default(),
    };
    if let Err(error) = life.live(&mut world, &schedule).await {
        world.folder.disable_cleanup(true);
        let test = match scale {
            Scale::Test => "one_seed",
            Scale::Soak => "one_seed_of_the_soak",
        };
        return Err(error.context(format!(
            "seed {seed} came to a bad end. See it again:\n\n    \
             SLUICE_SEED={seed} cargo xtask test --test all -- --exact chaos::{test} --ignored --nocapture\n\n\
             Folder: {}\nPlan: {schedule:?}",
            world.folder.path().display()
        )));
    }
    Ok(life.tally)
}

/// What is remembered from one round to the next.
struct Life {
    /// Changes that are in the file, the half one at its end among them.
    fed: u64,
    /// What is still to come of that half one.
    tail: Vec<u8>,
    /// Members and changes that were accepted when last seen.
    received: [u64; 2],
    tally: Tally,
}

impl Life {
    async fn live(&mut self, world: &mut World, schedule: &Schedule) -> Result<()> {
        self.append(world, schedule.before)?;
        for (number, round) in schedule.rounds.iter().enumerate() {
            self.round(world, schedule, round)
                .await
                .with_context(|| format!("in round {number}"))?;
        }
        self.append(world, schedule.last)?;
        world.simulator.clear_faults();
        world.simulator.patch_config(
            &json!({"rate_limit": null, "queue_delay_ms": 0, "processing_delay_ms": 0}),
        )?;
        world.simulator.release_jobs();
        let mut ended = world.run(&["--until-idle"]).await?;
        // Jobs that failed in the last round may be asked about only now. Each parks once, and the
        // next start submits its file anew.
        let failed = world.simulator.stats()["faults"]["job_failed"].as_u64();
        for _ in 0..failed.unwrap_or(0) {
            if ended.code != Some(6) {
                break;
            }
            let status = self.look(world).await?;
            ensure!(
                status["state"]["reason"]["why"] == "import-failed",
                "parked: {status:#}"
            );
            ended = world.run(&["--until-idle"]).await?;
        }
        ensure!(
            ended.code == Some(world.good_end()),
            "at the end: {ended:?}"
        );
        world.prove().await.context("at the end")?;
        let stats = world.simulator.stats();
        ensure!(
            stats["requests_not_in_log"] == 0,
            "the order of requests that are not in the log is not proved"
        );
        self.tally.schedules = 1;
        self.tally.members = schedule.members;
        self.tally.changes = self.fed;
        self.tally.account(&stats);
        Ok(())
    }

    async fn round(&mut self, world: &mut World, schedule: &Schedule, round: &Round) -> Result<()> {
        world.tenant.tuning = format!("lanes = {}\n", round.lanes);
        if let Some(rows) = schedule.staged_file_max_rows {
            world.tenant.tuning += &format!("staged_file_max_rows = {rows}\n");
        }
        world.configure()?;
        let simulator = &world.simulator;
        simulator.set_faults(round.faults.clone(), round.jobs.clone());
        simulator.patch_config(&round.account)?;
        let mut appends = vec![];
        for &(moment, append) in &round.appends {
            appends.push((moment, self.lines(world, append)?));
        }
        let mut unwritten = appends.into_iter();
        let file = world.path("changes.ndjson");

        let began = arrived(world);
        let args: &[&str] = if round.until_idle {
            &["--until-idle"]
        } else {
            &[]
        };
        let mut running = world.start(args)?;
        let ended = {
            let world = &*world;
            let planned = async {
                while let Some((moment, lines)) = unwritten.as_slice().first() {
                    comes(*moment, world, began).await;
                    write(&file, lines)?;
                    unwritten.next();
                }
                comes(round.kill, world, began).await;
                anyhow::Ok(())
            };
            let long_enough = async {
                until_true(|| arrived(world) > began).await;
                sleep(Duration::from_millis(round.patience_ms)).await;
            };
            let moment = async {
                tokio::select! {
                    written = planned => written,
                    () = long_enough => Ok(()),
                }
            };
            running
                .unless_it_ends("the moment of the kill", moment)
                .await?
        };
        let killed = ended.is_ok();
        match ended {
            Ok(written) => {
                written?;
                running.kill().await?;
                self.tally.kills += 1;
            }
            Err(status) => {
                let code = status.code();
                // Idle, parked, or parked for its key's sake.
                if !round.until_idle || !matches!(code, Some(0 | 5 | 6 | 7)) {
                    bail!(
                        "it ended by itself ({status}); it says:\n{}",
                        running.said()
                    );
                }
                self.tally.ended += 1;
            }
        }
        for (_, lines) in unwritten {
            write(&file, &lines)?;
        }
        let status = self.look(world).await?;
        if killed {
            let phase = status["phase"].as_str().unwrap_or_default().to_owned();
            *self.tally.phases.entry(phase).or_default() += 1;
        }
        // What a killed program has put on the wire may still arrive, and is not to be taken for
        // something that the next one sends.
        timeout(PATIENCE, world.simulator.quiet())
            .await
            .context("a request never ends")?;
        if round.release_jobs {
            world.simulator.release_jobs();
        }
        self.append(world, round.between)
    }

    /// The counts after a kill: they add up, and nothing that was accepted before is gone.
    async fn look(&mut self, world: &World) -> Result<Value> {
        let status = world.sluice.status().await?;
        ensure!(
            status["adds_up"] == true,
            "the counts do not add up: {status:#}"
        );
        let received = ["backfill", "live"].map(|of| status[of]["received"].as_u64().unwrap_or(0));
        ensure!(
            received[0] >= self.received[0] && received[1] >= self.received[1],
            "accepted before: {:?}, now: {received:?}\n{status:#}",
            self.received
        );
        ensure!(
            received[1] <= self.fed,
            "more changes than there are: {status:#}"
        );
        self.received = received;
        Ok(status)
    }

    /// The next lines for the changes file, told to the model; the last one may be half a line.
    fn lines(&mut self, world: &mut World, append: Append) -> Result<Vec<u8>> {
        let lines = world.changes(self.fed..self.fed + append.changes)?;
        self.fed += append.changes;
        let mut text = std::mem::take(&mut self.tail);
        for line in &lines {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        if let (Some(cut), Some(last)) = (append.cut, lines.last()) {
            // Somewhere in the line, be it in the middle of a character; never behind its end.
            let rest = last.len() - last.len() * cut as usize / 100 + 1;
            self.tail = text.split_off(text.len() - rest);
        }
        Ok(text)
    }

    fn append(&mut self, world: &mut World, append: Append) -> Result<()> {
        let lines = self.lines(world, append)?;
        write(&world.path("changes.ndjson"), &lines)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    // An empty file would be another beginning than none.
    if !bytes.is_empty() {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(bytes)?;
    }
    Ok(())
}

/// How many requests have arrived.
fn arrived(world: &World) -> u64 {
    world.simulator.stats()["requests"].as_u64().unwrap_or(0)
}

/// Returns when the moment has come. `began` is how many requests had arrived at the start.
async fn comes(moment: Moment, world: &World, began: u64) {
    let staged = |name: &str| world.path(&format!(".sluice/test/everyone/staged/{name}"));
    let alive = || arrived(world) > began;
    match moment {
        Moment::Elapsed(ms) => sleep(Duration::from_millis(ms)).await,
        Moment::Requests(n) => {
            let now = arrived(world);
            until_true(|| arrived(world) >= now + n).await;
        }
        Moment::Store => {
            let store = world.path(".sluice/test/everyone/export.db");
            until_true(|| store.exists()).await;
        }
        Moment::Staging => {
            let file = staged("1.staged");
            let bytes = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
            until_true(|| alive() && bytes() > 0).await;
        }
        Moment::Sealed => {
            let file = staged("1.sealed");
            until_true(|| alive() && file.exists()).await;
        }
        Moment::Phase {
            phase,
            requests,
            ms,
        } => {
            until_true(|| alive() && rank(&phase_of(world)) >= rank(phase)).await;
            let now = arrived(world);
            until_true(|| arrived(world) >= now + requests).await;
            sleep(Duration::from_millis(ms)).await;
        }
    }
}

fn phase_of(world: &World) -> String {
    let store = Store::open_read_only(&world.path(".sluice/test/everyone"));
    let recorded = store.and_then(|store| store.recorded()).ok().flatten();
    recorded.map_or(String::new(), |recorded| recorded.state.phase().to_owned())
}

/// Its place among the phases; none of them is before all of them.
fn rank(phase: &str) -> usize {
    PHASES
        .iter()
        .position(|&known| known == phase)
        .map_or(0, |place| place + 1)
}
