//! `sluice status`: what the stores say, whether or not anything runs.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use sluice::config::{Config, ExportConfig};
use sluice::deploy::directory;
use sluice::export::{State, Versions, Wanted};
use sluice::plugin::ComponentFile;
use sluice::registry::{Entry, Registry, Resolved};
use sluice::store::{ExportReceipt, PhaseCounts, Store, StoreError};
use sluice::usage::UsageReport;

use super::args::{StatusArgs, Where};
use super::exit::Exit;
use super::stores::{grouped, time};
use super::{logs, select, usage, versions};

/// One export, for programs.
#[derive(Serialize)]
pub struct Report {
    pub export: String,
    label: String,
    audience: String,
    /// `not-started` if there is no store yet.
    pub plugin: Configured,
    /// Which versions of it run; `null` before the first start.
    pub versions: Option<Versions>,
    /// What is wanted of versions, and was not taken up yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<Wanted>,
    phase: String,
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    #[serde(flatten)]
    receipt: ExportReceipt,
    /// Bytes of the changes that wait.
    log_bytes: u64,
    /// Age of the oldest change that waits.
    lag_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    /// When what stands in the way is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try: Option<String>,
    /// What was used, under each version of the plugin.
    pub usage: Vec<UsageReport>,
    /// Why its store cannot be read, if so: then there is nothing more to say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The component that the configuration leads to right now, which is what the next start runs.
#[derive(Serialize)]
pub struct Configured {
    /// What the configuration says, for people.
    source: String,
    /// Of a version that is kept, what it is called.
    #[serde(flatten)]
    pub version: Option<Version>,
    /// `null`, if it is not there.
    pub sha256: Option<String>,
}

#[derive(Serialize)]
pub struct Version {
    pub name: String,
    pub version: String,
}

#[derive(Serialize)]
struct LastError {
    message: String,
    at: String,
}

pub fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let config = match select::configuration(&args.place) {
        Ok(config) => config,
        Err(exit) => return Ok(exit),
    };
    let exports: Vec<_> = config
        .tenants
        .iter()
        .flat_map(|tenant| &tenant.exports)
        .collect();
    let reports = reports(&args.place, &config, &exports);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else if args.usage {
        usage::print(&reports);
    } else {
        print(&reports);
    }
    Ok(match reports.iter().any(|report| report.error.is_some()) {
        true => Exit::Unforeseen,
        false => Exit::Fine,
    })
}

/// Reads the stores of these exports. One that cannot be read hides no other.
pub fn reports(place: &Where, config: &Config, exports: &[&ExportConfig]) -> Vec<Report> {
    let one = |export: &&ExportConfig| {
        let mut report = empty(place, config, export);
        if let Err(error) = fill(&mut report, &directory(&place.data(), export)) {
            report = empty(place, config, export);
            "unreadable".clone_into(&mut report.phase);
            report.error = Some(error.to_string());
        }
        report
    };
    exports.iter().map(one).collect()
}

/// What is known of an export without its store.
fn empty(place: &Where, config: &Config, export: &ExportConfig) -> Report {
    Report {
        export: export.spec.name(),
        label: export.spec.label.clone(),
        audience: export.spec.audience.clone(),
        plugin: configured(place, config, export),
        versions: None,
        wanted: vec![],
        phase: "not-started".to_owned(),
        since: None,
        state: None,
        receipt: ExportReceipt::default(),
        log_bytes: 0,
        lag_seconds: 0,
        last_error: None,
        next_try: None,
        usage: vec![],
        error: None,
    }
}

/// What its store says.
fn fill(report: &mut Report, directory: &Path) -> Result<(), StoreError> {
    if !Store::exists(directory) {
        return Ok(());
    }
    let store = Store::open_read_only(directory)?;
    // In this order: what is wanted no more has come to something that is recorded.
    let wanted = store.versions_wanted()?;
    report.wanted = wanted.into_iter().filter_map(|(_, one)| one).collect();
    report.versions = store.versions()?;
    let ledger = store.ledger()?;
    let used = store.usage()?;
    report.usage = used
        .iter()
        .map(|row| UsageReport::new(&row.plugin, &row.version, &row.used))
        .collect();
    report.receipt = store.receipt()?;
    report.log_bytes = ledger.log_bytes;
    let now = jiff::Timestamp::now().as_millisecond();
    report.lag_seconds = ledger
        .oldest_pending_ms
        .map_or(0, |oldest| now.saturating_sub(oldest).max(0) as u64 / 1000);
    if let Some(recorded) = store.recorded()? {
        recorded.state.phase().clone_into(&mut report.phase);
        report.since = Some(time(recorded.since_ms));
        report.state = Some(recorded.state);
        report.next_try = recorded.next_try_ms.map(time);
        report.last_error = recorded.last_error.map(|(message, at)| LastError {
            message,
            at: time(at),
        });
    }
    Ok(())
}

