//! How a candidate does beside the active version, and what follows from it. Pure.

use serde::{Deserialize, Serialize};

use super::record::Plan;

/// How often rates are compared over: the latest batches only, so that a destination that went down
/// in the middle of a swap looks the same to both.
const RECENT: u32 = 32;

/// Batches of each version before rates and times are compared: fewer are an accident.
const ENOUGH: u32 = 5;

/// Rows that a candidate may reject alone before its end, in percent: a fix may reject what was
/// wrongly sent before.
const REJECTED_PERCENT: u64 = 1;

/// Rows that it rejects alone, in percent and in number, after which nobody waits for more.
const REJECTED_AT_ONCE: (u64, u64) = (5, 3);

/// How much more often than the old version's, in percent of its batches, those of a candidate may come
/// to nothing.
const HINDERED_PERCENT: u32 = 25;

/// A candidate is slow if half of its batches take longer than this, in milliseconds ...
const SLOW_MS: u64 = 256;

/// ... and this many powers of two longer than half of the old version's.
const SLOW_POWERS: usize = 2;

/// Powers of two of milliseconds: up to two minutes, and what is beyond.
const TIMES: usize = 18;

/// What one version did while a swap was under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Batches.
    pub batches: u32,
    /// Rows in them.
    pub rows: u64,
    /// Batches on which it crashed and the other did not: a trap, a limit, a broken promise.
    pub crashes: u32,
    /// Batches for which it said that it cannot work, and the other could.
    pub refusals: u32,
    /// Rows that it rejected and the other delivered.
    pub rejected: u64,
    /// Batches of which rows have to be sent again.
    pub hindered: u32,
    /// The latest batches, one bit each, the newest lowest: whether it was hindered.
    pub recent: u32,
    /// Batches that were not hindered, by the power of two of the milliseconds that they took.
    pub times: Vec<u32>,
    /// What it said of its last fault.
    pub said: Option<String>,
}

/// One batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Its rows.
    pub rows: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Whether rows have to be sent again.
    pub hindered: bool,
    /// Whether it crashed where the other version did not.
    pub crashed: bool,
    /// Whether it said that it cannot work where the other version could.
    pub refused: bool,
    /// Rows that it rejected and the other version delivered.
    pub rejected: u64,
    /// What it said, if it was at fault.
    pub said: Option<String>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too early.
    Wait,
    /// It is no worse than the old version.
    Promote(String),
    /// It is worse.
    RollBack(String),
}

impl Tally {
    /// Adds a batch.
    pub(crate) fn add(&mut self, seen: &Observation) {
        self.batches += 1;
        self.rows += seen.rows;
        self.crashes += u32::from(seen.crashed);
        self.refusals += u32::from(seen.refused);
        self.rejected += seen.rejected;
        self.hindered += u32::from(seen.hindered);
        self.recent = self.recent << 1 | u32::from(seen.hindered);
        if !seen.hindered {
            self.times.resize(TIMES, 0);
            let power = (u64::BITS - seen.took_ms.leading_zeros()) as usize;
            self.times[power.min(TIMES - 1)] += 1;
        }
        if seen.said.is_some() {
            self.said.clone_from(&seen.said);
        }
    }

    /// Adds what the same version did in another export.
    pub(crate) fn join(&mut self, other: &Self) {
        self.batches += other.batches;
        self.rows += other.rows;
        self.crashes += other.crashes;
        self.refusals += other.refusals;
        self.rejected += other.rejected;
        self.hindered += other.hindered;
        // Taken in turns as far as there is room.
        let room = RECENT - self.remembered();
        let more = other.remembered().min(room);
        if more > 0 {
            let mask = u32::MAX >> (RECENT - more);
            self.recent = self.recent.checked_shl(more).unwrap_or(0) | other.recent & mask;
        }
        self.times.resize(TIMES, 0);
        for (time, more) in self.times.iter_mut().zip(&other.times) {
            *time += more;
        }
        if other.said.is_some() {
            self.said.clone_from(&other.said);
        }
    }

    fn remembered(&self) -> u32 {
        self.batches.min(RECENT)
    }

    /// How many of the latest batches were hindered, in percent.
    fn hindered_percent(&self) -> u32 {
        match self.remembered() {
            0 => 0,
            n => self.recent.count_ones() * 100 / n,
        }
    }

    /// The power of two of the milliseconds that half of its batches took at most.
    fn median_power(&self) -> Option<usize> {
        let all: u32 = self.times.iter().sum();
        let mut so_far = 0;
        self.times.iter().position(|n| {
            so_far += n;
            all >= ENOUGH && so_far * 2 >= all
        })
    }
}

