//! An audience that is the same for the same seed, the changes that happen to it, and the state
//! that they must lead to.
//!
//! The generator makes a mess on purpose, as real audiences are. The model ([`Expected`]) follows
//! the rules that the exporter documents, and shares no code with it: so it can prove it right.

mod changes;
mod compare;
mod dice;
mod expected;
mod mapping;
mod members;
mod profile;
mod rules;
mod time;
mod words;

pub use changes::Changes;
pub use compare::Comparison;
pub use dice::{Dice, Purpose};
pub use expected::{Counts, Expected};
pub use mapping::{definitions, forbidden_fields, mapping, unexpected_fields};
pub use members::{Kind, Members};

/// What an audience consists of. Everything follows from these numbers.
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    pub members: u64,
    pub seed: u64,
    /// So many lines among the members are no JSON.
    pub broken_lines: u64,
    /// So many of a hundred updates and exits carry only some of the member's fields.
    pub partial_percent: u64,
}

impl Audience {
    pub fn new(members: u64, seed: u64) -> Self {
        Self {
            members,
            seed,
            broken_lines: 0,
            partial_percent: 15,
        }
    }

    pub fn broken_lines(self, broken_lines: u64) -> Self {
        Self {
            broken_lines,
            ..self
        }
    }

    pub fn partial_percent(self, partial_percent: u64) -> Self {
        Self {
            partial_percent,
            ..self
        }
    }

    /// One NDJSON line for each member, without the line's end.
    pub fn members(self) -> Members {
        Members::new(self)
    }

    /// Changes by their numbers: `0..500` during the import, `500..2_000` live. A change is the
    /// same in whichever part it is asked for.
    pub fn changes(self, numbers: std::ops::Range<u64>) -> Changes {
        Changes::new(self, numbers)
    }
}

/// `n` members, as NDJSON lines.
pub fn members(n: u64, seed: u64) -> Members {
    Audience::new(n, seed).members()
}

/// `n_changes` changes of an audience of `n` members, as NDJSON lines.
pub fn changes(n_changes: u64, n: u64, seed: u64) -> Changes {
    Audience::new(n, seed).changes(0..n_changes)
}

#[cfg(test)]
mod tests;
