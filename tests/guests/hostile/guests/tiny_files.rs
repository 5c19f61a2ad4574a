//! Wants a staged file, and so an import job, for each row.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        let mut manifest = manifest();
        manifest.limits.file_rows = 1;
        manifest
    }
}

hostile!(Guest);
