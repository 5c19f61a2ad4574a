//! What follows from how a candidate does beside the active version. Pure.

use super::record::Plan;
use super::tally::Tally;

/// Batches of each version before times are compared: fewer are an accident.
const ENOUGH: u32 = 5;

/// Rows that a candidate may reject alone before its end, in percent: a fix may reject what was
/// wrongly sent before.
const REJECTED_PERCENT: u64 = 1;

/// Rows that it rejects alone, in percent and in number, after which nobody waits for more.
const REJECTED_AT_ONCE: (u64, u64) = (5, 3);

/// How much more often than the old version's, in percent of the batches that were compared, those of a
/// candidate may come to nothing.
const HINDERED_PERCENT: u32 = 25;

/// How sure it has to be that this is no accident: the square of the standard deviations from what two
/// equal versions would do. In the end it is asked once, before that after every batch, so that a sound
/// candidate in a destination that answers now and then would be found guilty sooner or later.
const SURE_IN_THE_END: u32 = 4;
const SURE_AT_ONCE: u32 = 9;

/// A candidate is slow if half of its batches take longer than this, in milliseconds ...
const SLOW_MS: u64 = 256;

/// ... and this many powers of two longer than half of the old version's.
const SLOW_POWERS: usize = 2;

/// A batch's weight where batches of one export stand for more or fewer: shares of it are whole numbers.
const WEIGHT: u64 = 1000;

/// What both versions did in an export.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sides {
    pub old: Tally,
    pub new: Tally,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too early.
    Wait,
    /// It is no worse than the old version.
    Promote(String),
    /// It is worse.
    RollBack {
        /// How, without anything that it said.
        why: String,
        /// The export where that is seen best; nothing if it is seen in all of them.
        of: Option<String>,
    },
}

/// Judges a candidate by what both versions did, in every export of the swap.
pub(crate) fn judge<'a>(
    exports: impl Iterator<Item = (&'a String, &'a Sides)> + Clone,
    plan: &Plan,
) -> Verdict {
    let (mut new, mut old) = (Tally::default(), Tally::default());
    for (_, sides) in exports.clone() {
        new.join(&sides.new);
        old.join(&sides.old);
    }
    let most = |fault: fn(&Tally) -> u64| {
        let worst = exports.clone().max_by_key(|(_, sides)| fault(&sides.new));
        worst.map(|(export, _)| export.clone())
    };
    if new.crashes > 0 {
        return Verdict::RollBack {
            why: format!(
                "it failed on a batch, its {} of {}, that the old version did not fail on",
                ordinal(new.batches),
                plan.batches
            ),
            of: most(|new| new.crashes.into()),
        };
    }
    if new.refusals > 0 {
        return Verdict::RollBack {
            why: "it says that it cannot work where the old version can".to_owned(),
            of: most(|new| new.refusals.into()),
        };
    }
    let (percent, rows) = REJECTED_AT_ONCE;
    let done = new.batches >= plan.batches;
    let share = if done { REJECTED_PERCENT } else { percent };
    if new.rejected * 100 > new.rows * share && (done || new.rejected >= rows) {
        return Verdict::RollBack {
            why: format!(
                "it rejected {} of {} rows, all of which the old version delivered",
                new.rejected, new.rows
            ),
            of: most(|new| new.rejected),
        };
    }
    let sure = if done { SURE_IN_THE_END } else { SURE_AT_ONCE };
    let more = new.more_hindered();
    if more * 100 > new.compared * HINDERED_PERCENT && more * more > sure * (new.worse + new.better)
    {
        return Verdict::RollBack {
            why: format!(
                "of {} batches that were compared with the old version's next, {} have to be sent again \
                 where the old version's got through, and {} the other way round",
                new.compared, new.worse, new.better
            ),
            of: most(|new| new.more_hindered().into()),
        };
    }
    if let Some((of_old, of_new)) = medians(exports.map(|(_, sides)| sides))
        && 1 << of_new > SLOW_MS
        && of_new >= of_old + SLOW_POWERS
    {
        return Verdict::RollBack {
            why: format!(
                "it is slow: half of its batches took more than {} ms, half of the old version's at most {} ms",
                1_u64 << (of_new - 1),
                1_u64 << of_old
            ),
            of: None,
        };
    }
    match (done, old.batches + old.hindered) {
        (false, _) => Verdict::Wait,
        (true, 0) => Verdict::Promote(format!(
            "it got through {} batches; there were none of the old version to compare them with",
            new.batches
        )),
        (true, _) => Verdict::Promote(format!(
            "it got through {} batches no worse than the old version",
            new.batches
        )),
    }
}

/// The powers of two of the milliseconds that half of the batches of each version took at most. Only
/// exports that both had batches in are looked at, and the old version's count there as often as the
/// candidate's: each destination has times of its own.
fn medians<'a>(exports: impl Iterator<Item = &'a Sides>) -> Option<(usize, usize)> {
    let (mut of_old, mut of_new) = (vec![], vec![]);
    let (mut olds, mut news) = (0, 0);
    for Sides { old, new } in exports {
        let (n_old, n_new) = (old.timed(), new.timed());
        if n_old == 0 || n_new == 0 {
            continue;
        }
        (olds, news) = (olds + n_old, news + n_new);
        let weight = WEIGHT * u64::from(n_new) / u64::from(n_old);
        add(&mut of_old, &old.times, weight);
        add(&mut of_new, &new.times, WEIGHT);
    }
    if olds < ENOUGH || news < ENOUGH {
        return None;
    }
    Some((median(&of_old)?, median(&of_new)?))
}

fn add(sum: &mut Vec<u64>, times: &[u32], weight: u64) {
    sum.resize(sum.len().max(times.len()), 0);
    for (sum, &time) in sum.iter_mut().zip(times) {
        *sum += u64::from(time) * weight;
    }
}

fn median(times: &[u64]) -> Option<usize> {
    let all: u64 = times.iter().sum();
    let mut so_far = 0;
    times.iter().position(|n| {
        so_far += n;
        so_far * 2 >= all
    })
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
#[path = "judge_tests.rs"]
mod tests;
