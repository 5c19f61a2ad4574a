//! Speaks of rows that are not in the batch: the first cell that is not `fine` says where.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let wish = wish(&rows);
        let mut staged = stage(&rows, offset).finish();
        match wish {
            Some("rejected") => staged.rejected = vec![rejection(rows.rows, "beyond the end")],
            Some("far") => staged.rejected = vec![rejection(u32::MAX, "far beyond the end")],
            Some("identity") => {
                staged.identities = "one".to_owned();
                staged.identity_ends = vec![3];
                staged.identity_rows = vec![u32::MAX];
            }
            _ => {}
        }
        Ok(staged)
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        let mut delivery = delivered();
        match wish(&rows) {
            Some("rejected") => delivery.rejected = vec![rejection(rows.rows, "beyond the end")],
            Some("far") => delivery.rejected = vec![rejection(u32::MAX, "far beyond the end")],
            Some("retry") => {
                delivery.retry = vec![u32::MAX];
                delivery.why = Some(Problem::Transient("later".to_owned()));
            }
            Some("retry without a reason") => delivery.retry = vec![0],
            _ => {}
        }
        Ok(delivery)
    }
}

hostile!(Guest);
