//! Calendar days and timestamps as text.

/// The date so many days after 1970-01-01 (the usual conversion by 400-year cycles).
pub(crate) fn date(days: u64) -> String {
    let z = days + 719_468;
    let cycle = z / 146_097;
    let of_cycle = z % 146_097;
    let year_of_cycle =
        (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Milliseconds since 1970 as an RFC 3339 timestamp.
pub(crate) fn timestamp(ms: u64) -> String {
    let day = date(ms / 86_400_000);
    let (s, ms) = (ms / 1_000 % 86_400, ms % 1_000);
    format!(
        "{day}T{:02}:{:02}:{:02}.{ms:03}Z",
        s / 3_600,
        s / 60 % 60,
        s % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_454), "2026-01-01");
        assert_eq!(timestamp(1_000_000_000_123), "2001-09-09T01:46:40.123Z");
    }
}
