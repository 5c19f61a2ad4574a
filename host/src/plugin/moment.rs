//! When a call began, and what chance it had: all that a component can learn that does not cross the contract.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A component that imports clocks or chance sees the time go on from here, and gets the chance that follows from
/// the seed. So under the same moment its call goes the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since 1970, in whole milliseconds.
    pub at: Duration,
    /// Made for one call.
    pub seed: [u8; 32],
}

impl Moment {
    /// This one, with chance that nobody can know.
    pub fn now() -> Self {
        // Before 1970 it is 1970.
        let at = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_ms = at.unwrap_or_default().as_millis();
        Self {
            at: Duration::from_millis(u64::try_from(at_ms).unwrap_or(u64::MAX)),
            seed: rand::random(),
        }
    }
}
