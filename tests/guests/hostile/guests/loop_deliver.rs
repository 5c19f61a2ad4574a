//! Never comes back from `deliver`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        forever()
    }
}

hostile!(Guest);
