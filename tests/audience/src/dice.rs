//! Numbers that follow from a seed: for members and changes, and for whatever else a test throws.
//!
//! A splitmix64 of our own and not a crate: members are made independently of each other, by
//! number, so each needs a fresh generator from (seed, purpose, number), and a crate's algorithm
//! may change with its version while the audience of a seed must not.

/// A generator of numbers. The same beginnings give the same numbers, in every version.
#[derive(Clone, Debug)]
pub struct Dice(u64);

/// What the numbers are for, so that one purpose's do not shift another's.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Kind = 1,
    Identity = 2,
    Profile = 3,
    Change = 4,
    Broken = 5,
    /// What goes wrong when, in a test.
    Schedule = 6,
}

impl Dice {
    pub fn new(seed: u64, purpose: Purpose, number: u64, version: u64) -> Self {
        let mut state = mix(seed ^ (purpose as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        state = mix(state ^ number);
        Self(mix(state ^ version.wrapping_mul(0xd1b5_4a32_d192_ed03)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to `n - 1`.
    pub fn below(&mut self, n: u64) -> u64 {
        // A multiplication and no remainder: as even, and quicker.
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// From `low` to `high`, both among them.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Whether something happens that happens so often in a hundred times.
    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
