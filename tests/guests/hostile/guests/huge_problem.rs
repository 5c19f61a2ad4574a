//! Says in a megabyte, with lines that look like the host's own, that it cannot work.

use sluice_hostile::*;

/// Begins a line of its own, moves the cursor up, and paints in red.
const FORGED: &str = "broken\r\n2026-01-01T00:00:00.000000Z  INFO forged\u{1b}[1A\u{1b}[31m";

struct Guest;

impl Tame for Guest {
    fn check() -> Result<(), Problem> {
        Err(Problem::Transient(huge()))
    }

    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        Err(Problem::Fatal(huge()))
    }
}

fn huge() -> String {
    format!("{FORGED}{}", "é".repeat(500_000))
}

hostile!(Guest);
