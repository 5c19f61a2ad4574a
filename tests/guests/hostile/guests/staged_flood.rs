//! Makes a megabyte of each row.

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
            let end = staging.bytes.len() + (1 << 20);
            staging.bytes.resize(end, b'x');
            staging.accept([]);
        }
        Ok(staging.finish())
    }
}

hostile!(Guest);
