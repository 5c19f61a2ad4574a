//! Rejects each row with a reason, and for a field, of a megabyte.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let mut staging = Staging::default();
        if offset == 0 {
            staging.bytes.extend(b"what\n");
        }
        staging.begin();
        for _ in each(&rows) {
            staging.reject(Some(&huge()), &huge());
        }
        Ok(staging.finish())
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        let rejected = each(&rows)
            .map(|row| Rejection {
                field: Some(huge()),
                ..rejection(row.index, huge())
            })
            .collect();
        Ok(Delivery {
            rejected,
            ..delivered()
        })
    }
}

/// Long, on several lines, and with characters that a terminal obeys.
fn huge() -> String {
    format!("no\n\u{1b}[2J{}", "x".repeat(1 << 20))
}

hostile!(Guest);
