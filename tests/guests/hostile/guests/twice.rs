//! Speaks of a row twice: the first cell that is not `fine` says how.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let mut staged = stage(&rows, offset).finish();
        if wish(&rows) == Some("rejected") {
            staged.bytes.truncate(staged.start as usize);
            staged.ends.fill(staged.start);
            staged.rejected = vec![rejection(0, "no"), rejection(0, "no again")];
        }
        Ok(staged)
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        let mut delivery = delivered();
        match wish(&rows) {
            Some("rejected") => {
                delivery.rejected = vec![rejection(0, "no"), rejection(0, "no again")];
            }
            Some("retry") => {
                delivery.retry = vec![0, 0];
                delivery.why = Some(Problem::Transient("later".to_owned()));
            }
            Some("both") => {
                delivery.rejected = vec![rejection(0, "no")];
                delivery.retry = vec![0];
                delivery.why = Some(Problem::Transient("later".to_owned()));
            }
            _ => {}
        }
        Ok(delivery)
    }
}

hostile!(Guest);
