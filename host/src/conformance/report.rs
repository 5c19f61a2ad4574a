//! What the suite has found.

use super::Rule;

/// Why a rule does not hold, or was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amiss {
    /// It is broken: what was seen. Never holds a value that the author has not given.
    Broken(String),
    /// It says nothing about this plugin, and why.
    Skipped(String),
}

/// How a rule has ended.
pub type Outcome = Result<(), Amiss>;

/// What came of all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each rule with its outcome, in their order.
    pub outcomes: Vec<(Rule, Outcome)>,
    /// What was mapped, so that the author sees what was tried.
    pub mapping: Vec<String>,
    /// The options that were used.
    pub options: String,
    /// How many calls were made.
    pub calls: u64,
    /// The most memory that an instance had, in bytes.
    pub peak_memory_bytes: u64,
    /// What makes the same random rows again.
    pub seed: u64,
}

impl Report {
    /// The rules that are broken, with what was seen.
    pub fn broken(&self) -> impl Iterator<Item = (Rule, &str)> {
        self.outcomes.iter().filter_map(|(rule, outcome)| {
            let Err(Amiss::Broken(seen)) = outcome else {
                return None;
            };
            Some((*rule, seen.as_str()))
        })
    }

    /// The rules that were not looked at, with the reason.
    pub fn skipped(&self) -> impl Iterator<Item = (Rule, &str)> {
        self.outcomes.iter().filter_map(|(rule, outcome)| {
            let Err(Amiss::Skipped(why)) = outcome else {
                return None;
            };
            Some((*rule, why.as_str()))
        })
    }
}

/// A rule is broken.
pub(super) fn broken<T>(seen: impl Into<String>) -> Result<T, Amiss> {
    Err(Amiss::Broken(seen.into()))
}

/// A rule is not looked at.
pub(super) fn skip<T>(why: impl Into<String>) -> Result<T, Amiss> {
    Err(Amiss::Skipped(why.into()))
}

/// A rule is broken unless this holds.
pub(super) fn ensure(holds: bool, seen: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { broken(seen()) }
}
