//! What a row's bytes are, as far as that can be told: a line of JSON, or of a table. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::author::{Quotes, Table};

/// What may stand between two fields, in the order in which it is tried.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// Where no delimiter shows: one that stands in no text, so that only lines are judged.
const NOWHERE: u8 = 0x1f;

/// A text that a table with quotes has to write otherwise.
pub const QUOTED: &str = "\"q\"";

/// The form of a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON value a line.
    Json,
    /// So many fields a line.
    Table {
        delimiter: u8,
        quotes: Quotes,
        width: usize,
    },
}

/// Tells the form by a header and a plain row; `quoted` is a row that holds [`QUOTED`], if there is one.
pub fn form(said: Option<Table>, header: &[u8], row: &[u8], quoted: Option<&[u8]>) -> Option<Form> {
    if let Some(Table { delimiter, quotes }) = said {
        let delimiter = u8::try_from(delimiter).ok()?;
        let width = width(delimiter, quotes, row)?;
        return Some(Form::Table {
            delimiter,
            quotes,
            width,
        });
    }
    // Whatever stands above.
    if matches!(row.first(), Some(b'{' | b'[')) && cells_of_json(row).is_some() {
        return Some(Form::Json);
    }
    let of = |delimiter| {
        let columns = width(delimiter, Quotes::Doubled, row)?;
        let fits = header.is_empty() || width(delimiter, Quotes::Doubled, header) == Some(columns);
        fits.then_some((columns, delimiter))
    };
    let widths = DELIMITERS.into_iter().filter_map(of);
    // Of two that are equally wide the first.
    let (width, delimiter) = widths.rev().max_by_key(|(width, _)| *width)?;
    if width == 1 {
        // One column: nothing shows what would end it. Without a header it may be anything at all.
        let shows = header.iter().any(|byte| DELIMITERS.contains(byte));
        return (!header.is_empty() && !shows).then_some(Form::Table {
            delimiter: NOWHERE,
            quotes: Quotes::Doubled,
            width,
        });
    }
    let twice = QUOTED.replace('"', "\"\"");
    let doubles = |row: &[u8]| memchr::memmem::find(row, twice.as_bytes()).is_some();
    // Of the usual delimiters the tab alone has a form without quotes.
    let quotes = match delimiter == b'\t' && !quoted.is_some_and(doubles) {
        true => Quotes::None,
        false => Quotes::Doubled,
    };
    Some(Form::Table {
        delimiter,
        quotes,
        width,
    })
}

/// The fields of what is one line.
fn width(delimiter: u8, quotes: Quotes, line: &[u8]) -> Option<usize> {
    match &fields(delimiter, quotes, line)?[..] {
        [one] => Some(one.len()),
        _ => None,
    }
}

/// The texts in a row's bytes, or why they are no row of this form.
pub fn texts(form: Form, row: &[u8]) -> Result<Vec<String>, String> {
    match form {
        Form::Json => cells_of_json(row).ok_or_else(|| {
            let ends = row.iter().filter(|&&byte| byte == b'\n').count();
            format!("its bytes are no line of JSON ({ends} line ends)")
        }),
        Form::Table {
            delimiter,
            quotes,
            width,
        } => {
            let records = fields(delimiter, quotes, row).unwrap_or_default();
            match &records[..] {
                [one] if one.len() == width => Ok(meant(quotes, one)),
                [one] => Err(format!("its bytes are {} fields of {width}", one.len())),
                many => Err(format!("its bytes are {} lines of a table", many.len())),
            }
        }
    }
}

/// Where there are no quotes a backslash may stand before what is special, or may be itself.
fn meant(quotes: Quotes, fields: &[String]) -> Vec<String> {
    let mut texts = fields.to_vec();
    if quotes == Quotes::None {
        texts.extend(fields.iter().map(|field| unescaped(field)));
    }
    texts
}

fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    out
}

fn cells_of_json(row: &[u8]) -> Option<Vec<String>> {
    let line = row.strip_suffix(b"\n")?;
    if line.contains(&b'\n') {
        return None;
    }
    texts_of_json(line)
}

