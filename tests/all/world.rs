//! What most tests happen in: a folder with a configuration, an audience and a component, a
//! simulated account, and a model that knows what the account must hold in the end.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use retention_science_simulator::{Config, Definition, Simulator};
use serde_json::Value;
use sluice::store::QuarantineFilter;
use sluice_audience::{Audience, Expected, definitions, forbidden_fields, unexpected_fields};
use tempfile::TempDir;

use crate::process::{Ended, KEY_VARIABLE, Running, Sluice, component};

/// The key that simulated accounts accept.
pub const KEY: &str = "a-key-for-tests-71c3";

/// What a request may hold beside the mapped fields.
const FLAGS: [&str; 1] = ["send_transactional_welcome"];

/// One tenant's file with one authorization and one export.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub endpoint: String,
    pub plugin: String,
    pub members: Option<String>,
    /// A TOML value.
    pub changes: Option<String>,
    pub fields: Vec<(String, String)>,
    /// Lines of TOML.
    pub options: String,
    pub tuning: String,
}

impl Tenant {
    pub fn new(endpoint: &str) -> Self {
        let fields = sluice_audience::mapping().iter();
        Self {
            endpoint: endpoint.to_owned(),
            plugin: "plugin.wasm".to_owned(),
            members: Some("members.ndjson".to_owned()),
            changes: Some(r#"{ file = "changes.ndjson" }"#.to_owned()),
            fields: fields
                .map(|&(from, to)| (from.to_owned(), to.to_owned()))
                .collect(),
            options: "import_type = \"test\"\n".to_owned(),
            tuning: String::new(),
        }
    }

    /// The file as an operator would write it.
    pub fn text(&self) -> String {
        let Self {
            endpoint,
            plugin,
            options,
            tuning,
            ..
        } = self;
        let mut text = format!(
            "[authorizations.main]\nlabel = \"Main\"\nplugin = \"{plugin}\"\n\
             endpoint = \"{endpoint}\"\nallow_http = true\nallow_addresses = [\"127.0.0.0/8\"]\n\n\
             [authorizations.main.secrets]\napi-key = {{ env = \"{KEY_VARIABLE}\" }}\n\n\
             [exports.everyone]\nauthorization = \"main\"\nlabel = \"Everyone\"\n\
             audience = \"everyone\"\nuser_id_field = \"user_id\"\n"
        );
        if let Some(members) = &self.members {
            let _ = writeln!(text, "members = {{ file = \"{members}\" }}");
        }
        if let Some(changes) = &self.changes {
            let _ = writeln!(text, "changes = {changes}");
        }
        text.push_str("\n[exports.everyone.fields]\n");
        for (source, destination) in &self.fields {
            let _ = writeln!(text, "{source} = \"{destination}\"");
        }
        let _ = write!(text, "\n[exports.everyone.options]\n{options}");
        let _ = write!(text, "\n[exports.everyone.tuning]\n{tuning}");
        text
    }
}

/// A folder, an account, a model.
pub struct World {
    pub folder: TempDir,
    pub simulator: Simulator,
    pub tenant: Tenant,
    pub audience: Audience,
    pub expected: Expected,
    pub sluice: Sluice,
}

impl World {
    /// A world with an audience of so many members, written to `members.ndjson`.
    pub async fn with(audience: Audience) -> Result<Self> {
        let simulator = account(Config::default()).await?;
        let tenant = Tenant::new(&simulator.url());
        let folder = tempfile::tempdir()?;
        std::fs::copy(component(), folder.path().join("plugin.wasm"))?;
        let mut world = Self {
            sluice: Sluice::new(folder.path(), KEY),
            folder,
            simulator,
            tenant,
            audience,
            expected: Expected::new(),
        };
        world.write_members("members.ndjson")?;
        world.configure()?;
        Ok(world)
    }

