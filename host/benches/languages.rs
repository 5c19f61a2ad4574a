//! The same destination in several languages: how large it is, how long it takes to load and to open, and
//! how fast it stages and delivers. By turns in one run; only the ratios mean anything.
//!
//!     cargo xtask bench

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sluice::capability::http::{Endpoint, Policy, Recorder};
use sluice::capability::{Http, LogSink};
use sluice::plugin::flat::{Kind, Rows, cell};
use sluice::plugin::types::{Column, Settings};
use sluice::plugin::{Engine, Grant, Limits, LoadLimits, Plugin};

/// The language, and where its component is.
const LANGUAGES: [(&str, &str); 3] = [
    ("Rust", "webhook.wasm"),
    ("Python", "examples/python_webhook.wasm"),
    ("JavaScript", "examples/javascript_webhook.wasm"),
];

/// The mapping: what an ordinary export sends of a member.
const COLUMNS: [&str; 8] = [
    "id", "email", "first", "last", "city", "zip", "phone", "credits",
];

/// Rows of a batch: as many as the manifests ask for.
const STAGED: u32 = 1_000;
const DELIVERED: u32 = 100;

/// Turns, one after the other for all.
const TURNS: usize = 9;

/// A language's component, loaded.
struct Loaded {
    language: &'static str,
    plugin: Plugin,
    bytes: u64,
    loading: Duration,
    times: [Vec<Duration>; 3],
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let components = PathBuf::from(
        std::env::var_os("SLUICE_COMPONENTS")
            .context("use `cargo xtask bench`, which builds the components")?,
    );
    println!("\nlanguages: the same webhook in each; medians of {TURNS} turns");
    let mut all = vec![];
    for (language, file) in LANGUAGES {
        let file = components.join(file);
        match file.exists() {
            true => all.push(load(language, &file).await?),
            false => println!(
                "SKIPPED: {language}, since {} is not built; `cargo xtask setup --all-languages` \
                 installs what that needs",
                file.display()
            ),
        }
    }
    for _ in 0..TURNS {
        for loaded in &mut all {
            let plugin = &loaded.plugin;
            let took = [
                opens(plugin).await?,
                stages(plugin).await?,
                delivers(plugin).await?,
            ];
            for (times, took) in loaded.times.iter_mut().zip(took) {
                times.push(took);
            }
        }
    }
    print(&all);
    Ok(())
}

fn print(all: &[Loaded]) {
    let measured = |loaded: &Loaded| {
        let [open, stage, deliver] = loaded.times.clone().map(median);
        // What a call is beside its instance.
        let rate = |rows: u32, call: Duration| {
            f64::from(rows) / call.saturating_sub(open).as_secs_f64().max(1e-9)
        };
        [
            loaded.bytes as f64 / 1e6,
            loaded.loading.as_secs_f64(),
            open.as_secs_f64() * 1e3,
            rate(STAGED, stage) / 1e3,
            rate(DELIVERED, deliver) / 1e3,
        ]
    };
    let Some(first) = all.first() else {
        return;
    };
    let base = measured(first);
    println!(
        "{:>12} {:>18} {:>18} {:>22} {:>24} {:>24}",
        "", "size", "load", "instantiate and open", "stage", "deliver"
    );
    for loaded in all {
        let units = ["MB", "s", "ms", "k rows/s", "k rows/s"];
        let columns = measured(loaded).into_iter().zip(base).zip(units);
        let columns: Vec<_> = columns
            .zip([18, 18, 22, 24, 24])
            .map(|(((value, base), unit), width)| {
                let text = format!("{value:.2} {unit} ({:.3})", value / base);
                format!("{text:>width$}")
            })
            .collect();
        println!("{:>12} {}", loaded.language, columns.join(" "));
    }
    println!("in brackets: times what {} has", first.language);
}

async fn load(language: &'static str, file: &Path) -> Result<Loaded> {
    let began = Instant::now();
    // Compiled in this process, and nothing is kept: that is what is measured.
    let plugin = Engine::new()
        .load(file, &Limits::default(), &LoadLimits::default())
        .await?;
    Ok(Loaded {
        language,
        plugin,
        bytes: std::fs::metadata(file)?.len(),
        loading: began.elapsed(),
        times: Default::default(),
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn opens(plugin: &Plugin) -> Result<Duration> {
    let began = Instant::now();
    drop(open(plugin).await?);
    Ok(began.elapsed())
}

async fn stages(plugin: &Plugin) -> Result<Duration> {
    let rows = batch(STAGED, Kind::Scan);
    let began = Instant::now();
    let staged = open(plugin).await?.stage(&rows, 0).await?;
    let took = began.elapsed();
    ensure!(staged.rejected.is_empty() && staged.ends.len() == STAGED as usize);
    Ok(took)
}

async fn delivers(plugin: &Plugin) -> Result<Duration> {
    let rows = batch(DELIVERED, Kind::Update);
    let began = Instant::now();
    let delivery = open(plugin).await?.deliver(&rows).await?;
    let took = began.elapsed();
    ensure!(
        delivery.rejected.is_empty() && delivery.retry.is_empty(),
        "{delivery:?}"
    );
    Ok(took)
}

/// A fresh instance whose requests are answered at once: what the network takes is not the language's.
async fn open(plugin: &Plugin) -> Result<sluice::plugin::Session> {
    let column = |name: &&str| Column {
        source: (*name).to_owned(),
        destination: (*name).to_owned(),
    };
    let settings = Settings {
        columns: COLUMNS.iter().map(column).collect(),
        options: "{}".to_owned(),
        extra: vec![],
    };
    let limits = Limits::default();
    let endpoint = Endpoint::parse(&plugin.manifest.endpoint, false)?;
    let policy = Policy::new(endpoint, &plugin.manifest, &serde_json::Map::new())?;
    let grant = Grant {
        http: Http::Recorder(Arc::new(Recorder::new(policy))),
        ..Grant::none(LogSink::new("bench", &limits))
    };
    Ok(plugin.open(&settings, grant, limits).await?)
}

fn batch(rows: u32, kind: Kind) -> Rows {
    let mut batch = Rows::default();
    for row in 0..rows {
        for text in [
            row.to_string(),
            format!("member.{row}@example.com"),
            "Ada".to_owned(),
            format!("Lovelace {row}"),
            "London".to_owned(),
            format!("{:05}", row * 7 % 99_999),
            format!("+44 20 {row:07}"),
        ] {
            batch.cell(cell::TEXT, &text);
        }
        batch.cell(cell::INTEGER, &(row % 500).to_string());
        batch.end_row(kind);
    }
    batch
}