/// Judges a candidate by what both versions did, over all exports of the swap.
pub(crate) fn judge(old: &Tally, new: &Tally, plan: &Plan) -> Verdict {
    let said = match &new.said {
        Some(said) => format!(": {said}"),
        None => String::new(),
    };
    if new.crashes > 0 {
        return Verdict::RollBack(format!(
            "it failed on a batch, its {} of {}, that the old version did not fail on{said}",
            ordinal(new.batches),
            plan.batches
        ));
    }
    if new.refusals > 0 {
        return Verdict::RollBack(format!(
            "it says that it cannot work where the old version can{said}"
        ));
    }
    let (percent, rows) = REJECTED_AT_ONCE;
    let done = new.batches >= plan.batches;
    let share = if done { REJECTED_PERCENT } else { percent };
    if new.rejected * 100 > new.rows * share && (done || new.rejected >= rows) {
        return Verdict::RollBack(format!(
            "it rejected {} of {} rows, all of which the old version delivered{said}",
            new.rejected, new.rows
        ));
    }
    if old.batches >= ENOUGH && new.batches >= ENOUGH {
        let (of_old, of_new) = (old.hindered_percent(), new.hindered_percent());
        if of_new > of_old + HINDERED_PERCENT {
            return Verdict::RollBack(format!(
                "{of_new} % of its latest batches have to be sent again, of the old version's {of_old} %{said}"
            ));
        }
    }
    if let (Some(of_old), Some(of_new)) = (old.median_power(), new.median_power())
        && 1 << of_new > SLOW_MS
        && of_new >= of_old + SLOW_POWERS
    {
        return Verdict::RollBack(format!(
            "it is slow: half of its batches took more than {} ms, half of the old version's at most {} ms",
            1_u64 << (of_new - 1),
            1_u64 << of_old
        ));
    }
    if done {
        return Verdict::Promote(format!(
            "it got through {} batches no worse than the old version",
            new.batches
        ));
    }
    Verdict::Wait
}

fn ordinal(n: u32) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            percent: 10,
            batches: 10,
            leaders: vec![],
        }
    }

    fn tally(batches: u32, each: impl Fn(u32) -> Observation) -> Tally {
        let mut tally = Tally::default();
        (0..batches).for_each(|n| tally.add(&each(n)));
        tally
    }

    fn good(_: u32) -> Observation {
        Observation {
            rows: 100,
            took_ms: 20,
            ..Observation::default()
        }
    }

    fn hindered(_: u32) -> Observation {
        Observation {
            hindered: true,
            ..good(0)
        }
    }

    fn slow(_: u32) -> Observation {
        Observation {
            took_ms: 900,
            ..good(0)
        }
    }

    #[test]
    fn a_candidate_is_promoted_if_it_is_no_worse_and_rolled_back_for_what_is_worse() {
        let rejecting = |rejected| {
            move |_| Observation {
                rejected,
                ..good(0)
            }
        };
        let crashing = |n| Observation {
            crashed: n == 4,
            said: (n == 4).then(|| "`deliver` trapped".to_owned()),
            ..good(0)
        };
        let refusing = |_| Observation {
            refused: true,
            ..good(0)
        };
        for (what, old, new, expected) in [
            ("early", tally(30, good), tally(9, good), None),
            ("good", tally(90, good), tally(10, good), Some(true)),
            ("alone", tally(0, good), tally(10, good), Some(true)),
            ("a trap", tally(30, good), tally(5, crashing), Some(false)),
            ("cannot", tally(9, good), tally(1, refusing), Some(false)),
            (
                "all rejected",
                tally(9, good),
                tally(1, rejecting(100)),
                Some(false),
            ),
            (
                "few rejected",
                tally(30, good),
                tally(3, rejecting(2)),
                None,
            ),
            (
                "few in the end",
                tally(90, good),
                tally(10, rejecting(2)),
                Some(false),
            ),
            (
                "hardly any",
                tally(90, good),
                tally(10, rejecting(1)),
                Some(true),
            ),
            (
                "a storm",
                tally(90, hindered),
                tally(10, hindered),
                Some(true),
            ),
            ("a fix", tally(90, hindered), tally(10, good), Some(true)),
            ("hindered", tally(90, good), tally(5, hindered), Some(false)),
            ("too early", tally(90, good), tally(4, hindered), None),
            ("slow", tally(90, good), tally(5, slow), Some(false)),
            ("both slow", tally(90, slow), tally(10, slow), Some(true)),
        ] {
            let verdict = judge(&old, &new, &plan());
            let found = match &verdict {
                Verdict::Wait => None,
                Verdict::Promote(_) => Some(true),
                Verdict::RollBack(_) => Some(false),
            };
            assert_eq!(found, expected, "{what}: {verdict:?}");
        }
    }

    #[test]
    fn a_destination_that_goes_down_in_the_middle_is_not_the_candidates_fault() {
        let mut old = tally(500, good);
        (0..RECENT).for_each(|n| old.add(&hindered(n)));
        let mut new = tally(2, good);
        (0..6).for_each(|n| new.add(&hindered(n)));
        assert_eq!(judge(&old, &new, &plan()), Verdict::Wait);
    }

    #[test]
    fn the_reason_says_what_happened() {
        let new = tally(5, |n| Observation {
            crashed: n == 4,
            said: Some("`deliver` trapped: unreachable".to_owned()),
            ..good(0)
        });
        let Verdict::RollBack(why) = judge(&tally(9, good), &new, &plan()) else {
            panic!("it stays");
        };
        assert_eq!(
            why,
            "it failed on a batch, its 5th of 10, that the old version did not fail on: `deliver` \
             trapped: unreachable"
        );
    }

    #[test]
    fn tallies_of_several_exports_are_one() {
        let mut all = tally(3, hindered);
        all.join(&tally(4, good));
        all.join(&tally(40, slow));
        assert_eq!((all.batches, all.hindered), (47, 3));
        assert_eq!(all.recent.count_ones(), 3);
        assert_eq!(all.median_power(), Some(10));
        let mut none = Tally::default();
        none.join(&Tally::default());
        assert_eq!(none.hindered_percent(), 0);
    }
}
