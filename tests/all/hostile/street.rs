//! A good neighbour and hostile ones in one process; and what is looked at while they live there.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice::store::{QuarantineFilter, QuarantineRow, Store};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::assemble::guest;
use super::case::{Case, Ends};
use super::destination::Destination;
use crate::process::{Running, Sluice, component};
use crate::world::{KEY, Tenant, World, append};

/// What a text of a plugin that is kept or shown may have, whatever the plugin said.
const TEXT_BYTES: usize = 4096;

/// What the process may say in all while some plugins misbehave: a screenful for each of them.
const SAID_BYTES: usize = 256 << 10;

/// The memory that a process may need beyond what it needs for the good one alone: for each hostile
/// plugin the limit of its memory,
const EACH_MIB: u64 = 16;

/// what two of them may make the host copy at a time,
const LIFTED_MIB: u64 = 2 * 32;

/// and what allocators keep for themselves.
const SLACK_MIB: u64 = 32;

/// The street.
pub struct Street {
    pub folder: TempDir,
    pub sluice: Sluice,
    pub destination: Destination,
    good: World,
    cases: Vec<Case>,
}

/// What is left when all has ended.
pub struct Left {
    pub street: Street,
    pub statuses: Vec<Value>,
    /// The most memory that the process had, in MiB.
    pub peak_mib: u64,
    /// What the process has said.
    pub said: String,
}

impl Street {
    pub async fn new(cases: &[Case]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut good = World::new(40, 70).await?;
        good.append(0..10)?;
        let mut street = Self {
            sluice: Sluice::new(folder.path(), KEY),
            folder,
            destination: Destination::start().await?,
            good,
            cases: vec![],
        };
        let path = |name: &str| street.good.path(name).display().to_string();
        let tenant = Tenant {
            plugin: component().display().to_string(),
            members: Some(path("members.ndjson")),
            changes: Some(format!("{{ file = {:?} }}", path("changes.ndjson"))),
            ..street.good.tenant.clone()
        };
        std::fs::write(street.path("good.toml"), tenant.text())?;
        for case in cases {
            street.takes_in(case)?;
        }
        Ok(street)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One more tenant.
    fn takes_in(&mut self, case: &Case) -> Result<()> {
        let component = self.path(case.guest).with_extension("wasm");
        std::fs::write(component, guest(case.guest)?)?;
        let endpoint = self.destination.url(case.name);
        let file = |kind: &str| self.path(&format!("{}.{kind}", case.name));
        std::fs::write(file("toml"), case.config(&endpoint))?;
        append(&file("changes"), &case.change_lines())?;
        if !case.members.is_empty() {
            append(&file("members"), &case.member_lines())?;
        }
        self.cases.push(*case);
        Ok(())
    }

    /// Runs it until each hostile export is where it must be, while the good one does its work, and
    /// goes on with it. Everything that holds for all of them is checked.
    pub async fn live_through(cases: &[Case]) -> Result<Left> {
        Self::new(cases).await?.endure().await
    }

    /// The same, once it is as it should be.
    pub async fn endure(self) -> Result<Left> {
        let cases = self.cases.clone();
        let left = self.live().await?;
        left.within_bounds().await?;
        for case in &cases {
            left.is_contained(case)
                .with_context(|| format!("{}\nit said:\n{}", case.name, cut(&left.said)))?;
        }
        Ok(left)
    }

    fn store(&self, case: &Case) -> Result<Store> {
        let path = format!(".sluice/{}/everyone", case.name);
        Ok(Store::open_read_only(&self.path(&path))?)
    }

    pub fn quarantine(&self, case: &Case) -> Result<Vec<QuarantineRow>> {
        Ok(self
            .store(case)?
            .quarantine(&QuarantineFilter::default(), None)?)
    }

    async fn live(mut self) -> Result<Left> {
        let mut running = self.sluice.start(&["run"])?;
        self.good_is_done(&mut running).await?;
        let cases = &self.cases;
        let ended = |all: &[Value]| cases.iter().all(|case| has_ended(case, of(all, case.name)));
        let waited = running
            .until_statuses(&self.sluice, "the hostile ones have ended", ended)
            .await;
        if waited.is_err() {
            let all = self.sluice.statuses().await?;
            for case in cases
                .iter()
                .filter(|case| !has_ended(case, of(&all, case.name)))
            {
                eprintln!("{} should have ended: {:#}", case.name, of(&all, case.name));
            }
        }
        waited?;
        for case in cases {
            if let Ends::NotStarted(says) = case.ends {
                running.until_said(says).await?;
            }
        }
        self.good.append(10..30)?;
        self.good_is_done(&mut running).await?;
        let statuses = self.sluice.statuses().await?;
        let peak_mib = running.peak_memory_mib()?;
        let ended = running.terminate().await?;
        // Whose plugin cannot be loaded, and who does not accept its settings; none of them is why it
        // ended.
        let codes: &[i32] = match cases.iter().any(Case::is_not_started) {
            true => &[3, 4],
            false => &[0],
        };
        ensure!(
            ended.code.is_some_and(|code| codes.contains(&code)),
            "{:?} {}",
            ended.code,
            cut(&ended.stderr)
        );
        Ok(Left {
            street: self,
            statuses,
            peak_mib,
            said: ended.stdout + &ended.stderr,
        })
    }

    /// Waits until the good export has done all that there is, and proves that it is right.
    async fn good_is_done(&self, running: &mut Running) -> Result<()> {
        let changes = self.good.expected.counts().changes;
        running
            .until_statuses(&self.sluice, "the good one is done", |all| {
                let status = of(all, "good");
                let live = &status["live"];
                status["phase"] == "live" && live["pending"] == 0 && live["received"] == changes
            })
            .await?;
        let all = self.sluice.statuses().await?;
        self.good.prove_by(of(&all, "good"))
    }
}

impl Left {
    /// Memory and what was said, whatever the plugins wanted.
    async fn within_bounds(&self) -> Result<()> {
        let alone = alone_mib().await?;
        let bound = alone + LIFTED_MIB + SLACK_MIB + EACH_MIB * self.street.cases.len() as u64;
        println!(
            "{} MiB at most; {alone} MiB without the {} hostile ones; {bound} MiB are allowed",
            self.peak_mib,
            self.street.cases.len()
        );
        ensure!(
            self.peak_mib <= bound,
            "{} MiB of memory, {alone} MiB without the hostile ones: more than {bound} MiB",
            self.peak_mib
        );
        let said = self.said.len();
        ensure!(
            said <= SAID_BYTES,
            "{said} bytes were said:\n{}",
            cut(&self.said)
        );
        for line in self.said.lines() {
            ensure!(is_plain(line), "a terminal would obey {line:?}");
            let told = self.street.cases.iter().any(Case::is_not_started);
            ensure!(
                told || line.starts_with("20") && !line.starts_with("2026-01-01"),
                "a line that is none of the host's: {line:?}"
            );
        }
        Ok(())
    }

