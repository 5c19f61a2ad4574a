//! The exports of the measurement of isolation: good ones, each with an account and a model of its
//! own, and the bad ones: the five that anybody would name, and one that is worse.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Answer, FaultKind, Rule, Simulator};
use serde_json::{Value, json};
use sluice_audience::{Audience, Expected};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Export;
use crate::demo;

/// Members of each good export, and of the bad ones that get that far.
const MEMBERS: u64 = 200;

/// Members of the scan that never ends: each burns some tenths of a second.
const RUNAWAY: u64 = 1_000_000;

/// Changes of a kilobyte for a log that holds a mebibyte; and changes that burn as the scan does.
const TOO_MANY: u64 = 5_000;

/// A good export.
pub struct Good {
    pub simulator: Simulator,
    name: String,
    audience: Audience,
    expected: Expected,
    changes: File,
}

impl Good {
    pub async fn new(folder: &Path, component: &Path, number: usize) -> Result<Self> {
        let name = format!("good-{number:02}");
        let changes = format!("{name}.changes");
        let file = folder.join(&changes);
        let file = OpenOptions::new().create(true).append(true).open(file)?;
        Self::fed(
            folder,
            component,
            &name,
            100 + number as u64,
            (&changes, file),
        )
        .await
    }

    /// One whose changes come from where the configuration says so, and are written there.
    pub async fn fed(
        folder: &Path,
        component: &Path,
        name: &str,
        seed: u64,
        (from, changes): (&str, File),
    ) -> Result<Self> {
        let simulator = demo::account(0, 0).await?;
        let audience = Audience::new(MEMBERS, seed);
        let mut expected = Expected::new();
        audience.members().for_each(|line| expected.member(&line));
        write_lines(&folder.join(format!("{name}.members")), audience.members())?;
        Export {
            members: Some(&format!("{name}.members")),
            changes: Some(from),
            ..Export::new(component, &simulator.url())
        }
        .write(folder, name)?;
        Ok(Self {
            simulator,
            name: name.to_owned(),
            audience,
            expected,
            changes,
        })
    }

    /// Writes one change, which carries its number as the member's credits. Answers the member's
    /// record id; nothing if the change cannot be sent.
    pub fn change(&mut self, number: u64) -> Result<Option<String>> {
        let line = self.audience.changes(number..number + 1).next();
        let mut change: Value = serde_json::from_str(&line.context("no change")?)?;
        change["user"]["credits"] = number.into();
        let line = change.to_string();
        let before = self.expected.counts();
        self.expected.change(&line);
        let after = self.expected.counts();
        writeln!(self.changes, "{line}")?;
        let refused = before.changes_rejected + before.changes_refused
            < after.changes_rejected + after.changes_refused;
        let member = &change["user"]["user_id"];
        let member = member.as_str().map_or(member.to_string(), str::to_owned);
        Ok((!refused).then(|| member.trim().to_owned()))
    }

    /// It has received everything, everything has come to an end, and the account equals the model.
    pub fn prove(&self, statuses: &[Value]) -> Result<()> {
        let status = of(statuses, &self.name)?;
        let counts = self.expected.counts();
        let comparison = self.expected.compare(self.simulator.users());
        ensure!(comparison.is_clean(), "{}: {comparison}", self.name);
        for (what, wanted) in [
            ("/phase", Value::from("live")),
            ("/adds_up", true.into()),
            ("/backfill/received", counts.received.into()),
            ("/backfill/delivered", counts.staged.into()),
            ("/backfill/pending", 0.into()),
            ("/live/received", counts.changes.into()),
            ("/live/pending", 0.into()),
        ] {
            let found = status.pointer(what);
            ensure!(
                found == Some(&wanted),
                "{}: {what} is not {wanted}: {status}",
                self.name
            );
        }
        Ok(())
    }
}

/// The bad ones. Dropping it ends their destinations.
pub struct Bad {
    silence: JoinHandle<()>,
    broken: Simulator,
    down: Simulator,
}