    /// A world with these members and these changes.
    pub async fn of(members: &[String], changes: &[String]) -> Result<Self> {
        let mut world = Self::new(0, 0).await?;
        for (name, lines) in [("members.ndjson", members), ("changes.ndjson", changes)] {
            if !lines.is_empty() {
                append(&world.path(name), lines)?;
            }
        }
        members.iter().for_each(|line| world.expected.member(line));
        changes.iter().for_each(|line| world.expected.change(line));
        Ok(world)
    }

    pub async fn new(members: u64, seed: u64) -> Result<Self> {
        Self::with(Audience::new(members, seed)).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_members(&mut self, name: &str) -> Result<()> {
        let mut file = std::io::BufWriter::new(File::create(self.path(name))?);
        for line in self.audience.members() {
            self.expected.member(&line);
            writeln!(file, "{line}")?;
        }
        file.flush()?;
        Ok(())
    }

    /// Writes the tenant's file, `test.toml`.
    pub fn configure(&self) -> Result<()> {
        std::fs::write(self.path("test.toml"), self.tenant.text())?;
        Ok(())
    }

    /// These changes of the audience, told to the model. A change carries its number as the
    /// member's credits, so that it can be recognised at the destination.
    pub fn changes(&mut self, numbers: std::ops::Range<u64>) -> Result<Vec<String>> {
        let audience = self.audience;
        let first = numbers.start;
        let lines: Vec<String> = audience
            .changes(numbers)
            .zip(first..)
            .map(|(line, number)| {
                let mut change: Value = serde_json::from_str(&line)?;
                // Both spellings are the same number.
                change["user"]["credits"] = match number % 3 {
                    0 => number.to_string().into(),
                    _ => number.into(),
                };
                Ok(change.to_string())
            })
            .collect::<Result<_>>()?;
        lines.iter().for_each(|line| self.expected.change(line));
        Ok(lines)
    }

    /// Appends these changes of the audience to `changes.ndjson`.
    pub fn append(&mut self, numbers: std::ops::Range<u64>) -> Result<()> {
        let lines = self.changes(numbers)?;
        append(&self.path("changes.ndjson"), &lines)
    }

    /// `sluice run ARGS`, until it ends.
    pub async fn run(&self, args: &[&str]) -> Result<Ended> {
        self.start(args)?.ended().await
    }

    /// `sluice run ARGS`.
    pub fn start(&self, args: &[&str]) -> Result<Running> {
        self.sluice.start(&[&["run"], args].concat())
    }

    /// The exit code of a run that did all it could: 7 if rows are in quarantine.
    pub fn good_end(&self) -> i32 {
        if self.quarantined() == (0, 0) { 0 } else { 7 }
    }

    /// Rows that belong in quarantine: of the backfill, and of live.
    fn quarantined(&self) -> (u64, u64) {
        let counts = self.expected.counts();
        (
            counts.rejected + counts.refused,
            counts.changes_rejected + counts.changes_refused,
        )
    }

    /// Runs until everything is delivered, and proves that it is.
    pub async fn finish(&self) -> Result<()> {
        let ended = self.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(self.good_end()), "{ended:?}");
        self.prove().await
    }

    /// The account holds what it must, the store counts what happened, nothing was sent that
    /// nobody mapped, no mail went out, and no older change came after a newer one.
    pub async fn prove(&self) -> Result<()> {
        self.prove_by(&self.sluice.status().await?)
    }

