//! What the account holds against what it must hold.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

use crate::Expected;
use crate::rules::Datum;

/// So many differences are shown; the rest is counted.
const SHOWN: usize = 10;

/// Field values are shown here: this is a test's tool, and its members are invented.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    pub expected: u64,
    pub found: u64,
    pub missing: u64,
    pub extra: u64,
    pub differing: u64,
    /// The first of them, in words.
    pub examples: Vec<String>,
}

impl Comparison {
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.differing == 0
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < SHOWN {
            self.examples.push(text());
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} users expected, {} found: {} missing, {} extra, {} differing",
            self.expected, self.found, self.missing, self.extra, self.differing
        )?;
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        Ok(())
    }
}

impl Expected {
    /// Compares with users as the simulator shows them.
    pub fn compare(&self, users: impl IntoIterator<Item = Value>) -> Comparison {
        let mut result = Comparison {
            expected: self.counts().users,
            ..Comparison::default()
        };
        let mut seen = HashSet::new();
        for user in users {
            result.found += 1;
            let text = |field: &str| user.get(field).and_then(Value::as_str);
            let slot = self.find(text("record_id"), text("email"));
            let Some(slot) = slot.filter(|slot| seen.insert(*slot)) else {
                result.extra += 1;
                result.example(|| format!("extra: {user}"));
                continue;
            };
            let differences = differences(self.at(slot), &user);
            if !differences.is_empty() {
                result.differing += 1;
                let id = text("record_id").or(text("email")).unwrap_or_default();
                result.example(|| format!("{id}: {}", differences.join("; ")));
            }
        }
        for slot in self.slots().filter(|slot| !seen.contains(slot)) {
            result.missing += 1;
            result.example(|| format!("missing: {:?}", self.at(slot)));
        }
        result
    }
}

fn differences(expected: &[(&str, Datum)], user: &Value) -> Vec<String> {
    let found = flat(user);
    let mut differences = Vec::new();
    for (field, wanted) in expected {
        let value = found.iter().find(|(name, _)| name == field);
        let same = match (wanted, value.map(|(_, value)| *value)) {
            (Datum::Text(text), Some(Value::String(found))) => **text == **found,
            (Datum::Number(number), Some(found)) => found.as_f64() == Some(*number),
            (Datum::Bool(wanted), Some(found)) => found.as_bool() == Some(*wanted),
            _ => false,
        };
        if !same {
            let value = value.map_or_else(|| "nothing".into(), |(_, value)| value.to_string());
            differences.push(format!("{field}: expected {wanted:?}, found {value}"));
        }
    }
    for (name, value) in &found {
        if !expected.iter().any(|(field, _)| field == name) {
            differences.push(format!("{name}: expected nothing, found {value}"));
        }
    }
    if user.get("unsubscribed").and_then(Value::as_bool) == Some(true) {
        differences.push("unsubscribed: nobody must be".into());
    }
    differences
}

/// The user's fields, custom attributes by their whole names, without what only the account knows.
fn flat(user: &Value) -> Vec<(String, &Value)> {
    let mut flat = Vec::with_capacity(20);
    for (name, value) in user.as_object().into_iter().flatten() {
        match name.as_str() {
            "id" | "source" | "welcomed" | "unsubscribed" => {}
            "custom_attributes" => {
                for (group, attributes) in value.as_object().into_iter().flatten() {
                    for (key, value) in attributes.as_object().into_iter().flatten() {
                        flat.push((format!("{name}.{group}.{key}"), value));
                    }
                }
            }
            _ if value.is_null() => {}
            _ => flat.push((name.clone(), value)),
        }
    }
    flat
}
