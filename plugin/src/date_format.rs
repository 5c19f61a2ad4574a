//! Reading dates in formats of strftime notation.
//!
//! A small reader of our own: the library that the tests compare it with is a third of the size
//! that the whole component may have.

/// What a text says about a moment. Parts that the format does not name are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// From 1 to 9999.
    pub year: u16,
    /// From 1.
    pub month: u8,
    /// Of the month, from 1.
    pub day: u8,
    /// As written: a twelve-hour clock is not resolved, since only dates are asked for.
    pub hour: u8,
    /// Minutes.
    pub minute: u8,
    /// Seconds, 60 included.
    pub second: u8,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// How many days a month has; 0 if there is no such month.
pub fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 0,
    }
}

/// Reads `text` in `format`. Nothing if it does not fit, or is no date that exists.
///
/// Numbers may have fewer digits than usual, names are taken in any case, white space in the
/// format stands for any or none in the text.
pub fn parse(format: &str, text: &str) -> Option<Moment> {
    let mut reader = Reader {
        rest: text,
        moment: Moment::default(),
        day_of_year: None,
    };
    reader.all(format)?;
    let mut moment = reader.moment;
    if let Some(mut day) = reader.day_of_year {
        moment.month = 1;
        while day > u16::from(days_in_month(moment.year, moment.month)) {
            day -= u16::from(days_in_month(moment.year, moment.month));
            moment.month += 1;
            if moment.month > 12 {
                return None;
            }
        }
        moment.day = u8::try_from(day).ok()?;
    }
    let exists =
        moment.year >= 1 && (1..=days_in_month(moment.year, moment.month)).contains(&moment.day);
    (exists && reader.rest.is_empty()).then_some(moment)
}

/// Says why a format can not be used: one must hold a whole date, in directives that exist.
pub fn check(format: &str) -> Result<(), String> {
    let (mut year, mut month, mut day) = (false, false, false);
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            continue;
        }
        match directive(&mut rest) {
            Some('Y' | 'y') => year = true,
            Some('m' | 'b' | 'B' | 'h') => month = true,
            Some('d' | 'e') => day = true,
            Some('j') => (month, day) = (true, true),
            Some('F' | 'D') => (year, month, day) = (true, true, true),
            Some(
                'H' | 'k' | 'I' | 'l' | 'M' | 'S' | 'T' | 'R' | 'p' | 'P' | 'f' | 'z' | 'a' | 'A'
                | 'n' | 't' | '%',
            ) => {}
            Some(unknown) => return Err(format!("the directive `%{unknown}` is not supported")),
            None => return Err("it ends inside a directive".to_owned()),
        }
    }
    match (year, month, day) {
        (true, true, true) => Ok(()),
        _ => Err("it does not hold year, month and day".to_owned()),
    }
}

/// The letter of a directive, after `%` and after what may stand between the two: `-`, `_` and
/// `0` for padding, which changes nothing in reading, and `.` and `:` as in `%.f` and `%:z`.
fn directive(rest: &mut std::str::Chars<'_>) -> Option<char> {
    rest.find(|c| !matches!(c, '-' | '_' | '0' | '.' | ':'))
}

struct Reader<'t> {
    rest: &'t str,
    moment: Moment,
    day_of_year: Option<u16>,
}

