//! Never comes back from `check`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn check() -> Result<(), Problem> {
        forever()
    }
}

hostile!(Guest);
