//! Answers `submit` with a job token of a megabyte.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn submit(_: File) -> Result<String, Problem> {
        Ok("t".repeat(1 << 20))
    }
}

hostile!(Guest);
