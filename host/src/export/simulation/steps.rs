//! What an operator does around a swap, with the program killed after every single step of it: whichever
//! step that was, the same comes of it, and what is in memory is what is on disk.

use std::time::Duration;

use super::SimulatedClock;
use super::flaw::version;
use super::killer::Killer;
use super::scenario::Scenario;
use crate::export::versions::{Plan, SwapOutcome, Versions, Wanted};
use crate::export::{Reason, State};
use crate::store::{Command, Store};

/// Steps after which the program is killed: more than any of these situations takes.
const STEPS: u64 = 30;

/// Each of them in a few orders of whose turn it is.
const SEEDS: u64 = 2;

/// In virtual seconds. What has not come to its end by then never will.
const PATIENCE: u32 = 3_600;

/// In virtual seconds: when what was paused goes on.
const RESUMED: u32 = 5;

/// What is on disk when the program starts.
struct Situation {
    active: &'static str,
    members: bool,
    state: State,
    /// The candidate of a swap under way, and whether it is decided.
    swap: Option<(&'static str, bool)>,
    wanted: Vec<Wanted>,
    /// What an operator does once it is parked. The steps are counted from there, if there is any.
    once_parked: Option<fn(&Store)>,
}

impl Situation {
    fn live(wanted: Vec<Wanted>) -> Self {
        Self {
            active: "good-0",
            members: false,
            state: State::Live,
            swap: None,
            wanted,
            once_parked: None,
        }
    }

    /// Looks at the end of a second life, in which nobody is killed.
    fn at_every_step(
        &self,
        ended: impl Fn(&Versions, &State) -> bool,
        mut end: impl FnMut(&Versions, &Scenario),
    ) {
        for seed in 0..SEEDS {
            for steps in 1..=STEPS {
                Killer::begin(seed);
                let mut scenario = self.scenario(seed);
                scenario.life(Some(steps), self.once_parked, &ended);
                let memory = scenario.life(None, None, &ended).expect("nobody is killed");
                let store = Store::open_read_only(&scenario.directory()).unwrap();
                let disk = store.versions().unwrap().unwrap();
                assert_eq!(
                    decided(memory),
                    decided(disk.clone()),
                    "seed {seed}, killed after {steps} steps"
                );
                drop(store);
                end(&disk, &scenario);
                Killer::end();
            }
        }
    }

    /// Looks at the end of a life in which nobody is killed, however long something takes.
    fn undisturbed(
        &self,
        ended: impl Fn(&Versions, &State) -> bool,
        mut end: impl FnMut(&Versions),
    ) {
        for seed in 0..SEEDS {
            Killer::begin(seed);
            let mut scenario = self.scenario(seed);
            // No step of these is the last.
            let versions = scenario.life(Some(u64::MAX), self.once_parked, &ended);
            end(&versions.expect("nobody is killed"));
            Killer::end();
        }
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::new(seed);
        if self.members {
            scenario.write_some_members(12);
        }
        scenario.configured = self.active.to_owned();
        let store = Store::open(&scenario.directory()).unwrap();
        store.record(&self.state, 0).unwrap();
        let mut versions = Versions::first(version(self.active), vec![], 0);
        if let Some((to, decided)) = self.swap {
            versions.begin("0000000000001-a", &version(to), &plan(30), 1);
            versions.swap.as_mut().unwrap().decided = decided;
        }
        store.record_versions(&versions, None).unwrap();
        for wanted in &self.wanted {
            store.want_version(wanted, 2).unwrap();
        }
        scenario
    }
}

impl Scenario {
    /// Lives until killed after so many steps, or until it has come to its end; answers what it knows then
    /// of its versions.
    fn life(
        &mut self,
        steps: Option<u64>,
        mut once_parked: Option<fn(&Store)>,
        ended: impl Fn(&Versions, &State) -> bool,
    ) -> Option<Versions> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let versions = runtime.block_on(async {
            let clock = SimulatedClock::new(self.now_ms, self.dice.below(u64::MAX));
            let struck = Killer::arm(steps.filter(|_| once_parked.is_none()));
            let life = async {
                let export = self.start(&clock).await;
                for second in 0..PATIENCE {
                    self.append();
                    self.complete();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let beside = Store::open_beside(&self.directory()).unwrap();
                    let parked = matches!(export.state(), Some(State::Parked { .. }));
                    if parked && let Some(act) = once_parked.take() {
                        act(&beside);
                        Killer.strike(steps.unwrap());
                        continue;
                    }
                    // Whoever has paused it lets it go on, some time after.
                    if parked && second == RESUMED && self.configured == "good-0" {
                        beside.command(Command::Resume, 2).unwrap();
                    }
                    let done = once_parked.is_none()
                        && beside.versions_wanted().unwrap().is_empty()
                        && beside.commands().unwrap().is_empty();
                    let (versions, state) = (export.versions(), export.state());
                    if done && state.is_some_and(|state| ended(&versions, &state)) {
                        // Whatever is still to be written.
                        tokio::time::sleep(Duration::from_secs(2)).await;
                        let versions = export.versions();
                        let needed = beside.components().unwrap();
                        for other in export.context.versions.others() {
                            let component = other.component().to_owned();
                            assert!(
                                needed.contains(&component),
                                "{component} is held for nothing"
                            );
                        }
                        export.stop().await;
                        return versions;
                    }
                }
                panic!(
                    "it does not end: {:?} {:?}",
                    export.state(),
                    export.versions()
                );
            };
            tokio::select! {
                biased;
                () = struck.notified() => None,
                versions = life => Some(versions),
            }
        });
        drop(runtime);
        Killer::arm(None);
        versions
    }
}