impl Bad {
    /// The five; and, if `worse`, one whose plugin burns CPU in 64 lanes.
    pub async fn new(folder: &Path, component: &Path, worse: bool) -> Result<Self> {
        let (silent, silence) = silence().await?;
        let (broken, down) = (always(500).await?, always(503).await?);
        let audience = Audience::new(MEMBERS, 99);
        write_lines(&folder.join("bad.members"), audience.members())?;
        write_lines(&folder.join("bad.changes"), audience.changes(0..200))?;
        for (name, url) in [("bad-hangs", &silent), ("bad-500", &broken.url())] {
            Export {
                members: Some("bad.members"),
                changes: Some("bad.changes"),
                ..Export::new(component, url)
            }
            .write(folder, name)?;
        }
        write_lines(&folder.join("full.changes"), (0..TOO_MANY).map(large))?;
        Export {
            changes: Some("full.changes"),
            tuning: "log_max_mib = 1",
            ..Export::new(component, &down.url())
        }
        .write(folder, "bad-full")?;
        let probe = component.with_file_name("sluice_probe.wasm");
        let what =
            |what: &'static str| move |id: u64| json!({"user_id": id, "what": what}).to_string();
        write_lines(
            &folder.join("trap.members"),
            (0..MEMBERS).map(what("nothing")),
        )?;
        write_lines(&folder.join("burn.members"), (0..RUNAWAY).map(what("burn")))?;
        for (name, members, options) in [
            ("bad-traps", "trap.members", "every_call = \"trap\""),
            ("bad-burns", "burn.members", ""),
        ] {
            Export {
                members: Some(members),
                fields: "what = \"what\"",
                options,
                ..Export::new(&probe, &silent)
            }
            .write(folder, name)?;
        }
        if worse {
            let enter = |id| json!({"change": "enter", "user": {"user_id": id, "what": "burn"}});
            let changes = (0..TOO_MANY).map(|id| enter(id).to_string());
            write_lines(&folder.join("burn.changes"), changes)?;
            Export {
                changes: Some("burn.changes"),
                fields: "what = \"what\"",
                options: "",
                tuning: "lanes = 64",
                ..Export::new(&probe, &silent)
            }
            .write(folder, "bad-lanes")?;
        }
        Ok(Self {
            silence,
            broken,
            down,
        })
    }

    /// Each is in the trouble that it should be in, and nothing of it is lost.
    pub fn are_in_trouble(&self, statuses: &[Value]) -> Result<()> {
        for (name, phase) in [
            ("bad-hangs", "scanning"),
            ("bad-500", "submitting"),
            ("bad-full", "live"),
            ("bad-traps", "parked"),
            ("bad-burns", "scanning"),
        ] {
            let status = of(statuses, name)?;
            ensure!(status["phase"] == phase, "{name} is not {phase}: {status}");
            ensure!(status["adds_up"] == true, "{name}: {status}");
        }
        if let Ok(lanes) = of(statuses, "bad-lanes") {
            let busy = lanes["live"]["pending"].as_u64() > Some(0);
            ensure!(busy && lanes["adds_up"] == true, "bad-lanes: {lanes}");
        }
        let full = of(statuses, "bad-full")?;
        ensure!(full["log_bytes"].as_u64() >= Some(1 << 20), "{full}");
        ensure!(full["live"]["received"].as_u64() < Some(TOO_MANY), "{full}");
        for (name, simulator) in [("bad-500", &self.broken), ("bad-full", &self.down)] {
            ensure!(!simulator.requests().is_empty(), "{name} was never tried");
        }
        Ok(())
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        self.silence.abort();
    }
}

/// A destination that takes connections and never answers.
async fn silence() -> Result<(String, JoinHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v3", listener.local_addr()?);
    let silence = tokio::spawn(async move {
        let mut held = vec![];
        while let Ok(connection) = listener.accept().await {
            held.push(connection);
        }
    });
    Ok((url, silence))
}

async fn always(code: u16) -> Result<Simulator> {
    let simulator = demo::account(0, 0).await?;
    let kind = FaultKind::Status(Answer {
        code,
        body: None,
        retry_after: None,
    });
    let rule = Rule {
        kind,
        ..Rule::default()
    };
    simulator.set_faults(vec![rule], vec![]);
    Ok(simulator)
}

fn large(number: u64) -> String {
    let id = format!("new-{number}");
    json!({"change": "enter", "user": {"user_id": id, "email": format!("{id}@example.com"),
        "city": "x".repeat(1_000)}})
    .to_string()
}

fn of<'a>(statuses: &'a [Value], name: &str) -> Result<&'a Value> {
    let name = format!("{name}/everyone");
    let found = statuses.iter().find(|status| status["export"] == *name);
    found.with_context(|| format!("no export {name}"))
}

fn write_lines(path: &PathBuf, lines: impl Iterator<Item = String>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    Ok(file.flush()?)
}
