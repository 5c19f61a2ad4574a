//! What a plugin is tried with: settings that it accepts, and rows that are fine. The manifest says
//! what may be mapped; what values a field takes is found out by trying.

use serde_json::{Map, Value};

use crate::capability::http::{Endpoint, Policy};
use crate::plugin::CallError;
use crate::plugin::flat::{Kind, Rows};
use crate::plugin::types::{Manifest, Problem, Rejection, Settings};

use super::answers::{Good, mentions};
use super::author::{Author, Exits, Table, Without};
use super::bench::Bench;
use super::report::{Amiss, broken};
use super::tried::{Sample, Tried, given, guessed, other_value, without};

/// How often another mapping or value is tried.
const TRIES: usize = 400;

/// What was found to work.
pub struct Subject {
    pub settings: Settings,
    pub policy: Policy,
    pub samples: Vec<Sample>,
    /// A column whose value tells rows apart and stands in requests as it is.
    pub key: Option<usize>,
    /// Another such column, which is part of no identity.
    pub payload: Option<usize>,
    /// How the staged file is written, where the author has said it.
    pub table: Option<Table>,
    /// What becomes of exits.
    pub exits: Exits,
    /// Whether there are import jobs.
    pub imports: bool,
    /// Whether there is a credential that could be refused.
    pub authenticates: bool,
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
            table: author.stage,
            exits: author.exits,
            imports: !author.is_without(Without::Import),
            authenticates: authenticates(manifest, author),
        };
        let went_on = match bench.open(&subject.settings).await {
            Err(CallError::Problem(Problem::InvalidSettings(findings))) => {
                let all: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
                said = all.join("; ");
                let places: Vec<_> = findings.iter().map(|f| &f.place).collect();
                without(&mut tried, &places)
            }
            Err(error) => return broken(error.to_string()),
            Ok(()) => match plain_row(bench, &subject, good).await {
                Ok(None) => {
                    columns_that_show(bench, &mut subject, good).await;
                    return Ok(subject);
                }
                Ok(Some(rejection)) => {
                    said = format!("a plain row was rejected: {}", rejection.reason);
                    other_value(&mut tried, rejection.field.as_deref())
                }
                Err(error) => return broken(error.to_string()),
            },
        };
        if !went_on {
            break;
        }
    }
    broken(format!(
        "no mapping was accepted; the last one ended with: {said}"
    ))
}

/// What the plugin has against a row whose values are to be fine, if anything.
async fn plain_row(
    bench: &Bench,
    subject: &Subject,
    good: &Good,
) -> Result<Option<Rejection>, CallError> {
    let rejected = match subject.imports {
        true => {
            let row = subject.rows([1], Kind::Scan);
            let staged = bench.stage(&subject.settings, &row, 1).await;
            staged.answer?.rejected
        }
        false => {
            let row = subject.rows([1], Kind::Update);
            let script = good.delivered.script();
            let called = bench.deliver(&subject.settings, &subject.policy, &row, script);
            called.await.answer?.rejected
        }
    };
    Ok(rejected.into_iter().next())
}

/// Whether the way to authorize that is the default has anything that could be refused.
fn authenticates(manifest: &Manifest, author: &Author) -> bool {
    let method = manifest.auth_methods.first();
    let asks = method.is_some_and(|method| !method.credentials.is_empty());
    asks && !author.is_without(Without::Authentication)
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

/// Finds the columns whose values stand in requests as they are.
async fn columns_that_show(bench: &Bench, subject: &mut Subject, good: &Good) {
    let rows = subject.rows([1], Kind::Update);
    let script = good.delivered.script();
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
async fn is_of_identity(bench: &Bench, subject: &Subject, column: usize) -> bool {
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