fn plan(batches: u32) -> Plan {
    Plan {
        percent: 50,
        batches,
        leaders: vec![],
    }
}

const ID: &str = "0000000000002-b";

fn begin(to: &str, batches: u32) -> Wanted {
    Wanted::Begin {
        id: ID.to_owned(),
        to: version(to),
        configured: None,
        plan: plan(batches),
        routes: vec![],
    }
}

/// All but what batches came to, which is written down from time to time.
fn decided(mut versions: Versions) -> Versions {
    if let Some(swap) = &mut versions.swap {
        (swap.old, swap.new) = Default::default();
    }
    versions
}

fn over(versions: &Versions, _: &State) -> bool {
    versions.swap.is_none()
}

#[test]
fn what_was_wanted_while_nobody_worked_comes_about_once_and_stays() {
    let outcomes = [
        (
            Wanted::RollBack { swap: None },
            SwapOutcome::RolledBack,
            "good-0",
        ),
        (
            Wanted::Promote { swap: None },
            SwapOutcome::Promoted,
            "good-1",
        ),
    ];
    for (wanted, outcome, active) in outcomes {
        let situation = Situation {
            swap: Some(("good-1", false)),
            ..Situation::live(vec![wanted])
        };
        situation.at_every_step(over, |versions, _| {
            assert_eq!(versions.active.sha256, active, "{versions:?}");
            let last = versions.last.as_ref().unwrap();
            assert_eq!((last.outcome, last.to.sha256.as_str()), (outcome, "good-1"));
        });
    }
}

#[test]
fn a_swap_that_an_export_waits_for_before_it_is_live_never_waits_for_batches() {
    let situation = Situation {
        active: "refuses-0",
        members: true,
        state: State::Scanning,
        swap: None,
        wanted: vec![],
        once_parked: Some(|beside| beside.want_version(&begin("good-1", 30), 2).unwrap()),
    };
    situation.at_every_step(
        |versions, state| over(versions, state) && *state == State::Live,
        |versions, _| {
            let last = versions.last.as_ref().unwrap();
            assert_eq!(last.outcome, SwapOutcome::Promoted, "{last:?}");
            assert!(last.why.contains("before it had batches"), "{last:?}");
        },
    );
}

#[test]
fn who_has_begun_a_scan_ends_it_also_after_a_pause_and_a_restart() {
    let paused = State::Parked {
        reason: Reason::Paused("by `sluice pause`".to_owned()),
        from: Box::new(State::Scanning),
    };
    let scanning = || Situation {
        members: true,
        state: State::Scanning,
        ..Situation::live(vec![])
    };
    let situations = [
        Situation {
            swap: Some(("good-1", true)),
            ..scanning()
        },
        Situation {
            wanted: vec![begin("good-1", 0)],
            ..scanning()
        },
        Situation {
            state: paused,
            wanted: vec![begin("good-1", 0)],
            ..scanning()
        },
    ];
    for situation in situations {
        situation.at_every_step(
            |versions, state| over(versions, state) && *state == State::Live,
            |versions, scenario| {
                assert_eq!(versions.active.sha256, "good-1");
                let store = Store::open_read_only(&scenario.directory()).unwrap();
                let staged_by_first = scenario.spec().scan_settings("good-0");
                let position = store.position("members-settings").unwrap();
                assert_eq!(position, Some(staged_by_first), "{:?}", situation.state);
            },
        );
    }
}

#[test]
fn a_refusal_stays_on_disk_while_another_swap_goes_on() {
    let situation = Situation {
        swap: Some(("good-1", false)),
        ..Situation::live(vec![begin("greedy-2", 30)])
    };
    situation.at_every_step(
        // By then batches have been written down.
        |versions, _| {
            versions
                .swap
                .as_ref()
                .is_none_or(|swap| swap.new.batches >= 3)
        },
        |versions, _| {
            let last = versions.last.as_ref().unwrap();
            let all = (last.id.as_str(), last.outcome, last.for_all);
            assert_eq!(all, (ID, SwapOutcome::Refused, true), "{versions:?}");
            assert!(last.why.contains("POST /more"), "{last:?}");
        },
    );
}

