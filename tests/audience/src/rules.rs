//! The documented rules: from a member's source fields to what the account must hold.
//!
//! Written from the exporter's README and nothing else. Where this and the exporter differ, one of
//! them has read it wrongly.

use serde_json::{Map, Value};

use crate::mapping::mapping;

/// A value as the account holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Datum {
    Text(Box<str>),
    Number(f64),
    Bool(bool),
}

/// Destination fields in mapping order. What is absent, null or empty is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sent(pub Vec<(&'static str, Datum)>);

impl Sent {
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0.iter().find_map(|(name, value)| match value {
            Datum::Text(text) if *name == field => Some(&**text),
            _ => None,
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// The host cannot know whose line it is.
    Refused,
    /// The named field breaks its rule.
    Rejected(&'static str),
}

pub(crate) fn sent(user: &Map<String, Value>) -> Result<Sent, No> {
    if user.get("user_id").and_then(text).is_none() {
        return Err(No::Refused);
    }
    let mut sent = Sent(Vec::with_capacity(16));
    for (source, field) in mapping() {
        let Some(value) = user.get(*source) else {
            continue;
        };
        let Some(datum) = datum(field, value).ok_or(No::Rejected(field))? else {
            continue;
        };
        // Only names are mapped more than once; they are joined in mapping order.
        match sent.0.last_mut() {
            Some((name, Datum::Text(first))) if name == field => {
                let Datum::Text(second) = datum else { continue };
                *first = format!("{first} {second}").into();
            }
            _ => sent.0.push((field, datum)),
        }
    }
    Ok(sent)
}

/// The value by the field's rule: none if it breaks it, `Some(None)` if there is nothing to send.
fn datum(field: &str, value: &Value) -> Option<Option<Datum>> {
    let Some(text) = text(value) else {
        return Some(None);
    };
    let text = match field {
        "email" => is_email(&text).then_some(text)?,
        "country" => country(&text)?.to_owned(),
        "gender" => gender(&text)?.to_owned(),
        "birthday" | "account_created_on" => date(&text)?.to_owned(),
        // The account's definition decides the type.
        "custom_attributes.resci.credits_available" => {
            return Some(Some(Datum::Number(text.parse().ok()?)));
        }
        "custom_attributes.resci.vip" => return Some(Some(Datum::Bool(text.parse().ok()?))),
        _ => text,
    };
    Some(Some(Datum::Text(text.into())))
}

/// The value as a text; nothing for null and for what is empty after trimming.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        Value::Array(elements) => elements
            .iter()
            .filter(|element| !element.is_null())
            .map(|element| match element {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && domain.contains('.')
            && !text.contains(char::is_whitespace)
    })
}

fn gender(text: &str) -> Option<&'static str> {
    match text.to_lowercase().as_str() {
        "m" | "male" => Some("m"),
        "f" | "female" => Some("f"),
        _ => None,
    }
}

/// The countries that the audience lives in. A whole list would be the exporter's once more.
fn country(text: &str) -> Option<&'static str> {
    Some(match text.to_lowercase().as_str() {
        "us" | "usa" | "united states" | "united states of america" => "US",
        "gb" | "gbr" | "uk" | "united kingdom" => "UK",
        "de" | "deu" | "germany" => "DE",
        "fr" | "fra" | "france" => "FR",
        "ca" | "can" | "canada" => "CA",
        "jp" | "jpn" | "japan" => "JP",
        "br" | "bra" | "brazil" => "BR",
        "il" | "isr" | "israel" => "IL",
        "es" | "esp" | "spain" => "ES",
        "nl" | "nld" | "netherlands" => "NL",
        _ => return None,
    })
}

/// The day of a date or of a timestamp, as it is written there.
fn date(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let rest = &text[10..];
    let numbers: Vec<u32> = day
        .split('-')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, of_month] = numbers[..] else {
        return None;
    };
    if day.as_bytes()[4] != b'-' || day.as_bytes()[7] != b'-' {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    let zoned = rest.ends_with('Z') || rest.get(rest.len().wrapping_sub(6)..).is_some_and(offset);
    let timed = rest.starts_with('T') && rest.len() >= 10 && zoned;
    ((1..=days).contains(&of_month) && (rest.is_empty() || timed)).then_some(day)
}

/// `+02:00` and the like.
fn offset(text: &str) -> bool {
    text.starts_with(['+', '-']) && text.as_bytes()[3] == b':'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(user: Value) -> Result<Sent, No> {
        sent(user.as_object().unwrap())
    }

    #[test]
    fn names_are_joined_in_mapping_order_whatever_order_the_source_has() {
        let user = json!({"user_id": 7, "last_name": " Berg ", "first_name": "Ann"});
        let sent = of(user).unwrap();
        assert_eq!(sent.text("full_name"), Some("Ann Berg"));
        assert_eq!(sent.text("record_id"), Some("7"));
        let one = of(json!({"user_id": "a", "first_name": " ", "last_name": "Berg"})).unwrap();
        assert_eq!(one.text("full_name"), Some("Berg"));
    }

    #[test]
    fn countries_genders_and_dates_are_written_the_one_way() {
        let sent = of(json!({"user_id": "a", "country": "gbr", "gender": "Female",
            "birthday": "1990-05-01T23:30:00-08:00", "signup_at": "2020-02-29T00:00:00Z"}))
        .unwrap();
        assert_eq!(sent.text("country"), Some("UK"));
        assert_eq!(sent.text("gender"), Some("f"));
        assert_eq!(sent.text("birthday"), Some("1990-05-01"));
        assert_eq!(sent.text("account_created_on"), Some("2020-02-29"));
    }

    #[test]
    fn lists_are_joined_and_maps_stay_in_their_order() {
        let sent = of(json!({"user_id": "a", "preferences": {"b": 1, "a": [null]},
            "tags": ["x", null, ["y", 1], true]}))
        .unwrap();
        assert_eq!(
            sent.text("custom_attributes.resci.tags"),
            Some(r#"x, ["y",1], true"#)
        );
        assert_eq!(
            sent.text("custom_attributes.resci.preferences"),
            Some(r#"{"b":1,"a":[null]}"#)
        );
    }

    #[test]
    fn what_is_empty_is_not_sent() {
        let sent = of(
            json!({"user_id": "a", "email": " ", "city": null, "tags": [null],
            "vip": null, "phone": ""}),
        )
        .unwrap();
        assert_eq!(sent.0.len(), 1);
    }

    #[test]
    fn credits_become_a_number_however_they_are_written() {
        for credits in [json!(12.5), json!("12.50")] {
            let sent = of(json!({"user_id": "a", "credits": credits})).unwrap();
            assert_eq!(sent.0[1].1, Datum::Number(12.5));
        }
    }

    #[test]
    fn wrong_emails_and_dates_reject_and_a_missing_user_id_refuses() {
        let wrong = |field: &str, value: &str| of(json!({"user_id": "a", field: value}));
        for email in crate::words::NO_EMAILS {
            assert_eq!(wrong("email", email), Err(No::Rejected("email")), "{email}");
        }
        for day in crate::words::NO_DATES {
            assert_eq!(
                wrong("birthday", day),
                Err(No::Rejected("birthday")),
                "{day}"
            );
        }
        assert_eq!(of(json!({"user_id": ""})), Err(No::Refused));
        assert_eq!(of(json!({"email": "a@x.org"})), Err(No::Refused));
    }
}
