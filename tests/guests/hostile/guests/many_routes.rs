//! Asks for a million routes.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        let route = |path| Route {
            method: String::new(),
            path,
            purpose: String::new(),
        };
        Manifest {
            routes: aliases(1_000_000, 1).into_iter().map(route).collect(),
            ..manifest()
        }
    }
}

hostile!(Guest);
