//! How long to wait before the next try. Data and arithmetic; the dice are thrown outside.

use super::machine::{Passing, Reason, Trouble};

/// A growing pause: exponential, with full jitter, capped. Never gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The longest first pause.
    pub first_ms: u64,
    /// The longest pause of all.
    pub cap_ms: u64,
}

/// What is done about trouble of one kind. Whatever else happens, nothing is ever given up: when
/// the tries are over, the export parks with everything kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long to wait before the next try.
    pub pause: Schedule,
    /// How many tries there are before it needs a person; `None` for as many as it takes.
    pub tries: Option<u32>,
}

/// After a call that failed. Half a second is over before anybody notices; a minute is how long a
/// destination that is back may stay unnoticed.
pub const CALLS: Schedule = Schedule {
    first_ms: 500,
    cap_ms: 60_000,
};

/// After an answer that asks for patience: twice as long, so that the limit is not hit again at
/// once where the destination does not say for how long.
const THROTTLED: Schedule = Schedule {
    first_ms: 1_000,
    cap_ms: 60_000,
};

/// Between two looks at an import job, which takes from seconds to an hour.
pub const POLLS: Schedule = Schedule {
    first_ms: 1_000,
    cap_ms: 30_000,
};

/// Between two questions whether a refused credential is accepted now: a person changes it, which
/// takes minutes, and many destinations lock out who asks too often.
pub const CHECKS: Schedule = Schedule {
    first_ms: 2_000,
    cap_ms: 300_000,
};

/// How often a plugin may fail in a call that concerns no single row: a fault that comes and goes
/// is over by then, and one that stays is not worth more CPU.
const CRASHES: u32 = 5;

/// The policy for a kind of trouble. What needs a person (`unauthorized`, `invalid-settings`,
/// `fatal`, a failed import) is not repeated: it parks.
pub const fn policy(kind: Passing) -> Policy {
    match kind {
        Passing::Throttled => Policy {
            pause: THROTTLED,
            tries: None,
        },
        Passing::Transient => Policy {
            pause: CALLS,
            tries: None,
        },
        Passing::Crash => Policy {
            pause: CALLS,
            tries: Some(CRASHES),
        },
    }
}

/// The longest that a destination's `Retry-After` is believed.
pub const RETRY_AFTER_CAP_MS: u64 = 3_600_000;

/// Trouble of a kind that was tried often enough is for a person.
pub fn weigh(trouble: Trouble, attempt: u32) -> Trouble {
    match trouble {
        Trouble::Passing { kind, message, .. }
            if policy(kind).tries.is_some_and(|tries| attempt + 1 >= tries) =>
        {
            Trouble::Lasting(Reason::PluginFails(message))
        }
        trouble => trouble,
    }
}

impl Schedule {
    /// The longest pause after `attempt` failures (0 after the first).
    pub fn ceiling_ms(&self, attempt: u32) -> u64 {
        let factor = 1_u64.checked_shl(attempt.min(32)).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(factor).min(self.cap_ms)
    }

    /// The pause after `attempt` failures, for a `dice` in `0.0..1.0`. Never shorter than what the
    /// destination asked for, and spread beyond that, so that not all come back at once.
    pub fn pause_ms(&self, attempt: u32, dice: f64, retry_after_ms: Option<u32>) -> u64 {
        let jitter = (self.ceiling_ms(attempt) as f64 * dice) as u64;
        let asked = retry_after_ms.map_or(0, |ms| u64::from(ms).min(RETRY_AFTER_CAP_MS));
        asked + jitter
    }

    /// The pause before a look at something that is expected to take its time: between half the
    /// ceiling and the ceiling.
    pub fn look_ms(&self, attempt: u32, dice: f64) -> u64 {
        let ceiling = self.ceiling_ms(attempt);
        ceiling / 2 + (ceiling as f64 / 2.0 * dice) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<_> = (0..9).map(|attempt| CALLS.ceiling_ms(attempt)).collect();
        assert_eq!(
            ceilings,
            [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(CALLS.ceiling_ms(u32::MAX), 60_000);
    }

    #[test]
    fn only_a_plugin_that_fails_is_given_up_on() {
        for (kind, tries) in [
            (Passing::Throttled, None),
            (Passing::Transient, None),
            (Passing::Crash, Some(5)),
        ] {
            assert_eq!(policy(kind).tries, tries, "{kind:?}");
        }
    }

    #[test]
    fn the_pause_is_anything_below_the_ceiling_and_at_least_what_was_asked() {
        assert_eq!(CALLS.pause_ms(3, 0.0, None), 0);
        assert_eq!(CALLS.pause_ms(3, 0.5, None), 2000);
        assert_eq!(CALLS.pause_ms(0, 0.5, Some(10_000)), 10_250);
        assert_eq!(CALLS.pause_ms(0, 0.0, Some(u32::MAX)), RETRY_AFTER_CAP_MS);
    }
}
