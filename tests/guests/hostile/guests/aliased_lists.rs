//! Rejects one row a thousand times, each time with the same megabyte: a gigabyte, for the host.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        let rejected = aliases(1_000, 1 << 20)
            .into_iter()
            .map(|reason| rejection(0, reason))
            .collect();
        Ok(Delivery {
            rejected,
            ..delivered()
        })
    }
}

hostile!(Guest);
