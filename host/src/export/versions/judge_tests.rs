use std::collections::BTreeMap;

use super::*;
use crate::export::versions::tally::Observation;

fn plan() -> Plan {
    Plan {
        percent: 10,
        batches: 10,
        leaders: vec![],
    }
}

fn good() -> Observation {
    Observation {
        rows: 100,
        took_ms: 20,
        tells: true,
        ..Observation::default()
    }
}

fn hindered() -> Observation {
    Observation {
        rows: 0,
        tells: false,
        hindered: true,
        ..good()
    }
}

/// Some rows get through, others do not.
fn partly() -> Observation {
    Observation {
        rows: 50,
        hindered: true,
        ..good()
    }
}

fn slow() -> Observation {
    Observation {
        took_ms: 900,
        ..good()
    }
}

/// It rejected everything, and the other version could not say whether that was right.
fn unsure() -> Observation {
    Observation {
        rows: 0,
        tells: false,
        ..good()
    }
}

fn rejecting(rejected: u64) -> Observation {
    Observation { rejected, ..good() }
}

impl Sides {
    fn batch(&mut self, of_new: bool, seen: &Observation) {
        match of_new {
            true => self.new.add(seen),
            false => {
                self.old.add(seen);
                self.new.compare(seen);
            }
        }
    }

    /// So many batches of the candidate, each followed by so many of the old version.
    fn turns(
        mut self,
        new: u32,
        old: u32,
        of_new: impl Fn(u32) -> Observation,
        of_old: impl Fn(u32) -> Observation,
    ) -> Self {
        for n in 0..new {
            self.batch(true, &of_new(n));
            (0..old).for_each(|_| self.batch(false, &of_old(n)));
        }
        self
    }
}

fn sides(
    new: u32,
    old: u32,
    of_new: impl Fn(u32) -> Observation,
    of_old: impl Fn(u32) -> Observation,
) -> Sides {
    Sides::default().turns(new, old, of_new, of_old)
}

fn all(exports: &[(&str, Sides)], plan: &Plan) -> Verdict {
    let exports: BTreeMap<String, Sides> = exports
        .iter()
        .map(|(name, sides)| ((*name).to_owned(), sides.clone()))
        .collect();
    judge(exports.iter(), plan)
}

fn found(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Wait => None,
        Verdict::Promote(_) => Some(true),
        Verdict::RollBack { .. } => Some(false),
    }
}

#[test]
fn a_candidate_is_promoted_if_it_is_no_worse_and_rolled_back_for_what_is_worse() {
    let fine = |_| good();
    let bad = |_| hindered();
    let crash = |n| Observation {
        crashed: n == 4,
        ..good()
    };
    let refusing = |_| Observation {
        refused: true,
        ..good()
    };
    let rejects = |rejected| move |_| rejecting(rejected);
    let at_times = |every: u32| {
        move |n: u32| {
            if n.is_multiple_of(every) {
                hindered()
            } else {
                good()
            }
        }
    };
    for (what, sides, expected) in [
        ("early", sides(9, 9, fine, fine), None),
        ("good", sides(10, 9, fine, fine), Some(true)),
        ("a trap", sides(5, 9, crash, fine), Some(false)),
        ("cannot", sides(1, 9, refusing, fine), Some(false)),
        ("rejects", sides(1, 9, rejects(100), fine), Some(false)),
        ("few rejected", sides(3, 9, rejects(2), fine), None),
        ("few in all", sides(10, 9, rejects(2), fine), Some(false)),
        ("hardly any", sides(10, 9, rejects(1), fine), Some(true)),
        ("a fix", sides(10, 9, fine, bad), Some(true)),
        ("stuck", sides(10, 9, bad, fine), Some(false)),
        ("stuck, early", sides(9, 9, bad, fine), None),
        ("half stuck", sides(20, 1, at_times(2), fine), Some(false)),
        ("seldom stuck", sides(20, 1, at_times(6), fine), Some(true)),
        // A destination that answers now and then, to both alike.
        (
            "a storm",
            sides(25, 9, at_times(2), at_times(2)),
            Some(true),
        ),
        (
            "partly",
            sides(10, 9, |_| partly(), |_| partly()),
            Some(true),
        ),
        (
            "partly alone",
            sides(10, 9, |_| partly(), fine),
            Some(false),
        ),
        // One that does not answer at all: nothing is proved, nobody is at fault.
        ("an outage", sides(500, 9, bad, bad), None),
        ("rejects unseen", sides(500, 9, |_| unsure(), bad), None),
        ("slow", sides(5, 9, |_| slow(), fine), Some(false)),
        ("slow, early", sides(4, 9, |_| slow(), fine), None),
        (
            "both slow",
            sides(10, 9, |_| slow(), |_| slow()),
            Some(true),
        ),
        // Without any batch of the old version.
        ("alone", sides(10, 0, fine, fine), Some(true)),
        ("alone, stuck", sides(500, 0, bad, fine), None),
        ("alone, unsure", sides(500, 0, |_| unsure(), fine), None),
    ] {
        let verdict = all(&[("t/a", sides)], &plan());
        assert_eq!(found(&verdict), expected, "{what}: {verdict:?}");
    }
}

