//! From a line of JSON to the mapped attributes of a member. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::plugin::flat::{Kind, Rows, cell};

/// Mapped attributes by source name, each value as the source wrote it.
pub type Payload = BTreeMap<String, Box<RawValue>>;

/// Why a line is no member. Never holds a value of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub(super) String);

/// Which attributes cross the border, and which tells members apart.
#[derive(Clone, Debug)]
pub struct Projection {
    user_id: Path,
    columns: Vec<Path>,
    /// Names at the top of a member's object -> the wanted values that may lie there.
    wanted: HashMap<String, usize>,
}

/// A source name: itself, or the steps that its dots lead through.
#[derive(Clone, Debug)]
struct Path {
    name: String,
    steps: Vec<String>,
}

/// The mapped values of one member, borrowed from its line.
pub struct Member<'a> {
    /// The value of the user id field, as text.
    pub key: String,
    cells: Vec<Option<Cow<'a, RawValue>>>,
}

impl Projection {
    /// A projection onto these source names, in this order.
    pub fn new(user_id_field: &str, columns: impl IntoIterator<Item = String>) -> Self {
        let path = |name: String| Path {
            steps: name.split('.').map(str::to_owned).collect(),
            name,
        };
        let user_id = path(user_id_field.to_owned());
        let columns: Vec<_> = columns.into_iter().map(path).collect();
        let mut wanted = HashMap::new();
        for path in columns.iter().chain([&user_id]) {
            for name in [&path.name, &path.steps[0]] {
                let next = wanted.len();
                wanted.entry(name.clone()).or_insert(next);
            }
        }
        Self {
            user_id,
            columns,
            wanted,
        }
    }

    /// How many cells a row has.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Reads a member's object.
    pub fn member<'a>(&self, json: &'a str) -> Result<Member<'a>, Unreadable> {
        let found = self.top(json)?;
        let value = |path: &Path| -> Option<Cow<'a, RawValue>> {
            if let Some(raw) = found[self.wanted[&path.name]] {
                return Some(Cow::Borrowed(raw));
            }
            let (first, rest) = path.steps.split_first()?;
            if rest.is_empty() {
                return None;
            }
            let mut at = found[self.wanted[first]]?;
            for step in rest {
                let mut object: HashMap<Cow<'a, str>, &'a RawValue> =
                    serde_json::from_str(at.get()).ok()?;
                at = object.remove(step.as_str())?;
            }
            Some(Cow::Borrowed(at))
        };
        let name = &self.user_id.name;
        let key = match value(&self.user_id).as_deref().map(RawValue::get) {
            None | Some("null" | "\"\"") => {
                return Err(Unreadable(format!(
                    "has no `{name}`, the user id field, or it is empty"
                )));
            }
            Some(raw) => match raw.as_bytes()[0] {
                b'"' => text(raw)?.into_owned(),
                b'-' | b'0'..=b'9' => raw.to_owned(),
                _ => {
                    return Err(Unreadable(format!(
                        "has a `{name}`, the user id field, that is neither text nor a number"
                    )));
                }
            },
        };
        Ok(Member {
            key,
            cells: self.columns.iter().map(value).collect(),
        })
    }

    fn top<'a>(&self, json: &'a str) -> Result<Vec<Option<&'a RawValue>>, Unreadable> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let found = Top(&self.wanted)
            .deserialize(&mut deserializer)
            .map_err(|e| unreadable(&e))?;
        deserializer.end().map_err(|e| unreadable(&e))?;
        Ok(found)
    }

    /// Adds a member as a row.
    pub fn push(
        &self,
        member: &Member<'_>,
        change: Kind,
        rows: &mut Rows,
    ) -> Result<(), Unreadable> {
        for value in &member.cells {
            if let Err(error) = push_cell(value.as_deref(), rows) {
                rows.abandon_row(self.columns.len());
                return Err(error);
            }
        }
        rows.end_row(change);
        Ok(())
    }

    /// The mapped attributes that a member's object has, to be kept.
    pub fn payload(&self, member: &Member<'_>) -> Payload {
        self.columns
            .iter()
            .zip(&member.cells)
            .filter_map(|(path, value)| Some((path.name.clone(), value.clone()?.into_owned())))
            .collect()
    }

    /// Adds attributes that were kept as a row.
    pub fn push_payload(
        &self,
        payload: &str,
        change: Kind,
        rows: &mut Rows,
    ) -> Result<(), Unreadable> {
        let kept: HashMap<Cow<'_, str>, &RawValue> =
            serde_json::from_str(payload).map_err(|e| unreadable(&e))?;
        for path in &self.columns {
            let value = kept.get(path.name.as_str()).copied();
            if let Err(error) = push_cell(value, rows) {
                rows.abandon_row(self.columns.len());
                return Err(error);
            }
        }
        rows.end_row(change);
        Ok(())
    }

    /// A row's attributes as JSON, by source name: what is kept when it cannot be sent.
    pub fn describe(&self, rows: &Rows, row: usize) -> String {
        let mut object = String::from("{");
        let mut said = HashSet::new();
        for (path, (kind, text)) in self.columns.iter().zip(rows.row(row, self.columns.len())) {
            if kind == cell::ABSENT || !said.insert(&path.name) {
                continue;
            }
            if object.len() > 1 {
                object.push(',');
            }
            object.push_str(&quoted(&path.name));
            object.push(':');
            match kind {
                cell::NULL => object.push_str("null"),
                // As the source wrote it: read as a number it might come out as another.
                cell::INTEGER | cell::DECIMAL | cell::BOOLEAN | cell::JSON => object.push_str(text),
                _ => object.push_str(&quoted(text)),
            }
        }
        object.push('}');
        object
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn push_cell(value: Option<&RawValue>, rows: &mut Rows) -> Result<(), Unreadable> {
    let Some(raw) = value.map(RawValue::get) else {
        rows.cell(cell::ABSENT, "");
        return Ok(());
    };
    match raw.as_bytes()[0] {
        b'"' => rows.cell(cell::TEXT, &text(raw)?),
        b'n' => rows.cell(cell::NULL, ""),
        b't' | b'f' => rows.cell(cell::BOOLEAN, raw),
        b'{' | b'[' => rows.cell(cell::JSON, raw),
        _ if raw.bytes().all(|b| b.is_ascii_digit() || b == b'-') => rows.cell(cell::INTEGER, raw),
        _ => rows.cell(cell::DECIMAL, raw),
    }
    Ok(())
}

/// A JSON text without its quotes and escapes.
fn text(raw: &str) -> Result<Cow<'_, str>, Unreadable> {
    let inner = &raw[1..raw.len() - 1];
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw)
        .map(Cow::Owned)
        .map_err(|_| Unreadable("holds a text that is not Unicode".to_owned()))
}

