//! Traps on some batches and not on others: what decides is all that is in the batch, so that a row
//! fails here and passes there.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        mood(&rows);
        Ok(stage(&rows, offset).finish())
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        mood(&rows);
        Ok(delivered())
    }
}

fn mood(rows: &Batch) {
    let fold = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(16_777_619);
    let hash = rows.cells.as_bytes().iter().fold(2_166_136_261, fold);
    assert!(rows.rows == 0 || (hash >> 7) % 5 > 1, "not today");
}

hostile!(Guest);
