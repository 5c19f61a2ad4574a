//! The Retention Science exporter once more, as a version that its author might ship: good, or bad in
//! one way. Which one stands in a text that tests replace in the component, so that there are as many
//! versions as they like.

use std::hint::black_box;

use retention_science::RetentionScience;
use sluice_guest::{
    Batch, Delivery, Destination, File, ImportStatus, Manifest, Problem, Rejection, Route,
    Settings, Staged, state,
};

/// Of fixed length: the version, and how it behaves.
static WHICH: &str = "sluice-version:0.9.00;how:good...";

/// Rounds that take about a second.
const BURN: u64 = 1_500_000_000;

/// Under this key stands how many batches this version has had.
const BATCHES: &str = "batches-of-a-bad-version";

/// The plugin.
#[derive(Debug)]
pub struct Versioned;

fn part(begin: usize, bytes: usize) -> &'static str {
    &black_box(WHICH)[begin..begin + bytes]
}

fn how() -> &'static str {
    part(26, 7).trim_end_matches('.')
}

/// Counts batches where it lasts: an instance serves one.
fn batch() -> Result<u32, Problem> {
    let before = state::get(BATCHES)?;
    let number = before.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0) + 1;
    let now = u32::to_string(&number);
    state::compare_and_set(BATCHES, before.as_deref(), Some(&now))?;
    Ok(number)
}

impl Destination for Versioned {
    fn describe() -> Manifest {
        let mut manifest = RetentionScience::describe();
        manifest.version = part(15, 6).to_owned();
        if how() == "greedy" {
            manifest.routes.push(Route {
                method: "POST".to_owned(),
                path: "/everybody".to_owned(),
                purpose: "tell everybody".to_owned(),
            });
        }
        manifest
    }

    fn open(settings: Settings) -> Result<(), Problem> {
        RetentionScience::open(settings)
    }

    fn check() -> Result<(), Problem> {
        RetentionScience::check()
    }

    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        RetentionScience::stage(rows, offset)
    }

    fn submit(file: File) -> Result<String, Problem> {
        RetentionScience::submit(file)
    }

    fn poll(token: String) -> Result<ImportStatus, Problem> {
        if how() == "forgets" {
            return Err(Problem::Fatal("no token of mine".to_owned()));
        }
        RetentionScience::poll(token)
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        match how() {
            // Somewhere in the middle: the destination has heard of the batch.
            "traps" if rows.rows > 0 && batch()? == 5 => {
                let _ = RetentionScience::deliver(rows);
                panic!("the fifth batch");
            }
            "rejects" => {
                return Ok(Delivery {
                    rejected: (0..rows.rows)
                        .map(|row| Rejection {
                            row,
                            field: None,
                            reason: "not today".to_owned(),
                        })
                        .collect(),
                    retry: vec![],
                    why: None,
                    extra: vec![],
                });
            }
            // It asks nobody, and has all of it sent again.
            "stuck" => {
                return Ok(Delivery {
                    rejected: vec![],
                    retry: (0..rows.rows).collect(),
                    why: Some(Problem::Transient("later".to_owned())),
                    extra: vec![],
                });
            }
            "slow" => {
                for round in 0..BURN {
                    black_box(round);
                }
            }
            _ => {}
        }
        RetentionScience::deliver(rows)
    }
}

sluice_guest::export!(Versioned);
