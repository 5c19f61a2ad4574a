//! Never comes back from `submit`.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn submit(_: File) -> Result<String, Problem> {
        forever()
    }
}

hostile!(Guest);
