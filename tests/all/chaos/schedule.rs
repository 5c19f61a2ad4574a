//! What goes wrong when: a plan that follows from a seed alone.

use retention_science_simulator::{JobFault, JobRule, Rule};
use serde_json::{Value, json};
use sluice_audience::{Dice, Purpose};

use super::menu;

/// How far a plan may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Small enough for every run of the tests.
    Test,
    /// More members, more changes, more kills.
    Soak,
}

/// One life of an export: it is started and killed, round after round, and must come right in the end.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub members: u64,
    /// Lines among the members that are no JSON.
    pub broken_lines: u64,
    pub staged_file_max_rows: Option<u64>,
    /// What is in the changes file before the first start.
    pub before: Append,
    pub rounds: Vec<Round>,
    /// What comes after the last kill.
    pub last: Append,
}

/// From a start to the next kill.
#[derive(Clone, Debug)]
pub struct Round {
    pub lanes: u64,
    /// Whether it would end by itself.
    pub until_idle: bool,
    pub faults: Vec<Rule>,
    pub jobs: Vec<JobRule>,
    /// Settings of the account that hold in this round.
    pub account: Value,
    pub appends: Vec<(Moment, Append)>,
    /// After the appends.
    pub kill: Moment,
    /// So long after the first sign of life it is killed even if that moment has not come: nobody
    /// waits for what the faults prevent.
    pub patience_ms: u64,
    /// Whether jobs that do not end by themselves go on after this round.
    pub release_jobs: bool,
    pub between: Append,
}

/// Lines for the changes file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Append {
    pub changes: u64,
    /// So many hundredths of the last line are written now, and the rest with the next lines.
    pub cut: Option<u64>,
}

/// When something is done. Each is after what came before it.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// So many milliseconds later, also before the program has done anything.
    Elapsed(u64),
    /// So many more requests have arrived.
    Requests(u64),
    /// The store is being made.
    Store,
    /// The first bytes of the scan are in a file.
    Staging,
    /// A staged file was completed.
    Sealed,
    /// The export is in this phase or a later one (see [`PHASES`]), then so many more requests have
    /// arrived, and it is a little later.
    Phase {
        phase: &'static str,
        requests: u64,
        ms: u64,
    },
}

/// The phases in their order. Whoever waits for one that the faults passed over need not wait.
pub const PHASES: [&str; 7] = [
    "scanning",
    "sealing",
    "submitting",
    "importing",
    "catching-up",
    "live",
    "parked",
];

/// Most of what can go wrong goes wrong on the way of changes.
const LATE: [&str; 2] = ["catching-up", "live"];

impl Schedule {
    pub fn of(seed: u64, scale: Scale) -> Self {
        let mut dice = Dice::new(seed, Purpose::Schedule, scale as u64, 0);
        let dice = &mut dice;
        let soak = scale == Scale::Soak;
        let many = dice.percent(if soak { 20 } else { 8 });
        let several = dice.percent(25);
        let members = match (many, soak) {
            // More than one chunk of the scan, which has 10,000 lines.
            (true, false) => dice.between(12_000, 13_000),
            (true, true) => dice.between(12_000, 60_000),
            (false, false) => dice.between(100, 600),
            (false, true) => dice.between(100, 3_000),
        };
        let rounds = match soak {
            false => dice.pick(&[2, 2, 2, 2, 2, 2, 3, 3, 4, 5]),
            true => dice.between(3, 9),
        };
        Self {
            members,
            broken_lines: dice.pick(&[0, 0, 0, 3]),
            staged_file_max_rows: several.then(|| members / dice.between(2, 4) + 1),
            before: append(dice, scale),
            rounds: (0..rounds).map(|_| round(dice, scale)).collect(),
            last: Append {
                cut: None,
                ..append(dice, scale)
            },
        }
    }
}