    pub fn status(&self, case: &Case) -> &Value {
        of(&self.statuses, case.name)
    }

    /// What holds for every hostile export; and what was said of this one.
    fn is_contained(&self, case: &Case) -> Result<()> {
        let status = self.status(case);
        if let Ends::NotStarted(says) = case.ends {
            ensure!(self.said.contains(says), "not {says:?}");
            return Ok(());
        }
        let counts = self.street.store(case)?.ledger()?.counts;
        ensure!(counts.add_up(), "{counts:?}");
        let received = (counts.backfill.received, counts.live.received);
        let all = (case.members.len() as u64, case.changes.len() as u64);
        ensure!(received.1 == all.1, "changes: {received:?}, not {all:?}");
        let rows = self.street.quarantine(case)?;
        let quarantined = counts.backfill.quarantined + counts.live.quarantined;
        for text in texts(status).into_iter().chain(rows.iter().flat_map(|row| {
            [Some(row.reason.as_str()), row.field.as_deref()]
                .into_iter()
                .flatten()
        })) {
            ensure!(
                text.len() <= TEXT_BYTES,
                "{} bytes: {}",
                text.len(),
                cut(text)
            );
            ensure!(is_plain(text), "a terminal would obey {text:?}");
        }
        let settled = || {
            let pending = counts.backfill.pending + counts.live.pending;
            ensure!(pending == 0 && received == all, "{counts:?} {status}");
            Ok(())
        };
        match case.ends {
            Ends::NotStarted(_) => {}
            Ends::Live(reasons) => {
                settled()?;
                let wanted: u64 = reasons.iter().map(|(rows, _)| rows).sum();
                ensure!(quarantined == wanted, "{counts:?}: {:#?}", shown(&rows));
                for (number, says) in reasons {
                    let found = rows.iter().filter(|row| row.reason.contains(says));
                    ensure!(
                        found.count() as u64 >= *number,
                        "not {number} times {says:?}: {:#?}",
                        shown(&rows)
                    );
                }
            }
            Ends::Settled(says) => {
                settled()?;
                ensure!(
                    rows.iter().all(|row| row.reason.contains(says)),
                    "{:#?}",
                    shown(&rows)
                );
            }
            Ends::Parked(_, says) | Ends::Trying(_, says) => {
                let said = status["last_error"]["message"].as_str().unwrap_or_default();
                for says in says {
                    ensure!(said.contains(says), "not {says:?}: {}", cut(said));
                }
            }
        }
        Ok(())
    }
}

/// What the process needs with the good export alone, in MiB. Measured once.
async fn alone_mib() -> Result<u64> {
    static ALONE: OnceCell<u64> = OnceCell::const_new();
    let measure = async || anyhow::Ok(Street::new(&[]).await?.live().await?.peak_mib);
    ALONE.get_or_try_init(measure).await.copied()
}

fn of<'a>(all: &'a [Value], tenant: &str) -> &'a Value {
    let name = format!("{tenant}/everyone");
    let found = all.iter().find(|status| status["export"] == *name);
    found.unwrap_or(&Value::Null)
}

fn has_ended(case: &Case, status: &Value) -> bool {
    match case.ends {
        Ends::Live(_) | Ends::Settled(_) => {
            let live = &status["live"];
            status["phase"] == "live"
                && live["received"] == case.changes.len()
                && live["pending"] == 0
        }
        Ends::Parked(why, _) => {
            status["phase"] == "parked" && status["state"]["reason"]["why"] == why
        }
        Ends::NotStarted(_) => status["phase"] == "not-started",
        Ends::Trying(phase, says) => {
            let said = status["last_error"]["message"].as_str().unwrap_or_default();
            status["phase"] == phase && says.iter().all(|says| said.contains(says))
        }
    }
}

/// Every text of a JSON value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(entries) => entries.values().flat_map(texts).collect(),
        _ => vec![],
    }
}

/// Nothing that moves a cursor, begins a line or turns letters around.
fn is_plain(text: &str) -> bool {
    let turns = |c| matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|c| c.is_control() || turns(c))
}

fn shown(rows: &[QuarantineRow]) -> Vec<String> {
    rows.iter().map(|row| cut(&row.reason)).collect()
}

/// What a person reads of a text.
fn cut(text: &str) -> String {
    text.chars().take(6_000).collect()
}
