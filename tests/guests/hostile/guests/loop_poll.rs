//! Never comes back from `poll`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn poll(_: String) -> Result<ImportStatus, Problem> {
        forever()
    }
}

hostile!(Guest);
