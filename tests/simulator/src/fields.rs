//! The fields of a user, their types, and how a value becomes one of that type.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

pub(crate) const CUSTOM: &str = "custom_attributes";

/// A custom attribute, defined beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub group: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
}

impl Definition {
    pub fn new(group: &str, name: &str, kind: Kind) -> Self {
        Self {
            group: group.into(),
            name: name.into(),
            kind,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    String,
    Number,
    Boolean,
    Date,
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "string" => Ok(Self::String),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "date" => Ok(Self::Date),
            other => Err(format!("there is no attribute type {other:?}")),
        }
    }
}

/// A stored value. Small on purpose: an account of two million users has thirty million of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Datum {
    Text(Box<str>),
    Number(Number),
    Bool(bool),
}

impl Datum {
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.to_string()),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Bool(value) => Value::Bool(*value),
        }
    }
}

pub(crate) type FieldId = u16;

/// What a column or a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    RecordId,
    Email,
    Field(FieldId, Kind),
    /// A custom attribute that was not defined.
    Undefined,
    Unknown,
}

pub(crate) const UNSUBSCRIBED: &str = "date_unsubscribed";

const FIELDS: [(&str, Kind); 15] = [
    ("full_name", Kind::String),
    ("address1", Kind::String),
    ("address2", Kind::String),
    ("city", Kind::String),
    ("state", Kind::String),
    ("zip", Kind::String),
    ("country", Kind::String),
    ("phone", Kind::String),
    ("gender", Kind::String),
    ("registration_source", Kind::String),
    ("birthday", Kind::Date),
    ("account_created_on", Kind::Date),
    (UNSUBSCRIBED, Kind::Date),
    ("birth_year", Kind::Number),
    ("accepts_marketing", Kind::Boolean),
];

/// All fields by name. A field keeps its id for the life of the account, also when its definition
/// goes away, because users hold values by id.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    names: Vec<Box<str>>,
    ids: HashMap<Box<str>, FieldId>,
    targets: HashMap<Box<str>, Target>,
}

impl Catalogue {
    pub(crate) fn new(definitions: &[Definition]) -> Self {
        let mut catalogue = Self {
            names: Vec::new(),
            ids: HashMap::new(),
            targets: HashMap::new(),
        };
        catalogue
            .targets
            .insert("record_id".into(), Target::RecordId);
        catalogue.targets.insert("email".into(), Target::Email);
        for (name, kind) in FIELDS {
            catalogue.add(name.into(), kind);
        }
        catalogue.define(definitions);
        catalogue
    }

    pub(crate) fn define(&mut self, definitions: &[Definition]) {
        self.targets.retain(|name, _| !is_custom(name));
        for d in definitions {
            self.add(format!("{CUSTOM}.{}.{}", d.group, d.name), d.kind);
        }
    }

    fn add(&mut self, name: String, kind: Kind) {
        let name: Box<str> = name.into();
        let id = *self.ids.entry(name.clone()).or_insert_with(|| {
            self.names.push(name.clone());
            (self.names.len() - 1) as FieldId
        });
        self.targets.insert(name, Target::Field(id, kind));
    }

    pub(crate) fn target(&self, name: &str) -> Target {
        match self.targets.get(name) {
            Some(target) => *target,
            None if is_custom(name) => Target::Undefined,
            None => Target::Unknown,
        }
    }

    pub(crate) fn name(&self, id: FieldId) -> &str {
        &self.names[id as usize]
    }
}

fn is_custom(name: &str) -> bool {
    name.strip_prefix(CUSTOM)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|rest| rest.contains('.'))
}

/// A cell of a file as a value of the type, or why not.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Datum, String> {
    match kind {
        Kind::String => Ok(Datum::Text(text.into())),
        Kind::Number => number(text)
            .map(Datum::Number)
            .ok_or_else(|| format!("must be a number, not {text:?}")),
        Kind::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Datum::Bool(true)),
            "false" | "0" => Ok(Datum::Bool(false)),
            _ => Err(format!("must be true or false, not {text:?}")),
        },
        Kind::Date if is_date(text) => Ok(Datum::Text(text.into())),
        Kind::Date => Err(format!("must be YYYY-MM-DD, not {text:?}")),
    }
}

/// A JSON value as a value of the type, or why not.
pub(crate) fn from_json(kind: Kind, value: &Value) -> Result<Datum, String> {
    match (kind, value) {
        (_, Value::String(text)) => from_text(kind, text),
        (Kind::Number, Value::Number(number)) => Ok(Datum::Number(number.clone())),
        (Kind::Boolean, Value::Bool(value)) => Ok(Datum::Bool(*value)),
        (Kind::String, Value::Number(number)) => Ok(Datum::Text(number.to_string().into())),
        (Kind::String, Value::Bool(value)) => Ok(Datum::Text(value.to_string().into())),
        _ => Err(format!("has a value of the wrong type: {value}")),
    }
}

fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    Number::from_f64(text.parse().ok()?)
}

pub(crate) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, byte)| match i {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shaped {
        return false;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or(0);
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_in_a_text_becomes_a_number_and_other_text_does_not() {
        assert_eq!(
            from_text(Kind::Number, "12").unwrap().to_json().to_string(),
            "12"
        );
        assert_eq!(
            from_json(Kind::Number, &json!("12.50")).unwrap().to_json(),
            json!(12.5)
        );
        assert!(from_text(Kind::Number, "twelve").is_err());
        assert!(from_text(Kind::Number, "NaN").is_err());
    }

    #[test]
    fn a_date_must_exist_and_be_written_the_one_way() {
        assert!(is_date("2024-02-29"));
        for wrong in [
            "2023-02-29",
            "1900-02-29",
            "2023-13-01",
            "2023-1-1",
            "01/02/2023",
            "",
        ] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_attribute_is_known_only_while_it_is_defined_and_keeps_its_id() {
        let vip = [Definition::new("resci", "vip", Kind::Boolean)];
        let mut catalogue = Catalogue::new(&vip);
        let before = catalogue.target("custom_attributes.resci.vip");
        catalogue.define(&[]);
        assert_eq!(
            catalogue.target("custom_attributes.resci.vip"),
            Target::Undefined
        );
        catalogue.define(&vip);
        assert_eq!(catalogue.target("custom_attributes.resci.vip"), before);
        assert_eq!(catalogue.target("newsletter_opt_in"), Target::Unknown);
    }

    #[test]
    fn a_list_is_no_text() {
        assert!(from_json(Kind::String, &json!(["a"])).is_err());
    }
}
