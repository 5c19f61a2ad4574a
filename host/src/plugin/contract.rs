//! The promises that a component makes with its answers, checked before anything relies on them.
//! Pure. Every reason names the promise, never a value.

use super::tidy::plain;
use super::types::{Delivery, Manifest, Rejection, Staged};

/// A job token is kept in the store and handed back: as long as a long URL, no longer.
pub const TOKEN_LIMIT_BYTES: usize = 4096;

pub(super) fn manifest(manifest: &Manifest) -> Result<(), String> {
    let simple = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if manifest.name.is_empty() || !manifest.name.chars().all(simple) {
        return Err("`name` must be lower-case letters, digits and `-`".to_owned());
    }
    if manifest.auth_methods.is_empty() {
        return Err("`auth-methods` must hold at least one".to_owned());
    }
    if manifest.routes.is_empty() {
        return Err("`routes` must hold at least one".to_owned());
    }
    if !shown(manifest).all(|text| text.chars().all(plain)) {
        return Err(
            "no text may hold a line break, another control character, or one that turns letters around"
                .to_owned(),
        );
    }
    let schema: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&manifest.options_schema)
            .map_err(|error| format!("`options-schema` must be a JSON object: {error}"))?;
    if !schema.iter().all(|(key, value)| tame(key) && texts(value)) {
        return Err(
            "no text in `options-schema` may hold a control character or one that turns letters around"
                .to_owned(),
        );
    }
    references(&schema)
}

/// What is printed for the operator, where an escape sequence could forge what stands around it.
fn shown(manifest: &Manifest) -> impl Iterator<Item = &String> {
    let own = [
        &manifest.name,
        &manifest.version,
        &manifest.description,
        &manifest.endpoint,
    ];
    let methods = manifest.auth_methods.iter().flat_map(|method| {
        let credentials = method.credentials.iter();
        let credentials = credentials.flat_map(|c| [&c.id, &c.label, &c.description]);
        let headers = method.headers.iter();
        let headers = headers.flat_map(|(name, template)| [name, template]);
        [&method.id, &method.label]
            .into_iter()
            .chain(credentials)
            .chain(headers)
    });
    let routes = manifest.routes.iter();
    let fields = manifest.fields.iter();
    own.into_iter()
        .chain(methods)
        .chain(routes.flat_map(|r| [&r.method, &r.path, &r.purpose]))
        .chain(fields.flat_map(|f| [&f.name, &f.format, &f.description]))
        .chain(&manifest.custom_fields)
        .chain(manifest.extra.iter().flat_map(|(key, text)| [key, text]))
}

/// Descriptions in a schema may have several lines, which are shown one by one.
fn tame(text: &str) -> bool {
    text.chars().all(|c| plain(c) || matches!(c, '\n' | '\t'))
}

/// Whether every text of a value is tame.
fn texts(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    let mut ahead = vec![value];
    while let Some(value) = ahead.pop() {
        match value {
            Value::String(text) if !tame(text) => return false,
            Value::Object(object) => {
                if !object.keys().all(|key| tame(key)) {
                    return false;
                }
                ahead.extend(object.values());
            }
            Value::Array(items) => ahead.extend(items),
            _ => {}
        }
    }
    true
}

