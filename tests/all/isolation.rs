//! Many exports in one process, and five of them in all the trouble that there is: the others do
//! not notice, and the five lose nothing.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Answer, FaultKind, Rule};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, Sluice, component};
use crate::wire::Wire;
use crate::world::{KEY, Tenant, World, append};

/// How many exports have no trouble.
const GOOD: usize = 10;

/// What the log of an export may hold in bytes if it is given the least.
const FULL_LOG: u64 = 1 << 20;

/// More than that, so that the source has to wait.
const TOO_MANY: u64 = 1_500;

/// All exports: each a world of its own, but one process runs them.
struct House {
    folder: TempDir,
    sluice: Sluice,
    good: Vec<World>,
    /// Its destination takes connections and never answers.
    silent: World,
    silence: Wire,
    /// Its destination answers 500 to everything.
    broken: World,
    /// Its destination is down, and more has changed than its log may hold.
    full: World,
}

impl House {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut good = vec![];
        for number in 0..GOOD {
            let mut world = World::new(150, 90 + number as u64).await?;
            world.append(0..20)?;
            good.push(world);
        }
        let mut silent = World::new(100, 80).await?;
        let silence = Wire::to(&silent.simulator.url()).await?;
        silence.fall_silent();
        silent.tenant.endpoint = silence.url();
        silent.append(0..20)?;
        let mut broken = World::new(100, 81).await?;
        broken.simulator.set_faults(vec![always(500)], vec![]);
        broken.append(0..20)?;
        let mut full = World::new(0, 82).await?;
        full.simulator.set_faults(vec![always(503)], vec![]);
        full.tenant.members = None;
        full.tenant.tuning = "log_max_mib = 1\n".to_owned();
        let changes = large_changes();
        changes.iter().for_each(|line| full.expected.change(line));
        append(&full.path("changes.ndjson"), &changes)?;
        let house = Self {
            sluice: Sluice::new(folder.path(), KEY),
            folder,
            good,
            silent,
            silence,
            broken,
            full,
        };
        for (number, world) in house.good.iter().enumerate() {
            house.takes_in(&good_name(number), world)?;
        }
        house.takes_in("silent", &house.silent)?;
        house.takes_in("broken", &house.broken)?;
        house.takes_in("full", &house.full)?;
        house.probe("trapping", "nothing", 40, "every_call = \"trap\"\n")?;
        house.probe("runaway", "burn", 20_000, "")?;
        Ok(house)
    }

    /// One more tenant, whose files stay where they are.
    fn takes_in(&self, name: &str, world: &World) -> Result<()> {
        let path = |name: &str| world.path(name).display().to_string();
        let tenant = Tenant {
            plugin: component().display().to_string(),
            members: world.tenant.members.as_deref().map(path),
            changes: Some(format!("{{ file = {:?} }}", path("changes.ndjson"))),
            ..world.tenant.clone()
        };
        self.write(&format!("{name}.toml"), &tenant.text())
    }

    /// A tenant whose plugin does what all its members say, or what the options say.
    fn probe(&self, name: &str, what: &str, members: u64, options: &str) -> Result<()> {
        let plugin = component().with_file_name("sluice_probe.wasm");
        let tenant = Tenant {
            plugin: plugin.display().to_string(),
            members: Some(format!("{name}.ndjson")),
            changes: None,
            fields: vec![("what".to_owned(), "what".to_owned())],
            options: options.to_owned(),
            ..Tenant::new("http://127.0.0.1:9/v3")
        };
        let mut lines = String::new();
        for id in 0..members {
            writeln!(lines, "{{\"user_id\":{id},\"what\":\"{what}\"}}")?;
        }
        self.write(&format!("{name}.ndjson"), &lines)?;
        self.write(&format!("{name}.toml"), &tenant.text())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }

    /// Waits until each good export is live and has nothing left to do, and proves that it is right.
    async fn good_ones_are_done(&self, running: &mut Running) -> Result<()> {
        let done = |all: &[Value]| {
            let mut good = self.good.iter().enumerate();
            good.all(|(number, world)| is_done(all, &good_name(number), world))
        };
        running
            .until_statuses(&self.sluice, "the good ones are done", done)
            .await?;
        let all = self.sluice.statuses().await?;
        for (number, world) in self.good.iter().enumerate() {
            world.prove_by(of(&all, &good_name(number)))?;
        }
        Ok(())
    }
}

