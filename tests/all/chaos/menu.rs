//! The faults that a plan picks from. None of them may cost a row by right: an answer like 400 says
//! that a row can never be sent, and what is refused so is not lost.

use retention_science_simulator::{Answer, FaultKind, Match, Rule};
use sluice_audience::Dice;

/// Longer than any round: only a kill ends it.
const FOR_EVER_MS: u64 = 3_600_000;

/// What is asked of the account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    User,
    Upload,
    Poll,
    Check,
    Anything,
}

impl Call {
    fn matches(self) -> Match {
        let (method, path) = match self {
            Self::User => ("POST", "/users"),
            Self::Upload => ("POST", "/import_jobs"),
            Self::Poll => ("GET", "/import_jobs/"),
            Self::Check => ("GET", "/users"),
            Self::Anything => return Match::default(),
        };
        Match {
            method: Some(method.to_owned()),
            path_prefix: Some(path.to_owned()),
        }
    }
}

/// Some fault of some calls, again and again or a few times.
pub fn fault(dice: &mut Dice) -> Rule {
    let call = dice.pick(&[
        Call::User,
        Call::User,
        Call::User,
        Call::Upload,
        Call::Upload,
        Call::Poll,
        Call::Check,
        Call::Anything,
    ]);
    let kind = kind(dice, call);
    let mut rule = Rule {
        matches: call.matches(),
        kind,
        ..Rule::default()
    };
    // Of the other calls there are a few in a round, of users hundreds.
    let often = matches!(call, Call::User | Call::Anything);
    match (dice.below(3), often) {
        (0, true) => rule.first = Some(dice.between(1, 30)),
        (1, true) => rule.every = Some(dice.between(2, 9)),
        (_, true) => {
            rule.probability = Some(dice.between(5, 40) as f64 / 100.0);
            rule.seed = dice.below(1_000);
        }
        (_, false) => rule.first = Some(dice.between(1, 3)),
    }
    // A refused key parks, and what is taken for an upload's answer without a job's id does: once
    // is enough.
    let parks = matches!(&rule.kind, FaultKind::Status(answer) if answer.code == 401);
    let spoilt = matches!(rule.kind, FaultKind::TruncatedJson | FaultKind::NotJson);
    if parks || (spoilt && call == Call::Upload) {
        rule.times = Some(1);
    } else if dice.percent(30) {
        rule.times = Some(dice.between(1, 10));
    }
    rule
}

fn kind(dice: &mut Dice, call: Call) -> FaultKind {
    let status = |code, retry_after| {
        FaultKind::Status(Answer {
            code,
            body: None,
            retry_after,
        })
    };
    match dice.below(16) {
        0..=2 => FaultKind::LatencyMs(dice.between(5, 250)),
        3 | 4 => FaultKind::ResetBeforeEffect,
        5 | 6 => FaultKind::ResetAfterEffect,
        7 | 8 => status(dice.pick(&[500, 502, 503, 504]), None),
        9 | 10 => status(429, dice.pick(&[None, None, Some(0), Some(1)])),
        11 => FaultKind::SlowDrip(dice.between(1, 20)),
        // The effect is there, and the answer does not come before the kill.
        12 => FaultKind::SlowDrip(FOR_EVER_MS),
        13 => FaultKind::TruncatedJson,
        14 => FaultKind::NotJson,
        // A key that is refused now and then.
        _ if call == Call::Anything => FaultKind::ResetBeforeEffect,
        _ => status(401, None),
    }
}
