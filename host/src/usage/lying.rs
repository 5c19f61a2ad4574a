//! How long staged files have lain on the disk: bytes times time. Pure.

/// What lies there, and what that has come to so far.
#[derive(Debug, Default)]
pub(super) struct Lying {
    /// Bytes that lie there now.
    pub bytes: u64,
    /// Up to when it is counted, in milliseconds since 1970.
    pub until_ms: Option<i64>,
    /// Bytes times milliseconds. A terabyte for a year does not fit into 64 bits.
    byte_ms: u128,
}

impl Lying {
    /// Counts up to now. A clock that was put back counts nothing twice.
    pub fn count(&mut self, now_ms: i64) {
        if let Some(until) = self.until_ms {
            let ms = now_ms.saturating_sub(until).max(0) as u128;
            self.byte_ms += u128::from(self.bytes) * ms;
        }
        self.until_ms = Some(now_ms);
    }

    /// The whole byte-seconds so far; what is less than one stays.
    pub fn take(&mut self) -> u64 {
        let whole = self.byte_ms / 1000;
        self.byte_ms %= 1000;
        whole.try_into().unwrap_or(u64::MAX)
    }

    /// What was taken could not be kept.
    pub fn give_back(&mut self, byte_seconds: u64) {
        self.byte_ms += u128::from(byte_seconds) * 1000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_for_as_long_as_they_lay_there() {
        let mut lying = Lying::default();
        // Until the store has said since when, there is nothing to count.
        lying.count(1_000);
        lying.bytes = 10;
        lying.count(1_550);
        assert_eq!(lying.take(), 5);
        // The half second that was left is not lost.
        lying.count(1_600);
        assert_eq!(lying.take(), 1);
        lying.bytes = 0;
        lying.count(9_000_000);
        assert_eq!(lying.take(), 0);
    }

    #[test]
    fn a_clock_that_is_put_back_counts_nothing_twice() {
        let mut lying = Lying {
            bytes: 1_000,
            until_ms: Some(50_000),
            ..Lying::default()
        };
        lying.count(10_000);
        assert_eq!(lying.take(), 0);
        lying.count(11_000);
        assert_eq!(lying.take(), 1_000);
    }

    #[test]
    fn a_petabyte_for_a_year_is_no_overflow() {
        let mut lying = Lying {
            bytes: 1 << 50,
            until_ms: Some(0),
            ..Lying::default()
        };
        lying.count(365 * 24 * 3600 * 1000);
        assert_eq!(lying.take(), u64::MAX);
    }
}
