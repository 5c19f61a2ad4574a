//! Never comes back from `open`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn open(_: Settings) -> Result<(), Problem> {
        forever()
    }
}

hostile!(Guest);
