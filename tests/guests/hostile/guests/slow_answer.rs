//! Asks for an answer that takes its time, or has no end: a row's cell is the path.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |path| {
            outcome(&http::send(&request("GET", path)))
        }))
    }
}

hostile!(Guest);
