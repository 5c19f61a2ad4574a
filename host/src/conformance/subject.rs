//! What a plugin is tried with: settings that it accepts, and rows that are fine. The manifest says
//! what may be mapped; what values a field takes is found out by trying.

use serde_json::{Map, Value};

use crate::capability::http::{Endpoint, Policy};
use crate::plugin::CallError;
use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::{Column, Field, FieldType, Manifest, Place, Problem, Settings};

use super::answers::{Good, always, mentions};
use super::author::Author;
use super::bench::Bench;
use super::report::{Amiss, broken};

/// A mapping of more columns than this shows nothing more.
const COLUMNS: usize = 12;

/// How often another mapping or value is tried.
const TRIES: usize = 400;

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

/// What was found to work.
pub struct Subject {
    pub settings: Settings,
    pub policy: Policy,
    pub samples: Vec<Sample>,
    /// A column whose value tells rows apart and stands in requests as it is.
    pub key: Option<usize>,
    /// Another such column, which is part of no identity.
    pub payload: Option<usize>,
}

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

impl Subject {
    /// A row whose values are fine, but for those that are given: column, kind and text.
    pub fn row(&self, rows: &mut Rows, number: usize, change: Kind, but: &[(usize, u8, &str)]) {
        for (column, sample) in self.samples.iter().enumerate() {
            match but.iter().find(|(other, ..)| *other == column) {
                Some((_, kind, text)) => rows.cell(*kind, text),
                None => rows.cell(sample.kind, &sample.of(number)),
            }
        }
        rows.end_row(change);
    }

    /// Rows of these numbers.
    pub fn rows(&self, numbers: impl IntoIterator<Item = usize>, change: Kind) -> Rows {
        let mut rows = Rows::default();
        for number in numbers {
            self.row(&mut rows, number, change, &[]);
        }
        rows
    }

    /// The text that tells a row from others in requests.
    pub fn marker(&self, number: usize) -> Option<String> {
        self.key.map(|key| self.samples[key].of(number))
    }

    pub fn columns(&self) -> usize {
        self.samples.len()
    }
}

/// Finds settings and values that the plugin accepts.
pub async fn find(bench: &Bench, author: &Author, good: &Good) -> Result<Subject, Amiss> {
    let manifest = bench.manifest();
    let options = options(manifest, author);
    let endpoint = Endpoint::parse(&manifest.endpoint, true)
        .or_else(|_| Endpoint::parse("https://destination.invalid", false));
    let policy = endpoint
        .map_err(|error| Amiss::Broken(error.to_string()))
        .and_then(|endpoint| {
            Policy::new(endpoint, manifest, &options)
                .map_err(|error| Amiss::Broken(format!("with the default options: {error}")))
        })?;
    let mut tried = match author.fields.is_empty() {
        true => guessed(manifest),
        false => author.fields.iter().map(given).collect(),
    };
    let mut said = String::new();
    for _ in 0..TRIES {
        let settings = Settings {
            columns: tried.iter().map(Tried::column).collect(),
            options: Value::Object(options.clone()).to_string(),
            extra: vec![],
        };
        let mut subject = Subject {
            settings,
            policy: policy.clone(),
            samples: tried.iter().map(Tried::sample).collect(),
            key: None,
            payload: None,
        };
        let went_on = match bench.open(&subject.settings).await {
            Err(CallError::Problem(Problem::InvalidSettings(findings))) => {
                let all: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
                said = all.join("; ");
                let places: Vec<_> = findings.iter().map(|f| &f.place).collect();
                without(&mut tried, &places)
            }
            Err(error) => return broken(error.to_string()),
            Ok(()) => {
                let row = subject.rows([1], Kind::Scan);
                let staged = bench.stage(&subject.settings, &row, 1).await;
                match staged.answer {
                    Ok(staged) if staged.rejected.is_empty() => {
                        columns_that_show(bench, &mut subject, good).await;
                        return Ok(subject);
                    }
                    Ok(staged) => {
                        let rejection = &staged.rejected[0];
                        said = format!("a plain row was rejected: {}", rejection.reason);
                        other_value(&mut tried, rejection.field.as_deref())
                    }
                    Err(error) => return broken(error.to_string()),
                }
            }
        };
        if !went_on {
            break;
        }
    }
    broken(format!(
        "no mapping was accepted; the last one ended with: {said}"
    ))
}