#[test]
fn whoever_wants_what_is_active_hears_that_it_is() {
    for swap in [None, Some(("good-1", false))] {
        let situation = Situation {
            swap,
            ..Situation::live(vec![begin("good-0", 30)])
        };
        situation.at_every_step(over, |versions, _| {
            let last = versions.last.as_ref().unwrap();
            assert_eq!(
                (last.id.as_str(), last.outcome),
                (ID, SwapOutcome::Promoted)
            );
            assert_eq!(versions.active.sha256, "good-0");
        });
    }
}

#[test]
fn a_swap_that_is_withdrawn_while_its_candidate_is_loaded_never_begins() {
    let paused = State::Parked {
        reason: Reason::Paused("by `sluice pause`".to_owned()),
        from: Box::new(State::Live),
    };
    let situation = Situation {
        state: paused,
        once_parked: Some(|beside| {
            let withdrawn = beside.withdraw_swaps(3).unwrap();
            assert_eq!(withdrawn, [version("late-1")]);
        }),
        ..Situation::live(vec![begin("late-1", 0)])
    };
    let ended = |versions: &Versions, state: &State| {
        over(versions, state) && *state == State::Live && versions.last.is_some()
    };
    let withdrawn = |versions: &Versions| {
        let last = versions.last.as_ref().unwrap();
        let all = (last.id.as_str(), last.outcome, last.for_all);
        assert_eq!(all, (ID, SwapOutcome::RolledBack, true), "{last:?}");
        assert!(last.why.contains("before it had begun"), "{last:?}");
        assert_eq!(versions.active.sha256, "good-0");
    };
    // Until it is loaded ...
    situation.undisturbed(ended, withdrawn);
    // ... and where the program does not live to see that.
    situation.at_every_step(ended, |versions, _| withdrawn(versions));
}

#[test]
fn a_word_that_comes_late_is_nothing_to_the_next_swap() {
    let over = || Some("0000000000000-x".to_owned());
    for wanted in [
        Wanted::Promote { swap: over() },
        Wanted::RollBack { swap: over() },
        Wanted::GoBack {
            from: "good-0".to_owned(),
        },
    ] {
        let situation = Situation {
            swap: Some(("good-1", false)),
            ..Situation::live(vec![wanted.clone()])
        };
        situation.at_every_step(
            |versions, _| {
                let swap = versions.swap.as_ref();
                swap.is_none_or(|swap| swap.new.batches >= 3)
            },
            |versions, _| {
                let by_hand = versions.last.as_ref().map(|last| last.for_all);
                assert_eq!(by_hand, None, "{wanted:?}: {versions:?}");
                let swap = versions.swap.as_ref();
                assert_eq!(swap.map(|swap| &swap.to), Some(&version("good-1")));
            },
        );
    }
}

#[test]
fn a_rollback_of_a_swap_that_is_promoted_meanwhile_goes_back() {
    let swap = || Some(ID.to_owned());
    let situation = Situation::live(vec![
        begin("good-1", 0),
        Wanted::Promote { swap: swap() },
        Wanted::RollBack { swap: swap() },
    ]);
    situation.at_every_step(over, |versions, _| {
        assert_eq!(versions.active.sha256, "good-0", "{versions:?}");
        assert_eq!(versions.before, Some(version("good-1")));
    });
}

#[test]
fn of_the_versions_that_are_gone_only_the_one_before_is_held_on_to() {
    let wanted = ["good-1", "good-2"].map(|to| [begin(to, 0), Wanted::Promote { swap: None }]);
    let situation = Situation::live(wanted.concat());
    situation.at_every_step(over, |versions, _| {
        assert_eq!(versions.active.sha256, "good-2");
        assert_eq!(versions.before, Some(version("good-1")));
    });
}

#[test]
fn a_command_that_comes_while_another_one_is_read_is_obeyed() {
    for seed in 0..100 {
        Killer::begin(seed);
        let situation = Situation {
            active: "refuses-0",
            once_parked: Some(|beside| {
                beside.command(Command::Pause, 2).unwrap();
                // With it comes the host's own command to go on.
                beside.want_version(&begin("good-1", 30), 2).unwrap();
            }),
            ..Situation::live(vec![])
        };
        let mut scenario = situation.scenario(seed);
        // No step of these is the last.
        let begun =
            |versions: &Versions, _: &State| versions.swap.is_some() || versions.last.is_some();
        assert!(
            scenario
                .life(Some(u64::MAX), situation.once_parked, begun)
                .is_some()
        );
        Killer::end();
    }
}
