//! Calls itself without end.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        std::hint::black_box(deeper(1));
        Ok(delivered())
    }
}

/// Keeps something to be done after the call, so that no compiler makes a loop of it.
fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == 0 {
        0
    } else {
        deeper(here[7] + 1) + here[9]
    }
}

hostile!(Guest);
