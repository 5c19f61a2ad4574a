//! JSON with its names and values changed, in their order. Pure.

use serde_json::{Map, Value};

/// What becomes of each.
pub(super) struct Change<'a> {
    pub name: &'a dyn Fn(&str) -> String,
    pub text: &'a dyn Fn(&str) -> String,
    /// A number, as it is written.
    pub number: &'a dyn Fn(&str) -> String,
    pub boolean: &'a dyn Fn(bool) -> bool,
}

/// A text that is JSON, changed; `None` if it is none, or a bare text or number.
pub(super) fn changed(text: &str, change: &Change<'_>) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Some(apply(value, change).to_string()),
        _ => None,
    }
}

fn apply(value: Value, change: &Change<'_>) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool((change.boolean)(value)),
        Value::Number(number) => {
            let changed = (change.number)(&number.to_string());
            Value::Number(changed.parse().unwrap_or_else(|_| 0.into()))
        }
        Value::String(text) => Value::String((change.text)(&text)),
        Value::Array(items) => items.into_iter().map(|item| apply(item, change)).collect(),
        Value::Object(object) => {
            let pairs = object.into_iter();
            let pairs = pairs.map(|(name, value)| ((change.name)(&name), apply(value, change)));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}