#[test]
fn a_destination_that_goes_down_and_comes_back_is_not_the_candidates_fault() {
    let mut plan = plan();
    plan.batches = 100;
    for old in [1, 9] {
        // However long it lasts, and whoever notices first.
        for (before, down) in [(0, 1), (1, 2), (3, 5), (6, 30), (0, 300)] {
            let mut now = Sides::default();
            let phases = [(before, good()), (down, hindered()), (40, good())];
            for (batches, seen) in phases {
                for _ in 0..batches {
                    now = now.turns(1, old, |_| seen.clone(), |_| seen.clone());
                    let verdict = all(&[("t/a", now.clone())], &plan);
                    assert_eq!(verdict, Verdict::Wait, "{old} {before} {down}");
                }
                // It changes between the two.
                now.batch(true, &seen);
            }
        }
    }
}

#[test]
fn a_sound_candidate_survives_a_destination_that_answers_now_and_then() {
    // Chance, always the same: one of a kind that needs no library.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut percent = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 100
    };
    let (mut plan, mut wrong, mut missed) = (plan(), 0, 0);
    plan.batches = 20;
    for round in 0..400 {
        // From a destination that fails one time in ten to one that answers one time in ten.
        let fails = 10 + 20 * (round % 5);
        for stuck in [false, true] {
            let mut now = Sides::default();
            let verdict = loop {
                let mine = stuck || percent() < fails;
                now.batch(true, &if mine { hindered() } else { good() });
                for _ in 0..3 {
                    let seen = if percent() < fails {
                        hindered()
                    } else {
                        good()
                    };
                    now.batch(false, &seen);
                }
                let verdict = all(&[("t/a", now.clone())], &plan);
                if verdict != Verdict::Wait {
                    break verdict;
                }
            };
            let rolled_back = found(&verdict) == Some(false);
            wrong += u32::from(!stuck && rolled_back);
            missed += u32::from(stuck && !rolled_back);
        }
    }
    assert_eq!(missed, 0, "what gets nothing through is promoted");
    assert!(
        wrong <= 20,
        "{wrong} of 400 sound candidates are rolled back"
    );
}

#[test]
fn a_destination_is_compared_with_itself() {
    let fine = |_| good();
    let bad = |_| hindered();
    // The candidate has most of its batches where nothing works, or where all is slow.
    for at_z in [hindered(), slow()] {
        let z = sides(30, 1, |_| at_z.clone(), |_| at_z.clone());
        let a = sides(9, 9, fine, fine);
        let verdict = all(
            &[("t/a", a), ("u/z", z)],
            &Plan {
                batches: 100,
                ..plan()
            },
        );
        assert_eq!(verdict, Verdict::Wait, "{at_z:?}");
    }
    // And where nothing works hides nothing.
    let z = sides(500, 1, bad, bad);
    let stuck = sides(10, 9, bad, fine);
    let verdict = all(&[("t/a", stuck), ("u/z", z)], &plan());
    let Verdict::RollBack { of, .. } = &verdict else {
        panic!("it stays: {verdict:?}");
    };
    assert_eq!(of.as_deref(), Some("t/a"));
}

#[test]
fn rows_that_were_tried_in_vain_do_not_make_rejected_ones_rare() {
    let tried = sides(1_000, 1, |_| hindered(), |_| hindered());
    let now = tried.turns(1, 1, |_| rejecting(6), |_| good());
    assert_eq!(found(&all(&[("t/a", now)], &plan())), Some(false));
}

#[test]
fn the_reason_says_what_happened_and_nothing_that_a_plugin_said() {
    let new = sides(
        5,
        9,
        |n| Observation {
            crashed: n == 4,
            said: Some("`deliver` trapped: unreachable".to_owned()),
            ..good()
        },
        |_| good(),
    );
    let verdict = all(&[("t/a", new), ("t/b", Sides::default())], &plan());
    let why = "it failed on a batch, its 5th of 10, that the old version did not fail on";
    let expected = Verdict::RollBack {
        why: why.to_owned(),
        of: Some("t/a".to_owned()),
    };
    assert_eq!(verdict, expected);
}
