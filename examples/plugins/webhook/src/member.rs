//! From rows to JSON. Pure: it can be tested without WebAssembly.

use serde::de::IgnoredAny;
use sluice_guest::{Cell, Change, Column, Finding, Kind, Place, Row};

/// The field by which the receiver tells members apart.
pub const KEY: &str = "id";

/// What the mapping makes of a row.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The JSON key of each column.
    names: Vec<String>,
    /// The column that is the key.
    key: usize,
}

/// A row that can not be sent, and the field at fault. Never says the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub &'static str);

impl Plan {
    /// Checks the mapping, and finds everything that is wrong with it.
    pub fn new(columns: &[Column]) -> Result<Self, Vec<Finding>> {
        let mut found = vec![];
        let mut names: Vec<String> = vec![];
        for (index, column) in columns.iter().enumerate() {
            let name = &column.destination;
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let wrong = if name.is_empty() || !name.chars().all(word) {
                "expected letters, digits, `_` and `-`"
            } else if names.contains(name) {
                "it is mapped twice; map each field once"
            } else {
                ""
            };
            if !wrong.is_empty() {
                found.push(Finding {
                    place: Place::Column(index as u32),
                    message: format!("field `{name}`: {wrong}"),
                });
            }
            names.push(name.clone());
        }
        let key = names.iter().position(|name| name == KEY);
        if key.is_none() {
            found.push(Finding {
                place: Place::Mapping,
                message: format!("no source is mapped to `{KEY}`, and the receiver needs it"),
            });
        }
        match (key, found.is_empty()) {
            (Some(key), true) => Ok(Self { names, key }),
            _ => Err(found),
        }
    }

    /// How many columns the mapping has.
    pub fn columns(&self) -> usize {
        self.names.len()
    }

    /// The text that tells the row's member apart.
    pub fn key<'a>(&self, row: &Row<'a>) -> Result<&'a str, Refusal> {
        match row.cell(self.key) {
            cell if cell.text.trim().is_empty() => Err(Refusal("is empty")),
            cell => Ok(cell.text),
        }
    }

    /// Appends the member as a JSON object: what the source did not say is left out, and what it
    /// said is nothing is `null`.
    pub fn write(&self, row: &Row<'_>, out: &mut String) {
        out.push('{');
        let mut first = true;
        for (name, cell) in self.names.iter().zip(row.cells()) {
            if cell.kind == Kind::Absent {
                continue;
            }
            if !first {
                out.push(',');
            }
            first = false;
            text(name, out);
            out.push(':');
            if name == KEY {
                // The receiver compares it: 7 and "7" would be two members.
                text(cell.text, out);
            } else {
                value(cell, out);
            }
        }
        out.push('}');
    }
}

/// The receiver's word for a change.
pub fn word(change: Change) -> &'static str {
    match change {
        Change::Scanned | Change::Updated => "update",
        Change::Entered => "enter",
        Change::Exited => "exit",
    }
}

fn value(cell: Cell<'_>, out: &mut String) {
    match cell.kind {
        Kind::Absent | Kind::Null => out.push_str("null"),
        Kind::Text | Kind::Timestamp => text(cell.text, out),
        // As the source wrote it, however many digits it has: reading it would round it.
        Kind::Integer | Kind::Decimal | Kind::Boolean | Kind::Json => {
            match serde_json::from_str::<IgnoredAny>(cell.text) {
                // In valid JSON a line break is white space, and would end the line of the file.
                Ok(_) => out.push_str(&cell.text.replace(['\n', '\r'], " ")),
                Err(_) => text(cell.text, out),
            }
        }
    }
}

fn text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_guest::{Batch, Rows};

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |name: &&str| Column {
            source: name.to_string(),
            destination: name.to_string(),
        };
        names.iter().map(column).collect()
    }

    #[test]
    fn a_mapping_needs_the_key_and_names_that_are_words() {
        assert!(Plan::new(&columns(&["id", "email"])).is_ok());
        let found = Plan::new(&columns(&["e mail", "a", "a"])).unwrap_err();
        let places: Vec<_> = found.into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, [Place::Column(0), Place::Column(2), Place::Mapping]);
    }

    #[test]
    fn values_are_what_the_source_said() {
        let cells = [
            (3, "7", "\"id\":\"7\""),
            (2, "a \"b\"\n", "\"f1\":\"a \\\"b\\\"\\n\""),
            (3, "123456789012345678901", "\"f2\":123456789012345678901"),
            (0, "", ""),
            (1, "", "\"f4\":null"),
            (7, "{\"a\":\n1}", "\"f5\":{\"a\": 1}"),
            (7, "{broken", "\"f6\":\"{broken\""),
            (99, "new", "\"f7\":\"new\""),
        ];
        let names: Vec<_> = (0..cells.len())
            .map(|n| {
                if n == 0 {
                    KEY.to_owned()
                } else {
                    format!("f{n}")
                }
            })
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let plan = Plan::new(&columns(&names)).unwrap();
        let mut batch = Batch {
            rows: 1,
            cells: String::new(),
            ends: vec![],
            kinds: vec![],
            changes: vec![2],
            extra: vec![],
        };
        for (kind, text, _) in cells {
            batch.cells.push_str(text);
            batch.ends.push(batch.cells.len() as u32);
            batch.kinds.push(kind);
        }
        let mut out = String::new();
        let row = Rows::new(&batch, cells.len()).iter().next().unwrap();
        plan.write(&row, &mut out);
        let wanted: Vec<_> = cells
            .iter()
            .map(|cell| cell.2)
            .filter(|text| !text.is_empty())
            .collect();
        assert_eq!(out, format!("{{{}}}", wanted.join(",")));
    }
}