fn configured(place: &Where, config: &Config, export: &ExportConfig) -> Configured {
    let mut tenants = config.tenants.iter();
    let tenant = tenants.find(|tenant| tenant.id == export.spec.tenant);
    let Some(authorization) = tenant.and_then(|t| t.authorizations.get(&export.authorization))
    else {
        return Configured {
            source: String::new(),
            version: None,
            sha256: None,
        };
    };
    let source = export.plugin(authorization);
    let found = Registry::at(&place.data()).resolve(source).ok();
    let seen = |path| ComponentFile::read(path, &authorization.load_limits);
    let (version, sha256) = match found {
        None => (None, None),
        Some(Resolved {
            entry: Some(entry), ..
        }) => {
            let Entry { name, version, .. } = entry;
            (Some(Version { name, version }), Some(entry.sha256))
        }
        Some(Resolved { path, entry: None }) => {
            let file = seen(&path).ok();
            (None, file.map(|file| file.sha256().to_owned()))
        }
    };
    Configured {
        source: source.to_string(),
        version,
        sha256,
    }
}

/// A table, and below it what needs a person.
pub fn print(reports: &[Report]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "export",
        "phase",
        "of",
        "received",
        "delivered",
        "quarantined",
        "superseded",
        "pending",
        "adds up",
        "lag",
    ]);
    for report in reports {
        let phases = [
            ("backfill", &report.receipt.counts.backfill),
            ("live", &report.receipt.counts.live),
        ];
        for (index, (name, counts)) in phases.into_iter().enumerate() {
            let first = |text: &str| {
                if index == 0 {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            let lag = if index == 1 {
                format!("{} s", report.lag_seconds)
            } else {
                String::new()
            };
            let PhaseCounts {
                received,
                delivered,
                quarantined,
                superseded,
                dropped: _,
                pending,
            } = *counts;
            let mut row = vec![first(&report.export), first(&report.phase), name.to_owned()];
            row.extend([received, delivered, quarantined, superseded, pending].map(grouped));
            row.push(if counts.add_up() {
                "yes".to_owned()
            } else {
                "NO".to_owned()
            });
            row.push(lag);
            table.add_row(row);
        }
    }
    for column in 3..=7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    for report in reports {
        if let Some(error) = &report.error {
            println!("{} cannot be read: {error}", report.export);
        }
        for line in versions::lines(report) {
            println!("{}: {line}", report.export);
        }
        if let Some(State::Parked { reason, .. }) = &report.state {
            println!(
                "{} is parked since {}: {reason}",
                report.export,
                report.since.as_deref().unwrap_or("?")
            );
        } else if let Some(error) = &report.last_error {
            match &report.next_try {
                Some(next) => println!(
                    "{}: in trouble since {}, tried again at {next}: {}",
                    report.export, error.at, error.message
                ),
                None => println!(
                    "{}: last error at {}: {}",
                    report.export, error.at, error.message
                ),
            }
        }
        let dropped = report.receipt.counts.backfill.dropped + report.receipt.counts.live.dropped;
        if dropped > 0 {
            println!(
                "{}: dropped from quarantine by hand: {}",
                report.export,
                grouped(dropped)
            );
        }
        let quarantined =
            report.receipt.counts.backfill.quarantined + report.receipt.counts.live.quarantined;
        if quarantined > 0 {
            let rows = if quarantined == 1 {
                "row is"
            } else {
                "rows are"
            };
            println!(
                "{}: {} {rows} in quarantine; `sluice quarantine list {}` shows why",
                report.export,
                grouped(quarantined),
                report.export
            );
        }
    }
}

impl Report {
    /// Whether rows of it are in quarantine.
    pub fn quarantined(&self) -> bool {
        self.receipt.counts.backfill.quarantined + self.receipt.counts.live.quarantined > 0
    }
}
