//! What a row's bytes are, as far as that can be told: a line of JSON, or of CSV. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The form of a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON value a line.
    Json,
    /// So many fields a line.
    Csv(usize),
}

/// Tells the form by a header and a plain row.
pub fn form(header: &[u8], row: &[u8]) -> Option<Form> {
    if header.is_empty() && row.starts_with(b"{") && cells_of_json(row).is_some() {
        return Some(Form::Json);
    }
    let columns = fields(header)?;
    match &fields(row)?[..] {
        [one] if one.len() == columns.first()?.len() => Some(Form::Csv(one.len())),
        _ => None,
    }
    .filter(|_| columns.len() == 1)
}

/// The texts in a row's bytes, or why they are no row of this form.
pub fn texts(form: Form, row: &[u8]) -> Result<Vec<String>, String> {
    match form {
        Form::Json => cells_of_json(row).ok_or_else(|| {
            let ends = row.iter().filter(|&&byte| byte == b'\n').count();
            format!("its bytes are no line of JSON ({ends} line ends)")
        }),
        Form::Csv(width) => {
            let records = fields(row).unwrap_or_default();
            match &records[..] {
                [one] if one.len() == width => Ok(one.clone()),
                [one] => Err(format!("its bytes are {} fields of {width}", one.len())),
                many => Err(format!("its bytes are {} lines of CSV", many.len())),
            }
        }
    }
}

fn cells_of_json(row: &[u8]) -> Option<Vec<String>> {
    let line = row.strip_suffix(b"\n")?;
    if line.contains(&b'\n') {
        return None;
    }
    // Piece by piece: a number may be larger than any that we could read, and nesting deeper.
    let mut ahead: Vec<&RawValue> = vec![serde_json::from_slice(line).ok()?];
    let mut texts = vec![];
    while let Some(value) = ahead.pop() {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => texts.push(serde_json::from_str(text).ok()?),
            Some(b'[') => ahead.extend(serde_json::from_str::<Vec<&RawValue>>(text).ok()?),
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
                ahead.extend(members.into_values());
            }
            _ => {}
        }
    }
    Some(texts)
}

/// The records of a text as CSV; `None` if it is none that ends with its last line.
fn fields(text: &[u8]) -> Option<Vec<Vec<String>>> {
    if !text.ends_with(b"\n") {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text);
    let records = reader.records().collect::<Result<Vec<_>, _>>().ok()?;
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    Some(records.iter().map(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_json_and_csv_are_told_from_others() {
        assert_eq!(form(b"", b"{\"a\":\"x\"}\n"), Some(Form::Json));
        assert_eq!(form(b"a,b\n", b"1,2\n"), Some(Form::Csv(2)));
        assert_eq!(form(b"a\n", b"1\n"), Some(Form::Csv(1)));
        assert_eq!(form(b"", b"\x00\x01"), None);
        assert_eq!(form(b"a,b\n", b"1,2,3\n"), None);
    }

    #[test]
    fn a_row_that_breaks_out_is_noticed() {
        let csv = Form::Csv(2);
        assert_eq!(
            texts(csv, b"\"a\nb\",\"c\"\"\"\n").unwrap(),
            ["a\nb", "c\""]
        );
        for row in [&b"a,b,c\n"[..], b"a,b\nc,d\n", b"a\n", b"\"a,b\n"] {
            assert!(texts(csv, row).is_err(), "{row:?}");
        }
        assert_eq!(
            texts(Form::Json, b"{\"a\":[\"x\"],\"b\":1e400}\n").unwrap(),
            ["x"]
        );
        for row in [
            &b"{\"a\":\"x\n\"}\n"[..],
            b"{}\n{}\n",
            b"{\"a\":\"\"b\"}\n",
            b"{}",
        ] {
            assert!(texts(Form::Json, row).is_err(), "{row:?}");
        }
    }
}
