//! Writes far more than anybody reads: a row's cell says how.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| {
            match what {
                "lines" => (0..100_000).for_each(|n| write(&format!("line {n} of a flood"))),
                "bytes" => {
                    let line = format!("a large line {}", "x".repeat(1 << 20));
                    (0..200).for_each(|_| write(&line));
                }
                // The second line looks like the host's own; the third wipes the screen.
                "forged" => write(
                    "one\r\n2026-01-01T00:00:00.000000Z ERROR parked export=good/everyone\n\
                     \u{1b}[2J\u{9b}31m\u{202e}two\u{2028}three",
                ),
                _ => {}
            }
            "wrote".to_owned()
        }))
    }
}

fn write(line: &str) {
    log::write(log::Level::Error, line);
}

hostile!(Guest);