    /// `prove`, with the status that was asked for elsewhere.
    pub fn prove_by(&self, status: &Value) -> Result<()> {
        let counts = self.expected.counts();
        let comparison = self.expected.compare(self.simulator.users());
        ensure!(comparison.is_clean(), "{comparison}\n{status:#}");
        let (backfill, live) = (&status["backfill"], &status["live"]);
        let (of_members, of_changes) = self.quarantined();
        let has_backfill = self.tenant.members.is_some();
        let of_scan = |n: u64| if has_backfill { n } else { 0 };
        let sent = |phase: &Value| {
            phase["delivered"].as_u64().unwrap_or(0) + phase["superseded"].as_u64().unwrap_or(0)
        };
        for (what, found, wanted) in [
            ("phase", &status["phase"], Value::from("live")),
            ("adds_up", &status["adds_up"], true.into()),
            (
                "members received",
                &backfill["received"],
                of_scan(counts.received).into(),
            ),
            (
                "members delivered",
                &backfill["delivered"],
                of_scan(counts.staged).into(),
            ),
            (
                "members superseded",
                &backfill["superseded"],
                of_scan(counts.superseded).into(),
            ),
            (
                "members quarantined",
                &backfill["quarantined"],
                of_scan(of_members).into(),
            ),
            ("members pending", &backfill["pending"], 0.into()),
            ("changes received", &live["received"], counts.changes.into()),
            (
                "changes quarantined",
                &live["quarantined"],
                of_changes.into(),
            ),
            ("changes pending", &live["pending"], 0.into()),
            (
                "changes delivered or superseded",
                &sent(live).into(),
                (counts.changes - of_changes).into(),
            ),
        ] {
            ensure!(
                *found == wanted,
                "{what}: {found}, not {wanted}\n{status:#}"
            );
        }
        let stats = self.simulator.stats();
        let forbidden = forbidden_fields(&stats);
        let unexpected = unexpected_fields(&stats, &FLAGS);
        ensure!(forbidden.is_empty(), "nobody mapped {forbidden:?}");
        ensure!(unexpected.is_empty(), "nobody mapped {unexpected:?}");
        ensure!(stats["mails"] == 0, "{} welcome mails", stats["mails"]);
        in_order(&self.simulator)
    }

    /// The requests of a method and a path below the endpoint, oldest first.
    pub fn requests(&self, method: &str, path: &str) -> Vec<Value> {
        requests(&self.simulator, method, path)
    }

    /// The quarantine: position and reason of each row.
    pub fn quarantine(&self) -> Result<Vec<(String, String)>> {
        let store = self.path(".sluice/test/everyone");
        let rows = sluice::store::Store::open_read_only(&store)?
            .quarantine(&QuarantineFilter::default(), None)?;
        Ok(rows
            .into_iter()
            .map(|row| (row.position, row.reason))
            .collect())
    }
}

/// A simulated account that knows the audience's attributes.
pub async fn account(config: Config) -> Result<Simulator> {
    let simulator = Simulator::start(Config {
        api_key: KEY.to_owned(),
        ..config
    })
    .await?;
    let define = |(group, name, kind): &(&str, &str, &str)| {
        let kind = kind.parse().map_err(anyhow::Error::msg)?;
        Ok(Definition::new(group, name, kind))
    };
    simulator.define(definitions().iter().map(define).collect::<Result<_>>()?);
    Ok(simulator)
}

/// The requests of a method and a path below the endpoint, oldest first.
pub fn requests(simulator: &Simulator, method: &str, path: &str) -> Vec<Value> {
    let mut found = simulator.requests();
    found.retain(|request| {
        request["method"] == method
            && request["path"]
                .as_str()
                .is_some_and(|found| found.starts_with(&format!("/v3{path}")))
    });
    found.sort_by_key(|request| request["seq"].as_u64());
    found
}

/// For each member, changes took effect in the order of their numbers, which they carry as credits.
pub fn in_order(simulator: &Simulator) -> Result<()> {
    let mut requests = requests(simulator, "POST", "/users");
    requests.retain(|request| request["effect"].is_u64());
    requests.sort_by_key(|request| request["effect"].as_u64());
    let mut newest: HashMap<String, i64> = HashMap::new();
    for request in &requests {
        let member = request["record_id"].to_string();
        let number = &request["body"]["custom_attributes"]["resci"]["credits_available"];
        let number = match number {
            Value::String(text) => text.parse().ok(),
            number => number.as_i64(),
        };
        let number = number.context("a change without a number")?;
        if let Some(before) = newest.insert(member, number) {
            ensure!(
                before <= number,
                "change {number} of a member took effect after change {before}: {request}"
            );
        }
    }
    Ok(())
}

/// Appends lines to a file, each with its end.
pub fn append(path: &Path, lines: &[String]) -> Result<()> {
    let mut text = lines.join("\n");
    text.push('\n');
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
