//! What the exports of one process know of each other's swaps: one verdict for all that are swapped
//! together. Not durable: each export's store has its own part, and tells it again at the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::judge::{Sides, Verdict, judge};
use super::record::{Plan, SwapOutcome};
use super::tally::Tally;
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
    tallies: BTreeMap<String, Sides>,
    decided: Option<Decision>,
}

/// How a swap ends.
#[derive(Clone)]
struct Decision {
    outcome: SwapOutcome,
    why: String,
    /// The export for whose sake; nothing if for the sake of all, or on an operator's word.
    of: Option<String>,
    /// What is for that export alone: a plugin's words may be about its destination and account.
    said: Option<String>,
}

impl Decision {
    /// As an export may hear it: no tenant learns of another's exports, nor what a plugin said there.
    fn told_to(&self, export: &str) -> (SwapOutcome, String) {
        let tenant = |name: &str| name.split('/').next().map(str::to_owned);
        let (why, said) = (self.why.as_str(), self.said.as_deref());
        let all = match (why, said) {
            (why, None) => why.to_owned(),
            ("", Some(said)) => said.to_owned(),
            (why, Some(said)) => format!("{why}: {said}"),
        };
        let told = match &self.of {
            None => all,
            Some(of) if of == export => all,
            Some(of) if tenant(of) == tenant(export) => format!("{of}: {all}"),
            Some(_) if why.is_empty() => "for the sake of an export of another tenant".to_owned(),
            Some(_) => format!("in an export of another tenant: {why}"),
        };
        (self.outcome, told)
    }
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
        let (old, new) = (tallies.0.clone(), tallies.1.clone());
        rollout
            .tallies
            .insert(export.to_owned(), Sides { old, new });
        if let Some(decided) = &rollout.decided {
            return Some(decided.told_to(export));
        }
        let decided = match judge(rollout.tallies.iter(), plan) {
            Verdict::Wait => return None,
            Verdict::Promote(why) => Decision {
                outcome: SwapOutcome::Promoted,
                why,
                of: None,
                said: None,
            },
            Verdict::RollBack { why, of } => {
                let guilty = of.as_ref().and_then(|of| rollout.tallies.get(of));
                Decision {
                    outcome: SwapOutcome::RolledBack,
                    why,
                    said: guilty.and_then(|sides| sides.new.said.clone()),
                    of,
                }
            }
        };
        let told = decided.told_to(export);
        rollout.decided = Some(decided);
        drop(swaps);
        self.bell.ring();
        Some(told)
    }

    /// A swap came to its end on an operator's word in one export, so it does in all of them. Whoever was
    /// first decides.
    pub(crate) fn decide(&self, swap: &str, outcome: SwapOutcome, why: &str) {
        self.close(swap, outcome, why, None);
    }

    /// The same, for a reason of this export's own.
    pub(crate) fn decide_for(&self, export: &str, swap: &str, outcome: SwapOutcome, why: &str) {
        self.close(swap, outcome, why, Some(export));
    }

    fn close(&self, swap: &str, outcome: SwapOutcome, why: &str, of: Option<&str>) {
        let mut swaps = self.swaps();
        let rollout = swaps.entry(swap.to_owned()).or_default();
        if rollout.decided.is_some() {
            return;
        }
        // What an export says of itself is for those of its tenant.
        let (why, said) = match of {
            Some(_) => (String::new(), Some(why.to_owned())),
            None => (why.to_owned(), None),
        };
        rollout.decided = Some(Decision {
            outcome,
            why,
            of: of.map(str::to_owned),
            said,
        });
        drop(swaps);
        self.bell.ring();
    }

    /// What was decided for a swap.
    #[cfg(test)]
    pub(crate) fn decided(&self, swap: &str) -> Option<(SwapOutcome, String)> {
        let swaps = self.swaps();
        let decided = swaps.get(swap)?.decided.as_ref()?;
        Some((decided.outcome, decided.why.clone()))
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

    fn batch(crashed: bool) -> Observation {
        Observation {
            rows: 1,
            tells: true,
            crashed,
            said: crashed.then(|| "the key of t".to_owned()),
            ..Observation::default()
        }
    }

    fn batches(n: u32, crashed: bool) -> Tally {
        let mut tally = Tally::default();
        (0..n).for_each(|_| tally.add(&batch(crashed)));
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
        let own = rollouts.report("s", "t/a", (&none, &bad), &plan()).unwrap();
        ear.heard().await;
        let told = |export| {
            let told = rollouts.report("s", export, (&none, &none), &plan());
            let (outcome, why) = told.unwrap();
            assert_eq!(outcome, SwapOutcome::RolledBack);
            why
        };
        let why = "it failed on a batch, its 1st of 4, that the old version did not fail on";
        assert_eq!(own.1, format!("{why}: the key of t"));
        assert_eq!(told("t/b"), format!("t/a: {why}: the key of t"));
        // Whom another tenant has, and what a plugin says there, is its own business.
        assert_eq!(
            told("u/c"),
            format!("in an export of another tenant: {why}")
        );
        rollouts.decide("s", SwapOutcome::Promoted, "too late");
        assert_eq!(rollouts.decided("s").unwrap().0, SwapOutcome::RolledBack);
    }
    #[test]
    fn what_an_export_says_of_itself_stays_with_its_tenant() {
        let rollouts = Rollouts::default();
        let none = Tally::default();
        let no = SwapOutcome::RolledBack;
        rollouts.decide_for("t/a", "s", no, "no option `site` of t");
        for (export, expected) in [
            ("t/a", "no option `site` of t"),
            ("t/b", "t/a: no option `site` of t"),
            ("tt/a", "for the sake of an export of another tenant"),
        ] {
            let told = rollouts.report("s", export, (&none, &none), &plan());
            assert_eq!(told, Some((no, expected.to_owned())));
        }
        rollouts.decide("by hand", no, "an operator said so");
        let told = rollouts.report("by hand", "u/c", (&none, &none), &plan());
        assert_eq!(told, Some((no, "an operator said so".to_owned())));
    }

    #[test]
    fn a_sound_candidate_stays_in_an_outage_that_hits_both_versions() {
        let rollouts = Rollouts::default();
        let hindered = Observation {
            hindered: true,
            ..Observation::default()
        };
        let (mut old, mut new) = (Tally::default(), Tally::default());
        for n in 0..100 {
            match n % 10 {
                0 => new.add(&hindered),
                _ => {
                    old.add(&hindered);
                    new.compare(&hindered);
                }
            }
            let told = rollouts.report("s", "t/a", (&old, &new), &plan());
            assert_eq!(told, None, "after {n} batches");
        }
        assert_eq!((old.hindered, new.hindered), (90, 10));
        // Once it is over, the swap goes on to its end.
        (0..4).for_each(|_| new.add(&batch(false)));
        let told = rollouts.report("s", "t/a", (&old, &new), &plan());
        assert_eq!(told.map(|told| told.0), Some(SwapOutcome::Promoted));
    }
}