fn good_name(number: usize) -> String {
    format!("good-{number}")
}

fn always(code: u16) -> Rule {
    Rule {
        kind: FaultKind::Status(Answer {
            code,
            body: None,
            retry_after: None,
        }),
        ..Rule::default()
    }
}

/// Changes of a kilobyte each.
fn large_changes() -> Vec<String> {
    let change = |n| {
        json!({"change": "enter", "user": {"user_id": format!("new-{n}"), "credits": n,
            "email": format!("new-{n}@example.com"), "city": "x".repeat(1_000)}})
    };
    (0..TOO_MANY).map(|n| change(n).to_string()).collect()
}

/// The status of one tenant's export; nothing if it is not there.
fn of<'a>(all: &'a [Value], name: &str) -> &'a Value {
    let name = format!("{name}/everyone");
    let found = all.iter().find(|status| status["export"] == *name);
    found.unwrap_or(&Value::Null)
}

fn is_done(all: &[Value], name: &str, world: &World) -> bool {
    let status = of(all, name);
    let live = &status["live"];
    status["phase"] == "live"
        && live["pending"] == 0
        && live["received"] == world.expected.counts().changes
}

fn last_error(status: &Value) -> &str {
    status["last_error"]["message"].as_str().unwrap_or_default()
}

/// Whether each of the five is in the trouble that it should be in, and says so.
fn bad_ones_are_in_trouble(all: &[Value]) -> bool {
    let [silent, broken, full, trapping, runaway] =
        ["silent", "broken", "full", "trapping", "runaway"].map(|name| of(all, name));
    // It still waits for its first answer; meanwhile it accepts what changes.
    silent["phase"] == "scanning"
        && silent["live"]["pending"] == 20
        && broken["phase"] == "submitting"
        && last_error(broken).contains("500")
        && broken["next_try"].is_string()
        && broken["live"]["pending"] == 20
        && full["log_bytes"].as_u64() >= Some(FULL_LOG)
        && full["live"]["received"].as_u64() < Some(TOO_MANY)
        && !last_error(full).is_empty()
        && trapping["phase"] == "parked"
        && trapping["state"]["reason"]["why"] == "plugin-fails"
        && runaway["phase"] == "scanning"
}

#[tokio::test]
async fn five_exports_in_all_kinds_of_trouble_harm_no_other_and_lose_nothing() -> Result<()> {
    let mut house = House::new().await?;
    let mut running = house.sluice.start(&["run"])?;
    house.good_ones_are_done(&mut running).await?;
    running
        .until_statuses(
            &house.sluice,
            "five are in trouble",
            bad_ones_are_in_trouble,
        )
        .await?;

    // While they are, the others go on with what comes.
    for world in &mut house.good {
        world.append(20..60)?;
    }
    house.good_ones_are_done(&mut running).await?;
    let all = house.sluice.statuses().await?;
    ensure!(all.len() == GOOD + 5, "{} exports", all.len());
    ensure!(bad_ones_are_in_trouble(&all), "{all:#?}");
    for status in &all {
        ensure!(status["adds_up"] == true, "{status}");
    }

    // Three destinations are back; their exports need nothing else.
    house.silence.cut();
    house.broken.simulator.clear_faults();
    house.full.simulator.clear_faults();
    let recovered = [
        ("silent", &house.silent),
        ("broken", &house.broken),
        ("full", &house.full),
    ];
    running
        .until_statuses(&house.sluice, "three have recovered", |all| {
            recovered
                .iter()
                .all(|(name, world)| is_done(all, name, world))
        })
        .await?;
    let all = house.sluice.statuses().await?;
    for (name, world) in recovered {
        world.prove_by(of(&all, name)).context(name)?;
    }
    ensure!(of(&all, "trapping")["phase"] == "parked", "{all:#?}");
    ensure!(of(&all, "runaway")["phase"] == "scanning", "{all:#?}");

    // A scan that would take an hour does not hold up a polite end.
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");

    // A plugin that works finds everything there.
    house.probe("trapping", "nothing", 40, "")?;
    let repaired = ["run", "--export", "trapping/everyone", "--until-live"];
    let ended = house.sluice.call(&repaired).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let all = house.sluice.statuses().await?;
    let trapping = of(&all, "trapping");
    ensure!(trapping["backfill"]["delivered"] == 40, "{trapping}");
    ensure!(trapping["adds_up"] == true, "{trapping}");
    Ok(())
}
