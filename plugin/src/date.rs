//! Calendar dates: reading what sources write, writing `YYYY-MM-DD`; and HTTP's dates.

use std::borrow::Cow;

use crate::date_format::{self, Moment};

/// The date in `text` as `YYYY-MM-DD`: from that form, from an RFC 3339 timestamp (the date as
/// written there), or from one of `formats` (strftime notation, tried in order).
pub fn normalise<'a>(text: Cow<'a, str>, formats: &[String]) -> Option<Cow<'a, str>> {
    if let Some(day) = leading_date(&text) {
        if text.len() == day.len() {
            return Some(text);
        }
        if is_rest_of_timestamp(&text.as_bytes()[day.len()..]) {
            return Some(match text {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..10]),
                Cow::Owned(text) => Cow::Owned(text[..10].to_owned()),
            });
        }
    }
    let moment = formats
        .iter()
        .find_map(|format| date_format::parse(format, &text))?;
    Some(Cow::Owned(format!(
        "{:04}-{:02}-{:02}",
        moment.year, moment.month, moment.day
    )))
}

/// The first ten bytes, if they are a date that exists, in the form `YYYY-MM-DD`.
fn leading_date(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = day.as_bytes() else {
        return None;
    };
    let century = u16::from(two_digits([y1, y2])?);
    let year = century * 100 + u16::from(two_digits([y3, y4])?);
    let last = date_format::days_in_month(year, two_digits([m1, m2])?);
    (year >= 1 && (1..=last).contains(&two_digits([d1, d2])?)).then_some(day)
}

fn two_digits([tens, ones]: [u8; 2]) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

/// Whether a text goes on from a date as an RFC 3339 timestamp does: `T`, time, offset.
fn is_rest_of_timestamp(rest: &[u8]) -> bool {
    let &[
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        ref rest @ ..,
    ] = rest
    else {
        return false;
    };
    // 60 is a leap second.
    let is_time = is_up_to([h1, h2], 23) && is_up_to([m1, m2], 59) && is_up_to([s1, s2], 60);
    let offset = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return false;
            }
            &fraction[digits..]
        }
        rest => rest,
    };
    let is_offset = match *offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => is_up_to([h1, h2], 23) && is_up_to([m1, m2], 59),
        _ => false,
    };
    is_time && is_offset
}

fn is_up_to(digits: [u8; 2], most: u8) -> bool {
    two_digits(digits).is_some_and(|number| number <= most)
}

/// The seconds from one HTTP date to another, like `Mon, 23 Nov 2026 10:00:00 GMT`; negative if
/// the second is earlier.
pub fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let seconds = |text: &str| {
        let moment = date_format::parse("%a, %d %b %Y %H:%M:%S GMT", text)?;
        let Moment {
            hour,
            minute,
            second,
            ..
        } = moment;
        let days = days_from_epoch(moment);
        Some(((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second))
    };
    Some(seconds(to)? - seconds(from)?)
}

/// Days from the start of a year zero to this date, in the Gregorian calendar.
fn days_from_epoch(moment: Moment) -> i64 {
    let year = i64::from(moment.year) - 1;
    let before = (1..moment.month)
        .map(|month| i64::from(date_format::days_in_month(moment.year, month)))
        .sum::<i64>();
    year * 365 + year / 4 - year / 100 + year / 400 + before + i64::from(moment.day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_read_in_every_documented_form_and_no_other() {
        let formats = [
            "%m/%d/%Y".to_owned(),
            "%d.%m.%y".to_owned(),
            "%Y-%m-%d %H:%M:%S".to_owned(),
        ];
        for (text, expected) in [
            ("2024-02-29", Some("2024-02-29")),
            ("0001-01-01", Some("0001-01-01")),
            ("2023-02-29", None),
            ("2024-13-01", None),
            ("0000-01-01", None),
            ("0000-00-00", None),
            ("2024-2-9", None),
            ("20240229", None),
            ("2024-02-29T23:30:00-08:00", Some("2024-02-29")),
            ("2024-02-29T00:30:00.123456789+09:00", Some("2024-02-29")),
            ("2024-02-29t12:00:00z", Some("2024-02-29")),
            ("2024-02-29T12:00:00", None),
            ("2024-02-29T23:59:60Z", Some("2024-02-29")),
            ("2024-02-29T24:00:00Z", None),
            ("2024-02-29T12:60:00Z", None),
            ("2024-02-29T12:00:61Z", None),
            ("2024-02-29T12:00:00.Z", None),
            ("2024-02-29T12:00:00+0100", None),
            ("2024-02-29T12:00:00+24:00", None),
            ("2024-02-29T12:00Z", None),
            ("2024-02-29T12:00:00Zz", None),
            ("2024-02-29Tomorrow", None),
            ("2024-02-29 12:00:00", Some("2024-02-29")),
            ("02/29/2024", Some("2024-02-29")),
            ("02/30/2024", None),
            ("29.02.24", Some("2024-02-29")),
            ("yesterday", None),
            ("", None),
            ("äöüäöüäöü", None),
            ("2024-02-2é", None),
        ] {
            let read = normalise(Cow::Borrowed(text), &formats);
            assert_eq!(read.as_deref(), expected, "{text}");
            let owned = normalise(Cow::Owned(text.to_owned()), &formats);
            assert_eq!(owned.as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn seconds_between_two_http_dates_are_those_of_the_library(
            from in -60_000_000_000_i64..250_000_000_000, to in -60_000_000_000_i64..250_000_000_000
        ) {
            let date = |second| {
                let moment = jiff::Timestamp::from_second(second).unwrap();
                moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
            };
            prop_assert_eq!(seconds_between(&date(from), &date(to)), Some(to - from));
        }
    }
}
