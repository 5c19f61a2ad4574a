//! Wants all rows in one call; rejects them if it got more than the host should have at once.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        let mut manifest = manifest();
        manifest.limits.stage_rows = u32::MAX;
        manifest.limits.deliver_rows = u32::MAX;
        manifest
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(match rows.rows {
            0..=1_000 => delivered(),
            many => attempt(&rows, |_| format!("{many} rows at once")),
        })
    }
}

hostile!(Guest);
