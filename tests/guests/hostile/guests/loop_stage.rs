//! Never comes back from `stage`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(_: Batch, _: u64) -> Result<Staged, Problem> {
        forever()
    }
}

hostile!(Guest);