/// All texts in a JSON value; `None` if it is none.
pub fn texts_of_json(text: &[u8]) -> Option<Vec<String>> {
    // Piece by piece: a number may be larger than any that we could read, and nesting deeper.
    let mut ahead: Vec<&RawValue> = vec![serde_json::from_slice(text).ok()?];
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

/// The records of a text as a table; `None` if it is none that ends with its last line.
pub fn fields(delimiter: u8, quotes: Quotes, text: &[u8]) -> Option<Vec<Vec<String>>> {
    let whole = text.strip_suffix(b"\n")?;
    if quotes == Quotes::None {
        let lines = std::str::from_utf8(whole).ok()?.split('\n');
        let cut = |line: &str| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            line.split(char::from(delimiter))
                .map(str::to_owned)
                .collect()
        };
        return Some(lines.map(cut).collect());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .double_quote(quotes == Quotes::Doubled)
        .escape((quotes == Quotes::Escaped).then_some(b'\\'))
        .from_reader(text);
    let records = reader.records().collect::<Result<Vec<_>, _>>().ok()?;
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    Some(records.iter().map(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(delimiter: u8, quotes: Quotes, width: usize) -> Form {
        Form::Table {
            delimiter,
            quotes,
            width,
        }
    }

    #[test]
    fn the_form_is_told_by_a_header_and_a_row() {
        let doubled = |delimiter, width| Some(table(delimiter, Quotes::Doubled, width));
        for (header, row, expected) in [
            (&b""[..], &b"{\"a\":\"x\"}\n"[..], Some(Form::Json)),
            (b"", b"[\"x\",1]\n", Some(Form::Json)),
            (b"{\"columns\":[\"a\"]}\n", b"[\"x\"]\n", Some(Form::Json)),
            (b"#\n", b"{\"a\":\"x\"}\n", Some(Form::Json)),
            (b"a,b\n", b"1,2\n", doubled(b',', 2)),
            (b"a;b\r\n", b"1,5;2\r\n", doubled(b';', 2)),
            (b"a|b|c\n", b"1|2|3\n", doubled(b'|', 3)),
            (b"\xef\xbb\xbfa,b\n", b"1,2\n", doubled(b',', 2)),
            (b"", b"1;2;3\n", doubled(b';', 3)),
            (b"a\tb\n", b"1\t2\n", Some(table(b'\t', Quotes::None, 2))),
            (b"a\n", b"1\n", doubled(NOWHERE, 1)),
            (b"", b"1\n", None),
            (b"", b"\x00\x01", None),
            (b"a,b\n", b"1,2,3\n", None),
        ] {
            assert_eq!(
                form(None, header, row, None),
                expected,
                "{header:?} {row:?}"
            );
        }
    }

    #[test]
    fn a_table_of_tabs_has_quotes_where_it_shows_and_any_has_what_the_author_says() {
        let (header, row) = (&b"a\tb\n"[..], &b"1\t2\n"[..]);
        let told = |quoted| form(None, header, row, Some(quoted));
        let with = |quotes| Some(table(b'\t', quotes, 2));
        assert_eq!(told(b"\"\"\"q\"\"\"\t2\n"), with(Quotes::Doubled));
        assert_eq!(told(b"\"q\"\t2\n"), with(Quotes::None));
        let said = Table {
            delimiter: '^',
            quotes: Quotes::Escaped,
        };
        let found = form(Some(said), b"", b"1^2\n", None);
        assert_eq!(found, Some(table(b'^', Quotes::Escaped, 2)));
    }

    #[test]
    fn a_row_that_breaks_out_is_noticed_in_every_form() {
        let csv = table(b',', Quotes::Doubled, 2);
        assert_eq!(
            texts(csv, b"\"a\nb\",\"c\"\"\"\n").unwrap(),
            ["a\nb", "c\""]
        );
        for row in [&b"a,b,c\n"[..], b"a,b\nc,d\n", b"a\n", b"\"a,b\n"] {
            assert!(texts(csv, row).is_err(), "{row:?}");
        }
        let semicolons = table(b';', Quotes::Doubled, 2);
        assert_eq!(texts(semicolons, b"a,b;c\td\n").unwrap(), ["a,b", "c\td"]);
        assert!(texts(semicolons, b"a;b;c\n").is_err());
        let escaped = table(b',', Quotes::Escaped, 2);
        assert_eq!(texts(escaped, b"\"a\\\"b\",c\n").unwrap(), ["a\"b", "c"]);
        let tabs = table(b'\t', Quotes::None, 2);
        let found = texts(tabs, b"\"a\\tb\tc,d\n").unwrap();
        assert!(found.contains(&"\"a\tb".to_owned()), "{found:?}");
        assert!(found.contains(&"\"a\\tb".to_owned()), "{found:?}");
        for row in [&b"a\tb\tc\n"[..], b"a\tb\nc\td\n", b"a\tb"] {
            assert!(texts(tabs, row).is_err(), "{row:?}");
        }
        let one = table(NOWHERE, Quotes::Doubled, 1);
        assert!(texts(one, b"a,b;c\n").is_ok());
        assert!(texts(one, b"a\nb\n").is_err());
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
