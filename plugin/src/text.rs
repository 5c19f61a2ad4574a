//! The text of a cell, arrays and maps included.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sluice_guest::{Cell, Kind};

use crate::options::{Arrays, Maps, Options};

/// The trimmed text of a cell; empty where there is no value. The error is the rule that it breaks.
pub fn of<'a>(cell: Cell<'a>, options: &Options) -> Result<Cow<'a, str>, &'static str> {
    let text = trim(cell.text);
    match (cell.kind, text.as_bytes().first()) {
        (Kind::Json, Some(b'[')) => array(text, options),
        (Kind::Json, Some(b'{')) if options.maps == Maps::Reject => {
            Err("is a map, and `maps` is set to \"reject\"")
        }
        (Kind::Json, Some(_)) => raw(text).map(element),
        _ => Ok(Cow::Borrowed(text)),
    }
}

/// `str::trim`, but quick about the many texts that have nothing to trim.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

fn raw(text: &str) -> Result<&RawValue, &'static str> {
    serde_json::from_str(text).map_err(|_| "is not valid JSON")
}

fn array<'a>(text: &'a str, options: &Options) -> Result<Cow<'a, str>, &'static str> {
    match options.arrays {
        Arrays::Reject => return Err("is an array, and `arrays` is set to \"reject\""),
        Arrays::Json => return raw(text).map(|raw| Cow::Borrowed(raw.get())),
        Arrays::Join | Arrays::First => {}
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "is not valid JSON")?;
    let mut elements = elements
        .into_iter()
        .filter(|raw| raw.get() != "null")
        .map(element);
    let Some(first) = elements.next() else {
        return Ok(Cow::Borrowed(""));
    };
    let joined = match options.arrays {
        Arrays::First => first,
        _ => elements.fold(first, |mut joined, element| {
            let all = joined.to_mut();
            all.push_str(&options.array_separator);
            all.push_str(&element);
            joined
        }),
    };
    Ok(match joined.trim().len() {
        trimmed if trimmed == joined.len() => joined,
        _ => Cow::Owned(joined.trim().to_owned()),
    })
}

/// A text as it stands, null as nothing, anything else as its JSON text.
fn element(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => match serde_json::from_str::<String>(text) {
            Ok(text) => Cow::Owned(text),
            // Only where an escape names half a character.
            Err(_) => Cow::Borrowed(text),
        },
        text => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, options: &Options) -> Result<String, &'static str> {
        of(
            Cell {
                kind: Kind::Json,
                text,
            },
            options,
        )
        .map(Cow::into_owned)
    }

    #[test]
    fn arrays_follow_the_option() {
        for (arrays, text, expected) in [
            (
                Arrays::Join,
                r#"["a", "b c", 3, true, null, 1.50]"#,
                Ok("a, b c, 3, true, 1.50"),
            ),
            (Arrays::Join, "[]", Ok("")),
            (Arrays::Join, "[null]", Ok("")),
            (Arrays::Join, r#"["only"]"#, Ok("only")),
            (Arrays::Join, r#"[" padded "]"#, Ok("padded")),
            (
                Arrays::Join,
                r#"[{"k": [1]}, ["x"]]"#,
                Ok(r#"{"k": [1]}, ["x"]"#),
            ),
            (Arrays::Join, r#"["\u00e9\n"]"#, Ok("é")),
            (
                Arrays::Join,
                "[12345678901234567890123]",
                Ok("12345678901234567890123"),
            ),
            (Arrays::Join, "[1,", Err("is not valid JSON")),
            (Arrays::Json, r#" ["a", null] "#, Ok(r#"["a", null]"#)),
            (Arrays::Json, "[1] 2", Err("is not valid JSON")),
            (Arrays::First, r#"[null, "b", "c"]"#, Ok("b")),
            (Arrays::First, "[[1],2]", Ok("[1]")),
            (Arrays::First, "[]", Ok("")),
            (
                Arrays::Reject,
                "[]",
                Err("is an array, and `arrays` is set to \"reject\""),
            ),
        ] {
            let options = Options {
                arrays,
                ..Options::default()
            };
            assert_eq!(
                read(text, &options),
                expected.map(str::to_owned),
                "{arrays:?} {text}"
            );
        }
        let options = Options {
            array_separator: "|".to_owned(),
            ..Options::default()
        };
        assert_eq!(read(r#"["a","b"]"#, &options), Ok("a|b".to_owned()));
    }

    #[test]
    fn maps_follow_the_option() {
        for (maps, text, expected) in [
            (Maps::Json, r#"{"b": 1, "a": 2}"#, Ok(r#"{"b": 1, "a": 2}"#)),
            (Maps::Json, "{]", Err("is not valid JSON")),
            (
                Maps::Reject,
                "{}",
                Err("is a map, and `maps` is set to \"reject\""),
            ),
        ] {
            let options = Options {
                maps,
                ..Options::default()
            };
            assert_eq!(
                read(text, &options),
                expected.map(str::to_owned),
                "{maps:?} {text}"
            );
        }
    }

    #[test]
    fn odd_json_cells_are_read_or_refused_but_never_panic() {
        let options = Options::default();
        for (text, expected) in [
            ("", Ok("")),
            ("null", Ok("")),
            ("\"text\"", Ok("text")),
            ("12", Ok("12")),
            ("nonsense", Err("is not valid JSON")),
            ("\"\\ud800\"", Ok("\"\\ud800\"")),
        ] {
            assert_eq!(read(text, &options), expected.map(str::to_owned), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&deep, &options).is_ok());
    }
}
