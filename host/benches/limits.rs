//! What the limits cost: the same component, batches and machine, with everything that `plugin/`
//! puts around a call, and with wasmtime alone. By turns in one run; only the ratio means anything.
//!
//!     cargo xtask bench

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sluice::capability::LogSink;
use sluice::plugin::flat::{Kind, Rows, cell};
use sluice::plugin::types::{Column, Settings};
use sluice::plugin::{Engine, Grant, Limits, LoadLimits, Plugin};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Store};

/// Wasmtime alone: no epochs, no bounds on memory, tables or lifting, no turns, no account of time.
mod bare {
    wasmtime::component::bindgen!({
        path: "../wit/0.2",
        world: "destination",
        imports: { default: async | trappable },
        exports: { default: async },
    });

    /// A host that gives nothing.
    pub struct Nothing;

    use self::sluice::sink::{http, log, state, types};

    impl types::Host for Nothing {}

    impl http::Host for Nothing {
        async fn send(
            &mut self,
            _: http::Request,
        ) -> wasmtime::Result<Result<http::Response, http::Failure>> {
            Ok(Err(http::Failure::Denied(String::new())))
        }

        async fn send_all(
            &mut self,
            requests: Vec<http::Request>,
        ) -> wasmtime::Result<Vec<Result<http::Response, http::Failure>>> {
            let denied = || Err(http::Failure::Denied(String::new()));
            Ok(requests.iter().map(|_| denied()).collect())
        }
    }

    impl state::Host for Nothing {
        async fn get(
            &mut self,
            _: String,
        ) -> wasmtime::Result<Result<Option<String>, state::Failure>> {
            Ok(Err(state::Failure::Denied(String::new())))
        }

        async fn compare_and_set(
            &mut self,
            _: String,
            _: Option<String>,
            _: Option<String>,
        ) -> wasmtime::Result<Result<(), state::Failure>> {
            Ok(Err(state::Failure::Denied(String::new())))
        }
    }

    impl log::Host for Nothing {
        async fn write(&mut self, _: log::Level, _: String) -> wasmtime::Result<()> {
            Ok(())
        }
    }
}

/// The mapping: what an ordinary export sends of a member.
const COLUMNS: [(&str, &str); 8] = [
    ("mail", "email"),
    ("id", "record_id"),
    ("first", "full_name"),
    ("last", "full_name"),
    ("city", "city"),
    ("zip", "zip"),
    ("phone", "phone"),
    ("credits", "custom_attributes.resci.credits_available"),
];

/// Rows of a batch, and how often it is staged in each turn.
const BATCHES: [(u32, u32); 3] = [(1, 1_000), (100, 400), (1_000, 60)];

/// Turns, one after the other for both.
const TURNS: usize = 9;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let file = PathBuf::from(
        std::env::var_os("SLUICE_COMPONENTS")
            .context("use `cargo xtask bench`, which builds the component")?,
    )
    .join("retention_science.wasm");
    let bounded = Engine::new()
        .load(&file, &Limits::default(), &LoadLimits::default())
        .await?;
    let bare = Bare::load(&file)?;
    println!(
        "\nlimits: instantiate, open and stage one batch, in microseconds a call; medians of {TURNS} turns"
    );
    println!(
        "{:>8} {:>14} {:>14} {:>8}",
        "rows", "wasmtime alone", "with limits", "ratio"
    );
    for (rows, times) in BATCHES {
        let (with, without) = (bounded_batch(rows), bare_batch(rows));
        let mut turns = vec![];
        for _ in 0..TURNS {
            let began = Instant::now();
            for _ in 0..times {
                bare.stage(&without).await?;
            }
            let alone = began.elapsed();
            let began = Instant::now();
            for _ in 0..times {
                stage(&bounded, &with).await?;
            }
            turns.push((alone, began.elapsed()));
        }
        let (alone, limited) = (
            median(turns.iter().map(|t| t.0)),
            median(turns.iter().map(|t| t.1)),
        );
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(times);
        println!(
            "{rows:>8} {:>14.1} {:>14.1} {:>8.2}",
            each(alone),
            each(limited),
            limited.as_secs_f64() / alone.as_secs_f64()
        );
    }
    Ok(())
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// The texts of one row.
fn cells(row: u32) -> [String; 8] {
    [
        format!("member.{row}@example.com"),
        row.to_string(),
        "Ada".to_owned(),
        format!("Lovelace {row}"),
        "London".to_owned(),
        format!("{:05}", row * 7 % 99_999),
        format!("+44 20 {row:07}"),
        (row % 500).to_string(),
    ]
}

