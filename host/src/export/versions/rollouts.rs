//! What the exports of one process know of each other's swaps: one verdict for all that are swapped
//! together. Not durable: each export's store has its own part, and tells it again at the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{Plan, SwapOutcome};
use super::tally::{Tally, Verdict, judge};
use crate::export::bell::{Bell, Ear};

/// Swaps that are remembered. Of those before, every export has heard.
const REMEMBERED: usize = 100;

/// Swaps by name. Cheap to clone; one for all exports of a process.
#[derive(Clone, Default)]
pub struct Rollouts {
    swaps: Arc<Mutex<BTreeMap<String, Rollout>>>,
    bell: Bell,
}

#[derive(Default)]
struct Rollout {
    /// By export: what the old and the new version did there.
    tallies: BTreeMap<String, (Tally, Tally)>,
    decided: Option<(SwapOutcome, String)>,
}

impl Rollouts {
    /// Hears of every verdict from now on.
    pub(in crate::export) fn listen(&self) -> Ear {
        self.bell.listen()
    }

    /// Tells what both versions did in one export; answers what follows for all of them, if anything
    /// does by now.
    pub(crate) fn report(
        &self,
        swap: &str,
        export: &str,
        tallies: (&Tally, &Tally),
        plan: &Plan,
    ) -> Option<(SwapOutcome, String)> {
        let mut swaps = self.swaps();
        // Their names begin with when they began.
        while swaps.len() > REMEMBERED {
            swaps.pop_first();
        }
        let rollout = swaps.entry(swap.to_owned()).or_default();
        let (old, new) = tallies;
        rollout
            .tallies
            .insert(export.to_owned(), (old.clone(), new.clone()));
        if rollout.decided.is_some() {
            return rollout.decided.clone();
        }
        let (mut old, mut new) = (Tally::default(), Tally::default());
        for (of_old, of_new) in rollout.tallies.values() {
            old.join(of_old);
            new.join(of_new);
        }
        let decided = match judge(&old, &new, plan) {
            Verdict::Wait => return None,
            Verdict::Promote(why) => (SwapOutcome::Promoted, why),
            // Whoever is rolled back for another's sake wants to know for whose.
            Verdict::RollBack(why) => (SwapOutcome::RolledBack, format!("{export}: {why}")),
        };
        rollout.decided = Some(decided.clone());
        drop(swaps);
        self.bell.ring();
        Some(decided)
    }

    /// A swap came to its end in one export, so it does in all of them. Whoever was first decides.
    pub(crate) fn decide(&self, swap: &str, outcome: SwapOutcome, why: &str) {
        let mut swaps = self.swaps();
        let rollout = swaps.entry(swap.to_owned()).or_default();
        if rollout.decided.is_some() {
            return;
        }
        rollout.decided = Some((outcome, why.to_owned()));
        drop(swaps);
        self.bell.ring();
    }

    /// What was decided for a swap.
    #[cfg(test)]
    pub(crate) fn decided(&self, swap: &str) -> Option<(SwapOutcome, String)> {
        self.swaps().get(swap)?.decided.clone()
    }

    fn swaps(&self) -> MutexGuard<'_, BTreeMap<String, Rollout>> {
        self.swaps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::versions::tally::Observation;

    fn plan() -> Plan {
        Plan {
            percent: 10,
            batches: 4,
            leaders: vec![],
        }
    }

    fn batches(n: u32, crashed: bool) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..n {
            tally.add(&Observation {
                rows: 1,
                crashed,
                ..Observation::default()
            });
        }
        tally
    }

    #[test]
    fn exports_are_judged_together() {
        let rollouts = Rollouts::default();
        let none = Tally::default();
        let two = batches(2, false);
        assert_eq!(rollouts.report("s", "t/a", (&none, &two), &plan()), None);
        // The same export once more is not counted twice.
        assert_eq!(rollouts.report("s", "t/a", (&none, &two), &plan()), None);
        let decided = rollouts.report("s", "t/b", (&none, &two), &plan()).unwrap();
        assert_eq!(decided.0, SwapOutcome::Promoted);
        assert_eq!(rollouts.decided("s"), Some(decided));
        assert_eq!(rollouts.decided("another"), None);
    }

    #[tokio::test]
    async fn one_that_fails_ends_it_for_all_and_they_hear_why() {
        let rollouts = Rollouts::default();
        let mut ear = rollouts.listen();
        let none = Tally::default();
        let bad = batches(1, true);
        rollouts.report("s", "t/a", (&none, &bad), &plan()).unwrap();
        ear.heard().await;
        let (outcome, why) = rollouts
            .report("s", "t/b", (&none, &none), &plan())
            .unwrap();
        assert_eq!(outcome, SwapOutcome::RolledBack);
        assert!(why.starts_with("t/a: it failed on a batch"), "{why}");
        rollouts.decide("s", SwapOutcome::Promoted, "too late");
        assert_eq!(rollouts.decided("s").unwrap().0, SwapOutcome::RolledBack);
    }
}
