//! The body of a live request: one user as JSON.

use sluice_guest::http;

use crate::mapping::{Key, Plan, Target};
use crate::options::{FlagsIn, Nulls, Options};
use crate::value::Value;

/// The request that sends a user. `values` are those of the plan's targets.
pub fn request(plan: &Plan, options: &Options, values: &[Value<'_>]) -> http::Request {
    http::Request {
        method: options.users_method.as_str().to_owned(),
        path: options.users_path.clone(),
        query: options.query(true),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
        ],
        body: http::Body::Bytes(body(plan, options, values).into_bytes()),
        extra: Vec::new(),
    }
}

/// A user: plain fields in the order of the mapping, then the custom attributes by group, then
/// the flags.
pub fn body(plan: &Plan, options: &Options, values: &[Value<'_>]) -> String {
    let sent = |value: &Value<'_>| match value {
        Value::Nothing => false,
        Value::Null => options.nulls == Nulls::Clear,
        Value::Text(_) | Value::Number(_) | Value::Boolean(_) => true,
    };
    let pairs: Vec<(&Target, &Value<'_>)> = plan
        .targets
        .iter()
        .zip(values)
        .filter(|(_, value)| sent(value))
        .collect();

    let mut user = Object::default();
    for (target, value) in &pairs {
        if let Key::Plain(key) = &target.key {
            user.value(key, value);
        }
    }
    let mut attributes = Object::default();
    for (group, _) in &plan.groups {
        let mut members = Object::default();
        for (target, value) in &pairs {
            if let Key::Custom { group: of, name } = &target.key
                && of == group
            {
                members.value(name, value);
            }
        }
        attributes.object(group, members);
    }
    user.object("custom_attributes", attributes);
    if options.flags_in == FlagsIn::Body {
        for (name, on) in options.flags(true) {
            user.value(name, &Value::Boolean(on));
        }
    }
    user.finish()
}

/// A JSON object that keeps the order in which it is written.
#[derive(Default)]
struct Object {
    text: String,
}

impl Object {
    fn key(&mut self, key: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        push_text(&mut self.text, key);
        self.text.push(':');
    }

    fn value(&mut self, key: &str, value: &Value<'_>) {
        self.key(key);
        match value {
            Value::Nothing | Value::Null => self.text.push_str("null"),
            Value::Text(text) => push_text(&mut self.text, text),
            Value::Number(_) | Value::Boolean(_) => self.text.push_str(value.as_text()),
        }
    }

    /// Adds an object, unless it is empty.
    fn object(&mut self, key: &str, object: Self) {
        if !object.text.is_empty() {
            self.key(key);
            self.text.push_str(&object.finish());
        }
    }

    fn finish(mut self) -> String {
        self.text
            .push_str(if self.text.is_empty() { "{}" } else { "}" });
        self.text
    }
}

/// Appends a text as a JSON string.
fn push_text(out: &mut String, text: &str) {
    // Writing a text into memory can not fail; if it did, an empty text keeps the JSON whole.
    out.push_str(serde_json::to_string(text).as_deref().unwrap_or("\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{awkward, batch_of, golden, session};
    use crate::row;
    use proptest::prelude::*;
    use sluice_guest::{Change, Rows};

    #[test]
    fn users_become_the_golden_bodies_under_every_option_that_shapes_them() {
        let (names, rows) = awkward();
        let mut text = String::new();
        for options in [
            "{}",
            r#"{"nulls": "clear", "invalid_values": "omit"}"#,
            r#"{"exit": "attribute", "welcome_mail": true, "merge": true, "arrays": "first"}"#,
            r#"{"flags_in": "none", "accepts_marketing_key": "opt_in", "arrays": "json"}"#,
            r#"{"flags_in": "query", "merge": true, "users_method": "PATCH", "users_path": "/v/users"}"#,
        ] {
            text += &format!("## {options}\n");
            let session = session(&names, options);
            for change in [Change::Entered, Change::Exited] {
                let batch = batch_of(change, &rows);
                let mut values = Vec::new();
                for row in Rows::new(&batch, names.len()).iter() {
                    if change == Change::Exited && row.index > 0 {
                        break;
                    }
                    text += &format!("{} {change:?}: ", row.index);
                    match row::read(row, &session.plan, &session.options, &mut values) {
                        Ok(()) => {
                            let request = request(&session.plan, &session.options, &values);
                            let http::Body::Bytes(body) = &request.body else {
                                panic!()
                            };
                            let body = str::from_utf8(body).unwrap();
                            serde_json::from_str::<serde_json::Value>(body).unwrap();
                            let query: Vec<_> = request
                                .query
                                .iter()
                                .map(|(k, v)| format!("{k}={v}"))
                                .collect();
                            text += &format!(
                                "{} {}?{} {body}\n",
                                request.method,
                                request.path,
                                query.join("&")
                            );
                        }
                        Err(refusal) => text += &format!("rejected: {}\n", refusal.reason),
                    }
                }
            }
        }
        golden("users.txt", text.as_bytes());
    }

    proptest! {
        #[test]
        fn every_text_survives_the_way_through_json(text in any::<String>()) {
            let mut json = String::new();
            push_text(&mut json, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