/// What is wrong with a line, without the values that serde would name.
pub(super) fn unreadable(error: &serde_json::Error) -> Unreadable {
    Unreadable(match error.classify() {
        serde_json::error::Category::Data => "is JSON, but not of the expected shape".to_owned(),
        serde_json::error::Category::Eof => "is no JSON: it ends too early".to_owned(),
        _ => format!("is no JSON (column {})", error.column()),
    })
}

/// Picks the wanted names out of an object and passes over the rest.
struct Top<'w>(&'w HashMap<String, usize>);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.0.len()];
        while let Some(key) = map.next_key_seed(Key)? {
            match self.0.get(key.as_ref()) {
                Some(&index) => found[index] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// An object's key, borrowed where it holds no escape.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projection() -> Projection {
        let columns = ["mail", "address.city", "n", "tags", "vip", "a.b"];
        Projection::new("id", columns.map(str::to_owned))
    }

    fn cells(json: &str) -> Result<(String, Vec<(u8, String)>), Unreadable> {
        let projection = projection();
        let member = projection.member(json)?;
        let mut rows = Rows::default();
        projection.push(&member, Kind::Scan, &mut rows)?;
        let cells = rows
            .row(0, 6)
            .map(|(kind, text)| (kind, text.to_owned()))
            .collect();
        Ok((member.key, cells))
    }

    #[test]
    fn mapped_values_become_cells_of_their_kind() {
        let json = r#"{"id":7,"x":[1,{"mail":"no"}],"mail":"a\u00e9\n","address":{"city":"Köln"},
            "n":-12,"tags":["a", 1],"vip":null,"a.b":1.5}"#;
        let (key, cells) = cells(json).unwrap();
        assert_eq!(key, "7");
        let expected = [
            (cell::TEXT, "aé\n"),
            (cell::TEXT, "Köln"),
            (cell::INTEGER, "-12"),
            (cell::JSON, r#"["a", 1]"#),
            (cell::NULL, ""),
            (cell::DECIMAL, "1.5"),
        ];
        assert!(
            cells.iter().map(|(k, t)| (*k, t.as_str())).eq(expected),
            "{cells:?}"
        );
    }

    #[test]
    fn what_is_missing_is_absent() {
        let (key, cells) = cells(r#"{"id":"u","address":{"zip":1},"a":{"b":true}}"#).unwrap();
        assert_eq!(key, "u");
        let kinds: Vec<_> = cells.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [0, 0, 0, 0, 0, cell::BOOLEAN]);
    }

    #[test]
    fn a_line_that_is_no_member_says_why_and_shows_no_value() {
        for (json, says) in [
            ("", "ends too early"),
            ("secret", "is no JSON (column 1)"),
            ("[\"secret\"]", "not of the expected shape"),
            ("{\"mail\":\"secret\"}", "has no `id`"),
            ("{\"id\":null}", "has no `id`"),
            ("{\"id\":[\"secret\"]}", "neither text nor a number"),
            ("{\"id\":1,\"mail\":\"secret\\ud800\"}", "not Unicode"),
            ("{\"id\":1} {\"secret\":1}", "is no JSON"),
        ] {
            let error = cells(json).unwrap_err().to_string();
            assert!(
                error.contains(says) && !error.contains("secret"),
                "{json}: {error}"
            );
        }
    }

    #[test]
    fn what_is_set_apart_is_kept_as_it_was_written() {
        let json =
            r#"{"id":1,"mail":"a\u00e9","n":123456789012345678901,"tags":[1.50, 2],"a.b":1e400}"#;
        let projection = projection();
        let member = projection.member(json).unwrap();
        let mut rows = Rows::default();
        projection.push(&member, Kind::Scan, &mut rows).unwrap();
        assert_eq!(
            projection.describe(&rows, 0),
            r#"{"mail":"aé","n":123456789012345678901,"tags":[1.50, 2],"a.b":1e400}"#
        );
    }

    #[test]
    fn what_is_kept_gives_the_same_row() {
        let json =
            r#"{"id":1,"mail":"x","address":{"city":"y"},"n":123456789012345678901,"a.b":1e400}"#;
        let projection = projection();
        let member = projection.member(json).unwrap();
        let (mut direct, mut kept) = (Rows::default(), Rows::default());
        projection.push(&member, Kind::Enter, &mut direct).unwrap();
        let payload = serde_json::to_string(&projection.payload(&member)).unwrap();
        projection
            .push_payload(&payload, Kind::Enter, &mut kept)
            .unwrap();
        assert_eq!(direct, kept);
    }
}