/// A schema that points at parts of itself can stand for one that is exponentially larger, or has no
/// end; and the host judges by it outside of every budget.
fn references(schema: &serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
    use serde_json::Value;
    for (key, value) in schema {
        if matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") {
            return Err(format!("`options-schema` may not use `{key}`"));
        }
        let mut ahead = vec![value];
        while let Some(value) = ahead.pop() {
            match value {
                Value::Object(object) => references(object)?,
                Value::Array(items) => ahead.extend(items),
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) fn token(token: &str) -> Result<(), String> {
    match token.len() {
        0 => Err("the job token is empty".to_owned()),
        n if n > TOKEN_LIMIT_BYTES => Err(format!(
            "the job token has {n} bytes; at most {TOKEN_LIMIT_BYTES} are kept"
        )),
        // It stands in receipts, where people read it.
        _ if !token.chars().all(plain) => Err(
            "the job token holds a control character, or one that turns letters around".to_owned(),
        ),
        _ => Ok(()),
    }
}

pub(super) fn staged(staged: &Staged, rows: usize) -> Result<(), String> {
    if staged.ends.len() != rows {
        return Err(format!(
            "`ends` holds {} offsets for {rows} rows",
            staged.ends.len()
        ));
    }
    let ascending = std::iter::once(&staged.start)
        .chain(&staged.ends)
        .is_sorted();
    let last = staged.ends.last().copied().unwrap_or(staged.start) as usize;
    if !ascending || last != staged.bytes.len() {
        return Err("`start` and `ends` must ascend to the length of `bytes`".to_owned());
    }
    rejections(&staged.rejected, rows)?;
    for rejection in &staged.rejected {
        let row = rejection.row as usize;
        let begin = if row == 0 {
            staged.start
        } else {
            staged.ends[row - 1]
        };
        if staged.ends[row] != begin {
            return Err(format!("row {row} is rejected, but has bytes"));
        }
    }
    if staged.identity_ends.len() != staged.identity_rows.len() {
        return Err("`identity-ends` and `identity-rows` must be of one length".to_owned());
    }
    let mut begin = 0;
    for (&end, &row) in staged.identity_ends.iter().zip(&staged.identity_rows) {
        if staged.identities.get(begin..end as usize).is_none() || row as usize >= rows {
            return Err("`identity-ends` or `identity-rows` are out of range".to_owned());
        }
        begin = end as usize;
    }
    Ok(())
}

pub(super) fn delivery(delivery: &Delivery, rows: usize) -> Result<(), String> {
    rejections(&delivery.rejected, rows)?;
    let mut seen: Vec<u32> = delivery
        .rejected
        .iter()
        .map(|rejection| rejection.row)
        .collect();
    seen.extend(&delivery.retry);
    seen.sort_unstable();
    if seen.last().is_some_and(|&row| row as usize >= rows) {
        return Err(format!(
            "a row to retry is not among the {rows} of the batch"
        ));
    }
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a row stands twice among `rejected` and `retry`".to_owned());
    }
    if !delivery.retry.is_empty() && delivery.why.is_none() {
        return Err("rows are to be retried, but `why` is empty".to_owned());
    }
    Ok(())
}

fn rejections(rejected: &[Rejection], rows: usize) -> Result<(), String> {
    let mut indices: Vec<u32> = rejected.iter().map(|rejection| rejection.row).collect();
    indices.sort_unstable();
    if indices.last().is_some_and(|&row| row as usize >= rows) {
        return Err(format!(
            "a rejected row is not among the {rows} of the batch"
        ));
    }
    if indices.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("a row is rejected twice".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::types::{AuthMethod, Limits, Route};
    use super::*;

    fn answer(bytes: &str, start: u32, ends: &[u32], rejected: &[u32]) -> Staged {
        Staged {
            bytes: bytes.into(),
            start,
            ends: ends.to_vec(),
            rejected: rejected
                .iter()
                .map(|&row| Rejection {
                    row,
                    field: None,
                    reason: String::new(),
                })
                .collect(),
            identities: String::new(),
            identity_ends: vec![],
            identity_rows: vec![],
            extra: vec![],
        }
    }

    #[test]
    fn a_staged_answer_must_account_for_every_byte_and_row() {
        assert!(staged(&answer("h\na\nb\n", 2, &[4, 6], &[]), 2).is_ok());
        assert!(staged(&answer("h\n", 2, &[], &[]), 0).is_ok());
        assert!(staged(&answer("h\na\n", 2, &[4, 4], &[1]), 2).is_ok());
        for (name, wrong, rows) in [
            ("too few ends", answer("a\n", 0, &[2], &[]), 2),
            (
                "bytes beyond the last row",
                answer("a\nb\n", 0, &[2], &[]),
                1,
            ),
            ("descending", answer("a\nb\n", 0, &[4, 2], &[]), 2),
            ("rejected with bytes", answer("a\n", 0, &[2], &[0]), 1),
            ("rejected out of range", answer("a\n", 0, &[2], &[7]), 1),
            ("rejected twice", answer("", 0, &[0], &[0, 0]), 1),
        ] {
            assert!(staged(&wrong, rows).is_err(), "{name}");
        }
    }

    fn said() -> Manifest {
        Manifest {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            description: "plain".to_owned(),
            auth_methods: vec![AuthMethod {
                id: "key".to_owned(),
                label: String::new(),
                credentials: vec![],
                headers: vec![],
            }],
            endpoint: String::new(),
            routes: vec![Route {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                purpose: String::new(),
            }],
            fields: vec![],
            custom_fields: None,
            options_schema: r#"{"properties": {"a": {"description": "two\nlines"}}}"#.to_owned(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 0,
                deliver_rows: 0,
            },
            extra: vec![],
        }
    }

    #[test]
    fn no_text_of_a_manifest_forges_what_stands_around_it() {
        assert_eq!(manifest(&said()), Ok(()));
        for odd in ["\u{202e}", "\u{2066}", "\u{200f}", "\u{1b}", "\u{9b}"] {
            let text = format!("plain{odd}text");
            let in_schema = |schema: serde_json::Value| Manifest {
                options_schema: schema.to_string(),
                ..said()
            };
            let route = Route {
                purpose: text.clone(),
                ..said().routes.remove(0)
            };
            for (what, wrong) in [
                (
                    "description",
                    Manifest {
                        description: text.clone(),
                        ..said()
                    },
                ),
                (
                    "purpose",
                    Manifest {
                        routes: vec![route],
                        ..said()
                    },
                ),
                (
                    "extra",
                    Manifest {
                        extra: vec![("request-header".to_owned(), text.clone())],
                        ..said()
                    },
                ),
                (
                    "a description in the schema",
                    in_schema(json!({"properties": {"a": {"description": text}}})),
                ),
                (
                    "a name in the schema",
                    in_schema(json!({"properties": {text.clone(): {}}})),
                ),
                (
                    "a value in the schema",
                    in_schema(json!({"enum": [[text]]})),
                ),
            ] {
                let refused = manifest(&wrong).expect_err(what);
                assert!(refused.contains("turns letters around"), "{refused}");
            }
        }
    }

    #[test]
    fn a_token_is_one_line_of_bounded_length() {
        for (text, fine) in [
            ("17".to_owned(), true),
            ("jobs/17?é".to_owned(), true),
            ("x".repeat(TOKEN_LIMIT_BYTES), true),
            ("x".repeat(TOKEN_LIMIT_BYTES + 1), false),
            (String::new(), false),
            ("17\n18".to_owned(), false),
            ("\u{1b}[31m".to_owned(), false),
            ("17\u{202e}81".to_owned(), false),
            ("17\u{2028}18".to_owned(), false),
        ] {
            assert_eq!(token(&text).is_ok(), fine, "{text:?}");
        }
    }

    #[test]
    fn identities_must_point_at_rows_and_characters() {
        let mut wrong = answer("a\n", 0, &[2], &[]);
        wrong.identities = "é".to_owned();
        wrong.identity_ends = vec![1];
        wrong.identity_rows = vec![0];
        assert!(staged(&wrong, 1).is_err(), "splits a character");
        wrong.identity_ends = vec![2];
        assert!(staged(&wrong, 1).is_ok());
        wrong.identity_rows = vec![1];
        assert!(staged(&wrong, 1).is_err(), "names no row");
    }

    #[test]
    fn a_row_is_delivered_rejected_or_retried_and_only_one_of_them() {
        let rejection = |row| Rejection {
            row,
            field: None,
            reason: String::new(),
        };
        let why = Some(super::super::types::Problem::Transient(String::new()));
        let good = Delivery {
            rejected: vec![rejection(0)],
            retry: vec![1],
            why,
            extra: vec![],
        };
        assert!(delivery(&good, 3).is_ok());
        assert!(
            delivery(
                &Delivery {
                    retry: vec![0],
                    ..good.clone()
                },
                3
            )
            .is_err()
        );
        assert!(
            delivery(
                &Delivery {
                    retry: vec![3],
                    ..good.clone()
                },
                3
            )
            .is_err()
        );
        assert!(delivery(&Delivery { why: None, ..good }, 3).is_err());
    }
}