impl Reader<'_> {
    fn all(&mut self, format: &str) -> Option<()> {
        let mut format = format.chars();
        while let Some(c) = format.next() {
            match c {
                '%' => self.one(directive(&mut format)?)?,
                c if c.is_whitespace() => self.rest = self.rest.trim_start(),
                c => self.rest = self.rest.strip_prefix(c)?,
            }
        }
        Some(())
    }

    fn one(&mut self, directive: char) -> Option<()> {
        match directive {
            'Y' => self.moment.year = self.number(4, 9999)?,
            'y' => {
                let year = self.number(2, 99)?;
                // The usual pivot: 69 is 1969, 68 is 2068.
                self.moment.year = if year < 69 { 2000 + year } else { 1900 + year };
            }
            'm' => self.moment.month = self.small(12)?,
            'b' | 'B' | 'h' => self.moment.month = self.name(&MONTHS)? + 1,
            'd' | 'e' => self.moment.day = self.small(31)?,
            'j' => self.day_of_year = Some(self.number(3, 366)?),
            'H' | 'k' => self.moment.hour = self.small(23)?,
            'I' | 'l' => self.moment.hour = self.small(12)?,
            'M' => self.moment.minute = self.small(59)?,
            'S' => self.moment.second = self.small(60)?,
            'F' => self.all("%Y-%m-%d")?,
            'D' => self.all("%m/%d/%y")?,
            'T' => self.all("%H:%M:%S")?,
            'R' => self.all("%H:%M")?,
            'a' | 'A' => drop(self.name(&WEEKDAYS)?),
            'p' | 'P' => drop(self.name(&["am", "pm"])?),
            'f' => {
                // `%.f` stands for no fraction, too; `%f` with its dot in the format does not.
                self.rest = self.rest.strip_prefix('.').unwrap_or(self.rest);
                self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
            }
            'z' => self.offset()?,
            'n' | 't' => self.rest = self.rest.trim_start(),
            '%' => self.rest = self.rest.strip_prefix('%')?,
            _ => return None,
        }
        Some(())
    }

    fn small(&mut self, most: u16) -> Option<u8> {
        u8::try_from(self.number(2, most)?).ok()
    }

    /// One to `digits` digits, after white space.
    fn number(&mut self, digits: usize, most: u16) -> Option<u16> {
        self.rest = self.rest.trim_start();
        let length = self
            .rest
            .bytes()
            .take(digits)
            .take_while(u8::is_ascii_digit)
            .count();
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        number.parse().ok().filter(|number| *number <= most)
    }

    /// Which of the names comes next: whole, or its first three letters.
    fn name(&mut self, names: &[&str]) -> Option<u8> {
        for (index, name) in names.iter().enumerate() {
            for length in [name.len(), 3.min(name.len())] {
                let Some((start, rest)) = self.rest.split_at_checked(length) else {
                    continue;
                };
                if start.eq_ignore_ascii_case(&name[..length]) {
                    self.rest = rest;
                    return u8::try_from(index).ok();
                }
            }
        }
        None
    }

    /// `Z`, or sign, hours and minutes with or without a colon.
    fn offset(&mut self) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix(['Z', 'z']) {
            self.rest = rest;
            return Some(());
        }
        self.rest = self.rest.strip_prefix(['+', '-'])?;
        let moment = self.moment;
        self.small(23)?;
        self.rest = self.rest.strip_prefix(':').unwrap_or(self.rest);
        self.small(59)?;
        self.moment = moment;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Date;
    use proptest::prelude::*;

    #[test]
    fn a_format_must_hold_a_whole_date_and_then_reads_it() {
        for (format, text) in [
            ("%m/%d/%Y", "02/09/2024"),
            ("%m/%d/%Y", "2/9/2024"),
            ("%-m/%-d/%Y", "2/9/2024"),
            ("%d.%m.%y", "09.02.24"),
            ("%F", "2024-02-09"),
            ("%D", "02/09/24"),
            ("%Y%m%d", "20240209"),
            ("%Y-%j", "2024-040"),
            ("%Y-%m-%dT%H:%M:%S%z", "2024-02-09T10:15:00+0100"),
            ("%FT%T%:z", "2024-02-09T10:15:00-01:00"),
            ("%F %T%.f", "2024-02-09 10:15:00.25"),
            ("%F %T%.f", "2024-02-09 10:15:00"),
            (
                "%A, %B %e, %Y %I:%M %p",
                "Friday, February  9, 2024 10:15 AM",
            ),
            ("100%% %d%b%Y", "100% 09feb2024"),
            ("%Y年%m月%d日", "2024年2月9日"),
        ] {
            assert_eq!(check(format), Ok(()), "{format}");
            let read = parse(format, text).map(|moment| (moment.year, moment.month, moment.day));
            assert_eq!(read, Some((2024, 2, 9)), "{format} {text}");
        }
        for format in [
            "",
            "%m/%d",
            "%Y",
            "%H:%M",
            "%!",
            "%",
            "plain",
            "%m/%d/%Y %Q",
            "%F %-",
        ] {
            assert!(check(format).is_err(), "{format}");
            assert_eq!(parse(format, "2024-02-09"), None, "{format}");
        }
    }

    #[test]
    fn texts_that_do_not_fit_are_no_dates() {
        for (format, text) in [
            ("%m/%d/%Y", "02/30/2024"),
            ("%m/%d/%Y", "13/01/2024"),
            ("%m/%d/%Y", "00/01/2024"),
            ("%m/%d/%Y", "01/00/2024"),
            ("%m/%d/%Y", "01/01/0"),
            ("%m/%d/%Y", "01/01/20245"),
            ("%m/%d/%Y", "01/01/2024 "),
            ("%m/%d/%Y", "01/01/"),
            ("%m/%d/%Y", "+1/01/2024"),
            ("%Y-%j", "2023-366"),
            ("%Y-%j", "2023-000"),
            ("%d %b %Y", "1 Jänner 2024"),
            ("%d %b %Y", "1 Ja"),
            ("%F %z", "2024-01-01 +1"),
        ] {
            assert_eq!(parse(format, text), None, "{format} {text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_is_read_as_the_library_writes_it(
            year in 1_i16..=9999, month in 1_i8..=12, day in 1_i8..=31,
            format in prop::sample::select(vec![
                "%Y-%m-%d", "%F", "%m/%d/%Y", "%-d.%-m.%Y", "%e %B %Y", "%b %d, %Y", "%Y %j",
                "%A %d %h %Y", "%Y%m%d",
            ]),
        ) {
            let date = Date::new(year, month, day);
            if let Ok(date) = date {
                let read = parse(format, &date.strftime(format).to_string()).unwrap();
                prop_assert_eq!((read.year as i16, read.month as i8, read.day as i8), (year, month, day));
            } else {
                prop_assert_eq!(parse("%Y-%m-%d", &format!("{year}-{month}-{day}")), None);
            }
        }

        #[test]
        fn no_format_and_no_text_panics(format in any::<String>(), text in any::<String>()) {
            let _ = (check(&format), parse(&format, &text));
        }
    }
}
