//! What requests say, read as the destination reads them: JSON, forms and tables. Pure.

use crate::plugin::types::{Body, Content, Request};

use super::author::Quotes;
use super::framing::{fields, texts_of_json};

/// What is in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Every text in it, each as it was meant.
    Texts(Vec<String>),
    /// The body is not what it says it is.
    Garbled(&'static str),
    /// The body is of a form that is not known here.
    Unknown,
}

/// Reads a request: path, query, headers and body.
pub fn read(request: &Request) -> Read {
    let mut texts: Vec<String> = request.path.split('/').map(str::to_owned).collect();
    for (name, value) in request.query.iter().chain(&request.headers) {
        texts.extend([name.clone(), value.clone()]);
    }
    let header = |name: &str| {
        let mut all = request.headers.iter();
        let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_ascii_lowercase())
    };
    if header("content-encoding").is_some() {
        return Read::Unknown;
    }
    let kind = header("content-type").unwrap_or_default();
    let read = match &request.body {
        Body::None => Read::Texts(vec![]),
        Body::Bytes(bytes) => body(&kind, bytes),
        Body::Multipart(parts) => {
            let mut all = vec![];
            for part in parts {
                let Content::Bytes(bytes) = &part.content else {
                    continue;
                };
                let kind = part.content_type.as_deref().unwrap_or_default();
                match body(&kind.to_ascii_lowercase(), bytes) {
                    Read::Texts(found) => all.extend(found),
                    // A field of a form is a text, whatever it holds.
                    Read::Unknown => all.push(String::from_utf8_lossy(bytes).into_owned()),
                    garbled @ Read::Garbled(_) => return garbled,
                }
            }
            Read::Texts(all)
        }
    };
    match read {
        Read::Texts(found) => {
            texts.extend(found);
            Read::Texts(with_nested(texts))
        }
        other => other,
    }
}

fn body(kind: &str, bytes: &[u8]) -> Read {
    let or = |texts: Option<Vec<String>>, what| texts.map_or(Read::Garbled(what), Read::Texts);
    if kind.contains("json") {
        return or(json(bytes), "JSON");
    }
    if kind.contains("x-www-form-urlencoded") {
        return or(form(bytes), "a form");
    }
    if kind.contains("csv") || kind.contains("tab-separated") {
        let delimiter = if kind.contains("csv") { b',' } else { b'\t' };
        return or(table(delimiter, bytes), "a table");
    }
    let looks = matches!(bytes.first(), Some(b'{' | b'['));
    match json(bytes).filter(|_| looks) {
        Some(texts) => Read::Texts(texts),
        // Without a name for it, what looks like JSON and is none is still meant as such.
        None if looks && kind.is_empty() => Read::Garbled("JSON"),
        None => Read::Unknown,
    }
}

/// One value, or one a line.
fn json(bytes: &[u8]) -> Option<Vec<String>> {
    if let Some(texts) = texts_of_json(bytes) {
        return Some(texts);
    }
    let lines = bytes.split(|&byte| byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let all: Option<Vec<_>> = lines.map(texts_of_json).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.concat())
}

fn form(bytes: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let pairs = text.split('&').flat_map(|pair| pair.split('='));
    pairs.map(unescaped).collect()
}

/// What stands between `&` and `=`; `None` if a sign is in it that has to be escaped.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = vec![];
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'!'..=b'~' if !matches!(byte, b'"' | b'<' | b'>' | b'#' | b'&') => byte,
            _ => return None,
        });
    }
    String::from_utf8(out).ok()
}

/// All fields, of lines that are equally wide.
fn table(delimiter: u8, bytes: &[u8]) -> Option<Vec<String>> {
    let mut bytes = bytes.to_vec();
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    let records = fields(delimiter, Quotes::Doubled, &bytes)?;
    let width = records.first()?.len();
    let even = records.iter().all(|record| record.len() == width);
    even.then(|| records.concat())
}

/// With what is in those that are JSON themselves, as a value that holds another is often sent.
fn with_nested(texts: Vec<String>) -> Vec<String> {
    let mut all = vec![];
    let mut ahead = texts;
    while let Some(text) = ahead.pop() {
        if text.starts_with(['{', '[']) {
            ahead.extend(texts_of_json(text.as_bytes()).unwrap_or_default());
        }
        all.push(text);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::types::Part;

    fn request(kind: &str, body: Body) -> Request {
        let header = ("Content-Type".to_owned(), kind.to_owned());
        Request {
            method: "POST".to_owned(),
            path: "/users/a b".to_owned(),
            query: vec![("q".to_owned(), "x&y".to_owned())],
            headers: if kind.is_empty() {
                vec![]
            } else {
                vec![header]
            },
            body,
            extra: vec![],
        }
    }

    fn bytes(kind: &str, body: &str) -> Read {
        read(&request(kind, Body::Bytes(body.into())))
    }

    #[test]
    fn texts_are_found_as_they_were_meant_in_every_form() {
        for (kind, body, text) in [
            ("application/json", r#"{"a":["say \"hi\""]}"#, "say \"hi\""),
            (
                "application/vnd.api+json; charset=utf-8",
                r#"{"a":"x\\y"}"#,
                "x\\y",
            ),
            (
                "application/x-ndjson",
                "{\"a\":\"1\"}\n{\"a\":\"two\\nlines\"}\n",
                "two\nlines",
            ),
            ("", r#"[{"a":"x"}]"#, "x"),
            ("text/plain", r#"{"a":"x"}"#, "x"),
            (
                "application/json",
                r#"{"data":"{\"a\":\"say \\\"hi\\\"\"}"}"#,
                "say \"hi\"",
            ),
            (
                "application/x-www-form-urlencoded",
                "a=1&b=x%26y+%C3%A9",
                "x&y é",
            ),
            ("text/csv", "a,b\n1,\"x\"\"y\"", "x\"y"),
            ("text/tab-separated-values", "a\tb\n1\tx,y\n", "x,y"),
            ("application/json", "{}", "x&y"),
            ("application/json", "{}", "a b"),
        ] {
            match bytes(kind, body) {
                Read::Texts(texts) => assert!(texts.iter().any(|t| t == text), "{texts:?}"),
                other => panic!("{kind} {body}: {other:?}"),
            }
        }
        let part = Part {
            name: "a".to_owned(),
            file_name: None,
            content_type: None,
            content: Content::Bytes(b"x\"y".to_vec()),
        };
        let read = read(&request("", Body::Multipart(vec![part])));
        assert!(matches!(read, Read::Texts(texts) if texts.contains(&"x\"y".to_owned())));
    }

    #[test]
    fn what_breaks_out_is_garbled_and_what_is_not_known_is_said_to_be() {
        for (kind, body) in [
            ("application/json", "{\"a\":\"say \"hi\"\"}"),
            ("application/json", "{\"a\":\"two\nlines\"}"),
            ("application/json", ""),
            ("", "{\"a\":\"say \"hi\"\"}"),
            ("application/x-www-form-urlencoded", "a=two lines"),
            ("application/x-www-form-urlencoded", "a=%C3"),
            ("application/x-www-form-urlencoded", "a=50%"),
            ("text/csv", "a,b\n1,x,y\n"),
        ] {
            let read = bytes(kind, body);
            assert!(matches!(read, Read::Garbled(_)), "{kind} {body}: {read:?}");
        }
        assert_eq!(bytes("application/xml", "<a/>"), Read::Unknown);
        assert_eq!(bytes("", "a=1"), Read::Unknown);
    }
}
