//! Answers a few rows with lists of 200,000.

use sluice_hostile::*;

/// What still fits into 16 MiB of guest memory, with a string beside each item.
const LONG: usize = 200_000;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let mut staged = stage(&rows, offset).finish();
        staged.ends.resize(LONG, staged.bytes.len() as u32);
        staged.identity_ends = vec![0; LONG];
        staged.identity_rows = vec![0; LONG];
        Ok(staged)
    }

    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        Ok(Delivery {
            rejected: (0..LONG as u32).map(|row| rejection(row, "")).collect(),
            ..delivered()
        })
    }
}

hostile!(Guest);
