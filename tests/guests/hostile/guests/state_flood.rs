//! Takes the memory that it is given for a database: a row's cell says how.

use sluice_guest::state::{self, Failure};
use sluice_hostile::*;

struct Guest;

/// Sets one key after the other, until it is told to stop.
fn fill(value: &str) -> String {
    (0..)
        .find_map(|n| state::set(&format!("k{n}"), value).err())
        .map_or_else(String::new, words)
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Changed(_) => "changed".to_owned(),
        Failure::Denied(reason) => format!("denied: {reason}"),
        Failure::TooLarge(reason) => format!("too large: {reason}"),
        Failure::Unavailable(reason) => format!("unavailable: {reason}"),
    }
}

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| match what {
            "calls" => loop {
                drop(std::hint::black_box(state::get("k0")));
            },
            "keys" => fill("v"),
            "bytes" => fill(&"v".repeat(1_000)),
            "value" => {
                state::set("long", &"v".repeat(20_000)).map_or_else(words, |()| "kept".to_owned())
            }
            "name" => state::get("a\nb").map_or_else(words, |_| "looked".to_owned()),
            _ => "fine".to_owned(),
        }))
    }
}

hostile!(Guest);