fn round(dice: &mut Dice, scale: Scale) -> Round {
    let faults = (0..dice.between(0, 3))
        .map(|_| menu::fault(dice))
        .collect::<Vec<_>>();
    let jobs = match dice.percent(30) {
        true => vec![JobRule {
            job: dice.pick(&[JobFault::Stuck, JobFault::Failed, JobFault::Unknown]),
            next: dice.between(1, 2),
        }],
        false => vec![],
    };
    let limit = dice.percent(15).then(|| {
        json!({
            "per_second": dice.between(20, 80),
            "retry_after": dice.pick(&[None, Some(0), Some(1)]),
        })
    });
    let slow = dice.percent(25);
    let mut delay = |most| if slow { dice.below(most) } else { 0 };
    let account = json!({
        "rate_limit": limit,
        "queue_delay_ms": delay(600),
        "processing_delay_ms": delay(1_200),
    });
    Round {
        lanes: dice.between(1, 8),
        until_idle: dice.percent(70),
        faults,
        jobs,
        account,
        appends: (0..dice.below(3))
            .map(|_| (moment(dice), append(dice, scale)))
            .collect(),
        kill: moment(dice),
        patience_ms: dice.between(600, 2_400),
        release_jobs: dice.percent(50),
        between: match dice.percent(50) {
            true => append(dice, scale),
            false => Append::default(),
        },
    }
}

fn append(dice: &mut Dice, scale: Scale) -> Append {
    let most = match scale {
        Scale::Test => 60,
        Scale::Soak => 400,
    };
    Append {
        changes: dice.below(most),
        cut: dice.percent(30).then(|| dice.below(100)),
    }
}

fn moment(dice: &mut Dice) -> Moment {
    match dice.below(10) {
        0 => Moment::Elapsed(dice.below(600)),
        1 => Moment::Staging,
        2 => Moment::Sealed,
        3 => Moment::Store,
        4 | 5 => Moment::Requests(dice.between(1, 60)),
        _ => Moment::Phase {
            phase: match dice.percent(50) {
                true => dice.pick(&PHASES),
                false => dice.pick(&LATE),
            },
            requests: dice.pick(&[0, 0, 1, 5, 20, 60]),
            ms: dice.pick(&[0, 0, 0, 1, 10, 60]),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The beginning of what `Debug` writes: the name.
    fn name(value: &impl std::fmt::Debug) -> String {
        let text = format!("{value:?}");
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        let plan = |seed, scale| format!("{:?}", Schedule::of(seed, scale));
        assert_eq!(plan(1, Scale::Test), plan(1, Scale::Test));
        assert_ne!(plan(1, Scale::Test), plan(2, Scale::Test));
        assert_ne!(plan(1, Scale::Test), plan(1, Scale::Soak));
    }

    #[test]
    fn everything_that_can_go_wrong_does_in_some_plan() {
        let plans: Vec<_> = (0..300)
            .map(|seed| Schedule::of(seed, Scale::Test))
            .collect();
        let rounds = || plans.iter().flat_map(|plan| &plan.rounds);
        let kinds: BTreeSet<_> = rounds()
            .flat_map(|round| &round.faults)
            .map(|rule| name(&rule.kind))
            .collect();
        assert_eq!(kinds.len(), 7, "{kinds:?}");
        let jobs: BTreeSet<_> = rounds()
            .flat_map(|round| &round.jobs)
            .map(|rule| name(&rule.job))
            .collect();
        assert_eq!(jobs.len(), 3, "{jobs:?}");
        let kills: BTreeSet<_> = rounds().map(|round| name(&round.kill)).collect();
        assert_eq!(kills.len(), 6, "{kills:?}");
        assert!(rounds().any(|round| !round.account["rate_limit"].is_null()));
        assert!(plans.iter().any(|plan| plan.members > 10_000));
        assert!(plans.iter().any(|plan| plan.staged_file_max_rows.is_some()));
        assert!(
            plans
                .iter()
                .all(|plan| (2..=5).contains(&plan.rounds.len()))
        );
    }
}
