//! One cell under the rule of its field: the value that is sent, or the rule that it breaks.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sluice_guest::{Cell, Kind};

use crate::fields::Rule;
use crate::options::Options;
use crate::{country, date, email, text};

/// A value as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Leave the destination's value alone.
    Nothing,
    /// There is no value. Live with `nulls = "clear"` only; in the CSV the same as nothing.
    Null,
    /// A text that is not empty.
    Text(Cow<'a, str>),
    /// A number: its JSON text.
    Number(Cow<'a, str>),
    /// A yes or no.
    Boolean(bool),
}

impl Value<'_> {
    /// The value as text; empty where there is none.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Nothing | Self::Null => "",
            Self::Text(text) | Self::Number(text) => text,
            Self::Boolean(true) => "true",
            Self::Boolean(false) => "false",
        }
    }
}

/// The value of a cell under a rule. The error is the rule that it breaks, as in "`gender` {}".
pub fn of<'a>(rule: Rule, cell: Cell<'a>, options: &Options) -> Result<Value<'a>, &'static str> {
    match cell.kind {
        Kind::Absent => return Ok(Value::Nothing),
        Kind::Null => return Ok(Value::Null),
        _ => {}
    }
    let text = text::of(cell, options)?;
    if text.is_empty() {
        return Ok(Value::Nothing);
    }
    Ok(match rule {
        Rule::Text | Rule::Name | Rule::RecordId => Value::Text(text),
        Rule::Email if email::is_address(&text) => Value::Text(text),
        Rule::Email => return Err("is no email address"),
        Rule::Country => match country::code(&text) {
            Some(code) => Value::Text(Cow::Borrowed(code)),
            None => return Err("is no country: neither an ISO 3166 code nor an English name"),
        },
        Rule::Date => match date::normalise(text, &options.date_formats) {
            Some(date) => Value::Text(date),
            None => {
                return Err(
                    "is no date: neither YYYY-MM-DD nor an RFC 3339 timestamp nor in one \
                            of `date_formats`",
                );
            }
        },
        Rule::Year if is_year(&text) => Value::Number(text),
        Rule::Year => return Err("is no year from 1900 to 2100"),
        Rule::Gender => match () {
            () if is_one_of(&text, &["m", "male"]) => Value::Text(Cow::Borrowed("m")),
            () if is_one_of(&text, &["f", "female"]) => Value::Text(Cow::Borrowed("f")),
            () => return Err("is neither m nor f, nor male nor female"),
        },
        Rule::Consent => match () {
            () if is_one_of(&text, &["true", "yes", "1", "y", "t"]) => Value::Boolean(true),
            () if is_one_of(&text, &["false", "no", "0", "n", "f"]) => Value::Boolean(false),
            () => return Err("is neither true nor false, nor a word for one of them"),
        },
        Rule::Custom | Rule::Membership => match (cell.kind, text.as_ref()) {
            (Kind::Boolean, "true") => Value::Boolean(true),
            (Kind::Boolean, "false") => Value::Boolean(false),
            (Kind::Integer | Kind::Decimal, number) if is_number(number) => Value::Number(text),
            _ => Value::Text(text),
        },
    })
}