const OPTIONS: &str = r#"{"import_type":"bench"}"#;

fn bounded_batch(rows: u32) -> Rows {
    let mut batch = Rows::default();
    for row in 0..rows {
        for text in cells(row) {
            batch.cell(cell::TEXT, &text);
        }
        batch.end_row(Kind::Scan);
    }
    batch
}

async fn stage(plugin: &Plugin, batch: &Rows) -> Result<()> {
    let settings = Settings {
        columns: COLUMNS
            .iter()
            .map(|(source, destination)| Column {
                source: (*source).to_owned(),
                destination: (*destination).to_owned(),
            })
            .collect(),
        options: OPTIONS.to_owned(),
        extra: vec![],
    };
    let limits = Limits::default();
    let grant = Grant::none(LogSink::new("bench", &limits));
    let session = plugin.open(&settings, grant, limits).await?;
    std::hint::black_box(session.stage(batch, 1).await?);
    Ok(())
}

use bare::exports::sluice::sink::exporter::Batch;
use bare::sluice::sink::types as bare_types;

fn bare_batch(rows: u32) -> Batch {
    let mut batch = Batch {
        rows,
        cells: String::new(),
        ends: vec![],
        kinds: vec![],
        changes: vec![0; rows as usize],
        extra: vec![],
    };
    for row in 0..rows {
        for text in cells(row) {
            batch.cells.push_str(&text);
            batch.ends.push(batch.cells.len() as u32);
            batch.kinds.push(cell::TEXT);
        }
    }
    batch
}

struct Bare {
    engine: wasmtime::Engine,
    pre: bare::DestinationPre<bare::Nothing>,
}

impl Bare {
    fn load(file: &PathBuf) -> Result<Self> {
        let mut config = Config::new();
        // As in `plugin/`, but for the epochs.
        config
            .max_wasm_stack(1 << 20)
            .async_stack_size(3 << 20)
            .wasm_memory64(false)
            .wasm_relaxed_simd(false)
            .wasm_tail_call(false)
            .concurrency_support(false);
        let ours = |error: wasmtime::Error| anyhow::anyhow!("{error:#}");
        let engine = wasmtime::Engine::new(&config).map_err(ours)?;
        let component = Component::from_file(&engine, file).map_err(ours)?;
        let mut linker = Linker::new(&engine);
        bare::Destination::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
            .map_err(ours)?;
        let pre = linker.instantiate_pre(&component).map_err(ours)?;
        let pre = bare::DestinationPre::new(pre).map_err(ours)?;
        Ok(Self { engine, pre })
    }

    async fn stage(&self, batch: &Batch) -> Result<()> {
        let ours = |error: wasmtime::Error| anyhow::anyhow!("{error:#}");
        let settings = bare_types::Settings {
            columns: COLUMNS
                .iter()
                .map(|(source, destination)| bare_types::Column {
                    source: (*source).to_owned(),
                    destination: (*destination).to_owned(),
                })
                .collect(),
            options: OPTIONS.to_owned(),
            extra: vec![],
        };
        let mut store = Store::new(&self.engine, bare::Nothing);
        let instance = self.pre.instantiate_async(&mut store).await.map_err(ours)?;
        let exporter = instance.sluice_sink_exporter();
        let opened = exporter
            .call_open(&mut store, &settings)
            .await
            .map_err(ours)?;
        anyhow::ensure!(opened.is_ok(), "{opened:?}");
        let staged = exporter
            .call_stage(&mut store, batch, 1)
            .await
            .map_err(ours)?;
        let staged = staged.map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        anyhow::ensure!(staged.rejected.is_empty());
        std::hint::black_box(staged);
        Ok(())
    }
}
