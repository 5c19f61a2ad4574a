//! Takes memory until there is none.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        let mut held: Vec<Vec<u8>> = vec![];
        loop {
            held.push(vec![1; 1 << 20]);
            std::hint::black_box(&held);
        }
    }
}

hostile!(Guest);