fn is_one_of(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_year(text: &str) -> bool {
    text.len() == 4
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && ("1900"..="2100").contains(&text)
}

/// Whether a text can stand in JSON as a number.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: Rule, kind: Kind, cases: &[(&str, Option<Value<'_>>)]) {
        for (text, expected) in cases {
            let read = of(rule, Cell { kind, text }, &Options::default()).ok();
            assert_eq!(read, *expected, "{rule:?} {kind:?} {text:?}");
        }
    }

    fn text(text: &str) -> Option<Value<'_>> {
        Some(Value::Text(Cow::Borrowed(text)))
    }

    fn number(text: &str) -> Option<Value<'_>> {
        Some(Value::Number(Cow::Borrowed(text)))
    }

    #[test]
    fn texts_are_trimmed_and_otherwise_left_alone() {
        for rule in [Rule::Text, Rule::Name, Rule::RecordId] {
            check(
                rule,
                Kind::Text,
                &[
                    (" a  b\u{a0}", text("a  b")),
                    ("007", text("007")),
                    (" \t\n", Some(Value::Nothing)),
                ],
            );
            check(rule, Kind::Integer, &[("12", text("12"))]);
            check(rule, Kind::Decimal, &[("1.50", text("1.50"))]);
            check(rule, Kind::Boolean, &[("true", text("true"))]);
            check(rule, Kind::Json, &[("[1,2]", text("1, 2")), ("[1,", None)]);
            check(rule, Kind::Absent, &[("", Some(Value::Nothing))]);
            check(rule, Kind::Null, &[("", Some(Value::Null))]);
        }
    }

    #[test]
    fn an_email_must_look_like_one_and_keeps_its_case() {
        check(
            Rule::Email,
            Kind::Text,
            &[
                (" Ann@Example.com ", text("Ann@Example.com")),
                ("ann", None),
                ("", Some(Value::Nothing)),
            ],
        );
        check(
            Rule::Email,
            Kind::Json,
            &[
                (r#"["a@b.co"]"#, text("a@b.co")),
                (r#"["a@b.co","c@d.co"]"#, None),
            ],
        );
    }

    #[test]
    fn genders_are_one_letter() {
        check(
            Rule::Gender,
            Kind::Text,
            &[
                ("m", text("m")),
                ("M", text("m")),
                ("Male", text("m")),
                ("f", text("f")),
                (" FEMALE ", text("f")),
                ("x", None),
                ("woman", None),
            ],
        );
    }

    #[test]
    fn consent_is_true_or_false() {
        for word in ["true", "TRUE", "yes", "Y", "t", "1"] {
            check(
                Rule::Consent,
                Kind::Text,
                &[(word, Some(Value::Boolean(true)))],
            );
        }
        for word in ["false", "No", "n", "F", "0"] {
            check(
                Rule::Consent,
                Kind::Text,
                &[(word, Some(Value::Boolean(false)))],
            );
        }
        check(
            Rule::Consent,
            Kind::Text,
            &[("maybe", None), ("2", None), ("", Some(Value::Nothing))],
        );
        check(
            Rule::Consent,
            Kind::Boolean,
            &[("true", Some(Value::Boolean(true)))],
        );
        check(
            Rule::Consent,
            Kind::Integer,
            &[("0", Some(Value::Boolean(false)))],
        );
    }

    #[test]
    fn birth_years_lie_between_1900_and_2100() {
        check(
            Rule::Year,
            Kind::Text,
            &[
                ("1900", number("1900")),
                (" 1985 ", number("1985")),
                ("2100", number("2100")),
                ("1899", None),
                ("2101", None),
                ("85", None),
                ("1985.0", None),
                ("+985", None),
                ("19८५", None),
            ],
        );
    }

    #[test]
    fn countries_and_dates_are_normalised() {
        check(
            Rule::Country,
            Kind::Text,
            &[("gbr", text("UK")), ("Atlantis", None)],
        );
        check(
            Rule::Date,
            Kind::Timestamp,
            &[
                ("2024-01-31T23:00:00-05:00", text("2024-01-31")),
                ("2024-02-30T00:00:00Z", None),
            ],
        );
    }

    #[test]
    fn custom_values_keep_numbers_and_booleans() {
        check(
            Rule::Custom,
            Kind::Integer,
            &[
                ("12", number("12")),
                ("-0", number("-0")),
                (
                    "123456789012345678901234567890",
                    number("123456789012345678901234567890"),
                ),
                ("007", text("007")),
                ("1,2", text("1,2")),
                ("-", text("-")),
            ],
        );
        check(
            Rule::Custom,
            Kind::Decimal,
            &[
                ("1.50", number("1.50")),
                ("1e400", number("1e400")),
                ("NaN", text("NaN")),
            ],
        );
        check(
            Rule::Custom,
            Kind::Boolean,
            &[("true", Some(Value::Boolean(true))), ("TRUE", text("TRUE"))],
        );
        check(
            Rule::Custom,
            Kind::Text,
            &[("12", text("12")), ("true", text("true"))],
        );
        check(
            Rule::Custom,
            Kind::Json,
            &[("{\"a\":1}", text("{\"a\":1}"))],
        );
        check(
            Rule::Custom,
            Kind::Timestamp,
            &[("2024-01-31T23:00:00Z", text("2024-01-31T23:00:00Z"))],
        );
    }
}
