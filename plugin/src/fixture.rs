//! What tests of several modules need.

use std::path::Path;

use sluice_guest::http::Response;
use sluice_guest::{Batch, Change, Column, Kind, Settings};

use crate::session::Session;

/// A batch of scanned rows, given as kinds and texts of cells.
pub fn batch(rows: &[Vec<(Kind, &str)>]) -> Batch {
    batch_of(Change::Scanned, rows)
}

/// A batch of rows that all changed alike.
pub fn batch_of(change: Change, rows: &[Vec<(Kind, &str)>]) -> Batch {
    let mut batch = Batch {
        rows: rows.len() as u32,
        cells: String::new(),
        ends: Vec::new(),
        kinds: Vec::new(),
        changes: vec![change as u8; rows.len()],
        extra: Vec::new(),
    };
    for (kind, text) in rows.iter().flatten() {
        batch.cells += text;
        batch.ends.push(batch.cells.len() as u32);
        batch.kinds.push(*kind as u8);
    }
    batch
}

/// Settings that map each name from a source of the same name.
pub fn settings(names: &[&str], options: &str) -> Settings {
    let column = |name: &&str| Column {
        source: (*name).into(),
        destination: (*name).into(),
    };
    Settings {
        columns: names.iter().map(column).collect(),
        options: options.to_owned(),
        extra: Vec::new(),
    }
}

/// A session under these options, `import_type` added.
pub fn session(names: &[&str], options: &str) -> Session {
    let mut options: serde_json::Value = serde_json::from_str(options).unwrap();
    options["import_type"] = "sluice".into();
    Session::open(&settings(names, &options.to_string())).unwrap()
}

/// An answer.
pub fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
    Response {
        status,
        headers: headers
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        body: body.to_vec(),
        extra: Vec::new(),
    }
}

/// The cells of a row: kinds and texts.
pub type Cells = Vec<(Kind, &'static str)>;

/// A mapping and rows that meet every rule and break most of them.
pub fn awkward() -> (Vec<&'static str>, Vec<Cells>) {
    use Kind::{Absent, Boolean, Decimal, Integer, Json, Null, Text, Timestamp};
    let names = vec![
        "record_id",
        "full_name",
        "email",
        "country",
        "custom_attributes.resci.credits",
        "birthday",
        "full_name",
        "gender",
        "accepts_marketing",
        "custom_attributes.crm.tags",
        "birth_year",
        "custom_attributes.resci.note",
    ];
    // A row that is right everywhere; each of the others differs from it in some cells.
    let plain: Cells = vec![
        (Text, "C-1"),
        (Text, "Ann"),
        (Text, "Ann@Example.com"),
        (Text, "usa"),
        (Integer, "1000"),
        (Text, "1985-03-09"),
        (Text, "Example"),
        (Text, "Female"),
        (Boolean, "true"),
        (Json, r#"["vip","new, hot"]"#),
        (Text, "1985"),
        (Text, "likes tea"),
    ];
    let row = |cells: &[(usize, Kind, &'static str)]| {
        let mut row = plain.clone();
        for &(column, kind, text) in cells {
            row[column] = (kind, text);
        }
        row
    };
    let rows = vec![
        plain.clone(),
        // Quotes, separators, line ends, spaces around, other scripts.
        row(&[
            (0, Integer, "42"),
            (1, Text, "  \"Quoted\", "),
            (6, Text, "O'Neil\r\nJr."),
            (2, Text, " jörg@müller.de\t"),
            (3, Text, "Great Britain"),
            (4, Decimal, "-0.50"),
            (5, Timestamp, "1985-03-09T23:59:59-11:00"),
            (11, Text, "茶 \u{1f375} \\ \u{1}"),
        ]),
        // Nothing but an identity.
        row(&[
            (0, Absent, ""),
            (1, Absent, ""),
            (3, Text, "  "),
            (4, Absent, ""),
            (5, Text, ""),
            (6, Text, ""),
            (7, Absent, ""),
            (8, Absent, ""),
            (9, Absent, ""),
            (10, Absent, ""),
            (11, Absent, ""),
        ]),
        // Null everywhere but in the record id.
        row(&[
            (1, Null, ""),
            (2, Null, ""),
            (3, Null, ""),
            (4, Null, ""),
            (5, Null, ""),
            (6, Null, ""),
            (7, Null, ""),
            (8, Null, ""),
            (9, Null, ""),
            (10, Null, ""),
            (11, Null, ""),
        ]),
        // Half of a name is null, half absent: the name stays as it is.
        row(&[
            (1, Null, ""),
            (6, Absent, ""),
            (9, Json, r#"{"a": [1, "x,y"]}"#),
            (8, Text, "No"),
        ]),
        // No identity at all, and one that is none.
        row(&[(0, Null, ""), (2, Text, "   ")]),
        row(&[(2, Text, "not an address")]),
        // One broken value each.
        row(&[(3, Text, "Atlantis")]),
        row(&[(5, Text, "09/03/1985")]),
        row(&[(7, Text, "unsaid")]),
        row(&[(8, Integer, "2")]),
        row(&[(9, Json, "[1,")]),
        row(&[(10, Integer, "1066")]),
        // A custom value of each kind.
        row(&[
            (4, Text, "1000"),
            (9, Json, "[null, 2.50, {\"k\":null}]"),
            (11, Boolean, "false"),
        ]),
        row(&[
            (4, Integer, "0012"),
            (9, Json, "[]"),
            (11, Timestamp, "2026-11-23T10:15:00+01:00"),
        ]),
    ];
    (names, rows)
}

/// Compares with a file in `tests/golden`. With `GOLDEN=write` in the environment it writes the
/// file instead, to be read by a person before it is committed.
pub fn golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, bytes).unwrap();
    }
    let expected = std::fs::read(&path).unwrap();
    assert!(
        expected == bytes,
        "{name} differs from the golden file:\n{}",
        String::from_utf8_lossy(bytes)
    );
}
