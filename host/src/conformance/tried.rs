//! Mappings and values that are tried, until the plugin takes them. Pure.

use serde_json::Value;

use crate::plugin::flat::cell;
use crate::plugin::types::{Column, Field, FieldType, Manifest, Place};

/// A mapping of more columns than this shows nothing more.
const COLUMNS: usize = 12;

/// Values that some kind of text field takes, in the order in which they are tried.
const TEXTS: [&str; 8] = [
    "mk{n}z",
    "mk{n}z@example.com",
    "https://example.com/mk{n}z",
    "2001-02-03",
    "US",
    "+14155550100",
    "m",
    "7{n}",
];

/// A value that a column takes; `{n}` stands for the row's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub kind: u8,
    pub text: String,
}

impl Sample {
    pub fn of(&self, row: usize) -> String {
        self.text.replace("{n}", &format!("{row:06}"))
    }

    /// Whether it tells rows apart.
    pub fn varies(&self) -> bool {
        self.text.contains("{n}")
    }

    /// Whether any text may take its place.
    pub fn is_free_text(&self) -> bool {
        self.kind == cell::TEXT && self.text == TEXTS[0]
    }
}

/// A column that is tried, with the values that are left to try.
pub struct Tried {
    pub name: String,
    pub required: bool,
    pub values: Vec<Sample>,
}

impl Tried {
    pub fn column(&self) -> Column {
        Column {
            source: format!("source of {}", self.name),
            destination: self.name.clone(),
        }
    }

    pub fn sample(&self) -> Sample {
        self.values.first().cloned().unwrap_or(Sample {
            kind: cell::TEXT,
            text: String::new(),
        })
    }
}

pub fn given((name, value): (&String, &Value)) -> Tried {
    let (kind, text) = match value {
        Value::String(text) => (cell::TEXT, text.clone()),
        Value::Bool(_) => (cell::BOOLEAN, value.to_string()),
        Value::Number(number) if number.is_f64() => (cell::DECIMAL, number.to_string()),
        Value::Number(number) => (cell::INTEGER, number.to_string()),
        _ => (cell::JSON, value.to_string()),
    };
    Tried {
        name: name.clone(),
        required: true,
        values: vec![Sample { kind, text }],
    }
}

pub fn guessed(manifest: &Manifest) -> Vec<Tried> {
    let of_field = |field: &Field| Tried {
        name: field.name.clone(),
        required: field.required,
        values: values(field.type_),
    };
    let (required, others): (Vec<_>, Vec<_>) =
        manifest.fields.iter().partition(|field| field.required);
    let mut tried: Vec<_> = required.into_iter().chain(others).map(of_field).collect();
    let kept = tried.iter().filter(|column| column.required).count();
    tried.truncate(kept.max(COLUMNS - 1));
    tried.extend(custom(manifest).map(|name| Tried {
        name,
        required: false,
        values: values(FieldType::Text),
    }));
    tried
}

/// A name of the form of further names.
pub fn custom(manifest: &Manifest) -> Option<String> {
    let segment = |segment: &str| match segment.starts_with('<') {
        true => "note".to_owned(),
        false => segment.to_owned(),
    };
    let form = manifest.custom_fields.as_ref()?;
    let segments: Vec<_> = form.split('.').map(segment).collect();
    Some(segments.join("."))
}

fn values(kind: FieldType) -> Vec<Sample> {
    let sample = |kind: u8, text: &str| Sample {
        kind,
        text: text.to_owned(),
    };
    let text = |text: &&str| sample(cell::TEXT, text);
    match kind {
        FieldType::Text => TEXTS.iter().map(text).collect(),
        FieldType::Integer => vec![
            sample(cell::INTEGER, "7{n}"),
            sample(cell::INTEGER, "7"),
            sample(cell::INTEGER, "1990"),
        ],
        FieldType::Decimal => vec![sample(cell::DECIMAL, "1.5"), sample(cell::DECIMAL, "0.5")],
        FieldType::Boolean => vec![sample(cell::BOOLEAN, "true")],
        FieldType::Date => vec![text(&"2001-02-03"), text(&"2001-02-03T04:05:06Z")],
        FieldType::Timestamp => vec![text(&"2001-02-03T04:05:06Z"), text(&"2001-02-03")],
        FieldType::Json => vec![sample(cell::JSON, "[\"mk{n}z\"]"), sample(cell::JSON, "{}")],
    }
}

/// Leaves columns out that the plugin finds fault with; whether there was one.
pub fn without(tried: &mut Vec<Tried>, places: &[&Place]) -> bool {
    let before = tried.len();
    let at_fault = |index: usize| {
        let index = u32::try_from(index).ok();
        places
            .iter()
            .any(|place| matches!(place, Place::Column(column) if Some(*column) == index))
    };
    let mut index = 0;
    tried.retain(|column| {
        let out = at_fault(index) && !column.required;
        index += 1;
        !out
    });
    before != tried.len()
}

/// Tries another value for a field, or does without it; whether there is anything left to try.
pub fn other_value(tried: &mut Vec<Tried>, field: Option<&str>) -> bool {
    let at_fault = |column: &Tried| field.is_none_or(|field| column.name == field);
    if let Some(column) = tried
        .iter_mut()
        .find(|column| at_fault(column) && column.values.len() > 1)
    {
        column.values.remove(0);
        return true;
    }
    match tried
        .iter()
        .rposition(|column| at_fault(column) && !column.required)
    {
        Some(index) => {
            tried.remove(index);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_rows_own_where_it_varies() {
        let sample = Sample {
            kind: cell::TEXT,
            text: TEXTS[1].to_owned(),
        };
        assert_eq!(sample.of(7), "mk000007z@example.com");
        assert!(sample.varies() && !sample.is_free_text());
    }

    #[test]
    fn what_is_at_fault_is_tried_otherwise_or_left_out() {
        let column = |name: &str, required, count| Tried {
            name: name.to_owned(),
            required,
            values: values(FieldType::Text)[..count].to_vec(),
        };
        let mut tried = vec![column("id", true, 2), column("note", false, 1)];
        assert!(other_value(&mut tried, Some("id")));
        assert_eq!(tried[0].values.len(), 1);
        assert!(!other_value(&mut tried, Some("id")), "it is required");
        assert!(other_value(&mut tried, None), "perhaps it is the other");
        assert_eq!(tried.len(), 1);

        let mut tried = vec![column("id", true, 1), column("note", false, 1)];
        assert!(without(&mut tried, &[&Place::Column(0), &Place::Column(1)]));
        assert_eq!(tried.len(), 1);
        assert!(!without(&mut tried, &[&Place::Mapping]));
    }
}