/// The author's options, or what the schema requires.
pub fn options(manifest: &Manifest, author: &Author) -> Map<String, Value> {
    let mut options = author.options.clone();
    let schema: Value = serde_json::from_str(&manifest.options_schema).unwrap_or_default();
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if options.contains_key(name) {
            continue;
        }
        let option = &schema["properties"][name];
        let shown = ["default", "const"].iter().find_map(|key| option.get(key));
        let listed = ["enum", "examples"]
            .iter()
            .find_map(|key| option[key].get(0));
        let value = shown.or(listed).cloned();
        let value = value.unwrap_or_else(|| match option["type"].as_str() {
            Some("integer" | "number") => option.get("minimum").cloned().unwrap_or(1.into()),
            Some("boolean") => false.into(),
            Some("array") => Value::Array(vec![]),
            Some("object") => Value::Object(Map::new()),
            _ => "conformance".into(),
        });
        options.insert(name.to_owned(), value);
    }
    options
}

/// A column that is tried, with the values that are left to try.
struct Tried {
    name: String,
    required: bool,
    values: Vec<Sample>,
}

impl Tried {
    fn column(&self) -> Column {
        Column {
            source: format!("source of {}", self.name),
            destination: self.name.clone(),
        }
    }

    fn sample(&self) -> Sample {
        self.values.first().cloned().unwrap_or(Sample {
            kind: cell::TEXT,
            text: String::new(),
        })
    }
}

fn given((name, value): (&String, &Value)) -> Tried {
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

fn guessed(manifest: &Manifest) -> Vec<Tried> {
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
fn without(tried: &mut Vec<Tried>, places: &[&Place]) -> bool {
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
fn other_value(tried: &mut Vec<Tried>, field: Option<&str>) -> bool {
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

/// Finds the columns whose values stand in requests as they are.
async fn columns_that_show(bench: &Bench, subject: &mut Subject, good: &Good) {
    let rows = subject.rows([1], Kind::Update);
    let script = always(Ok(good.delivered.clone()));
    let called = bench
        .deliver(&subject.settings, &subject.policy, &rows, script)
        .await;
    let shows = |column: &usize| {
        let sample = &subject.samples[*column];
        let text = sample.of(1);
        sample.varies()
            && called
                .asked
                .iter()
                .any(|asked| mentions(&asked.request, &text))
    };
    let showing: Vec<usize> = (0..subject.columns()).filter(shows).collect();
    let mut free = vec![];
    for &column in &showing {
        if !is_of_identity(bench, subject, column).await {
            free.push(column);
        }
    }
    subject.key = showing
        .iter()
        .find(|column| !free.contains(column))
        .or(showing.first())
        .copied();
    subject.payload = free
        .into_iter()
        .rfind(|column| Some(*column) != subject.key);
}

/// Whether a column's value is part of what the destination knows a member by.
pub async fn is_of_identity(bench: &Bench, subject: &Subject, column: usize) -> bool {
    let mut identities = vec![];
    for number in [1, 2] {
        let sample = &subject.samples[column];
        let (kind, text) = (sample.kind, sample.of(number));
        let mut rows = Rows::default();
        subject.row(&mut rows, 1, Kind::Scan, &[(column, kind, &text)]);
        let staged = bench.stage(&subject.settings, &rows, 1).await.answer;
        identities.push(staged.map(|staged| staged.identities).ok());
    }
    identities[0] != identities[1]
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
