//! Never comes back from `describe`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        forever()
    }
}

hostile!(Guest);
