//! Clocks that tell the time, and not what a neighbour does: a finer one is half of every side channel.

use std::time::{Duration, Instant};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The smallest step: fine enough for a date, a deadline or a nap.
const STEP: Duration = Duration::from_millis(1);

/// The time of day: that at which it began, and what has gone by since.
pub struct Wall {
    pub began: Duration,
    pub since: Instant,
}

/// Time since the instance first asked for it.
pub struct Monotonic(pub Instant);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        coarse(self.began.saturating_add(self.since.elapsed()))
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        nanoseconds(STEP)
    }

    fn now(&self) -> u64 {
        nanoseconds(coarse(self.0.elapsed()))
    }
}

fn coarse(time: Duration) -> Duration {
    let into_step = time.as_nanos() % STEP.as_nanos();
    time.saturating_sub(Duration::from_nanos(into_step as u64))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_by_in_steps() {
        for (given, told) in [(0, 0), (999_999, 0), (1_000_000, 1), (1_999_999_999, 1_999)] {
            let coarse = coarse(Duration::from_nanos(given));
            assert_eq!(coarse, Duration::from_millis(told), "{given}");
        }
        let began = Duration::from_secs(1_700_000_000);
        let since = Instant::now();
        let now = Wall { began, since }.now();
        assert!(now >= began && now.as_nanos().is_multiple_of(STEP.as_nanos()));
        assert_eq!(Monotonic(Instant::now()).now() % 1_000_000, 0);
    }
}
