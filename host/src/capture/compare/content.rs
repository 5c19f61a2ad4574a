//! What differs in the content of a request, or of a staged file.

use serde_json::Value;

use super::super::exchange::{CapturedPart, CapturedRequest, PartContent, RequestBody};
use super::aligned::differing;
use super::changes::Changes;
use super::shown::Shown;

pub(super) fn both(
    then: &CapturedRequest,
    now: &CapturedRequest,
    shown: &Shown<'_>,
    changes: &mut Changes,
) {
    if then.path != now.path {
        changes.text("path", Some(shown.path(then)), Some(shown.path(now)));
    }
    for (what, then, now) in [
        ("query", &then.query, &now.query),
        ("header", &then.headers, &now.headers),
        ("extra", &then.extra, &now.extra),
    ] {
        pairs(what, then, now, shown, changes);
    }
    match (&then.body, &now.body) {
        (RequestBody::Bytes(then), RequestBody::Bytes(now)) => {
            bytes("body", &then.0, &now.0, shown, changes);
        }
        (RequestBody::Multipart(then), RequestBody::Multipart(now)) => {
            parts(then, now, shown, changes);
        }
        (then, now) if then != now => {
            changes.text("body", Some(kind(then)), Some(kind(now)));
        }
        _ => {}
    }
}

fn kind(body: &RequestBody) -> String {
    match body {
        RequestBody::None => "none".to_owned(),
        RequestBody::Bytes(bytes) => format!("{} bytes", bytes.0.len()),
        RequestBody::Multipart(parts) => format!("a form of {} parts", parts.len()),
    }
}

type Pairs = [(String, String)];

fn pairs(what: &str, then: &Pairs, now: &Pairs, shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    let before = changes.all.len();
    let has = |all: &Pairs, pair: &(String, String)| all.contains(pair);
    let gone = then.iter().filter(|pair| !has(now, pair));
    let mut new: Vec<_> = now.iter().filter(|pair| !has(then, pair)).collect();
    for (name, value) in gone {
        let is = new
            .iter()
            .position(|(other, _)| other == name)
            .map(|at| new.remove(at));
        let at = format!("{what} {}", shown.name(name));
        changes.text(
            &at,
            Some(shown.value(value)),
            is.map(|(_, value)| shown.value(value)),
        );
    }
    for (name, value) in new {
        let at = format!("{what} {}", shown.name(name));
        changes.text(&at, None, Some(shown.value(value)));
    }
    if changes.all.len() == before {
        changes.text(&format!("{what}: in another order or number"), None, None);
    }
}

fn parts(then: &[CapturedPart], now: &[CapturedPart], shown: &Shown<'_>, changes: &mut Changes) {
    let texts = |all: &[CapturedPart]| -> Vec<String> {
        let one = |part| serde_json::to_string(part).unwrap_or_default();
        all.iter().map(one).collect()
    };
    for (was, is) in differing(&texts(then), &texts(now)) {
        let index = is.or(was).unwrap_or_default();
        let (was, is) = (
            was.and_then(|at| then.get(at)),
            is.and_then(|at| now.get(at)),
        );
        let name = is
            .or(was)
            .map_or(String::new(), |part| shown.name(&part.name));
        let at = format!("part {} {name}", index + 1);
        if let (Some(was), Some(is)) = (was, is)
            && let (PartContent::Bytes(was_bytes), PartContent::Bytes(is_bytes)) =
                (&was.content, &is.content)
        {
            bytes(&at, &was_bytes.0, &is_bytes.0, shown, changes);
            let rest = |part: &CapturedPart| {
                let file = part.file_name.as_deref().unwrap_or("none");
                let kind = part.content_type.as_deref().unwrap_or("none");
                shown.value(&format!("{}, file {file}, type {kind}", part.name))
            };
            if (&was.name, &was.file_name, &was.content_type)
                != (&is.name, &is.file_name, &is.content_type)
            {
                changes.text(&at, Some(rest(was)), Some(rest(is)));
            }
            continue;
        }
        let whole = |part: &CapturedPart| {
            let content = match &part.content {
                PartContent::Bytes(bytes) => shown.value(&bytes.text()),
                PartContent::Staged(_) => "the staged file".to_owned(),
            };
            format!("{}: {content}", shown.name(&part.name))
        };
        changes.text(&at, was.map(whole), is.map(whole));
    }
}

/// JSON is compared as JSON, anything else line by line.
pub(super) fn bytes(at: &str, then: &[u8], now: &[u8], shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    let before = changes.all.len();
    if let (Ok(then), Ok(now)) = (serde_json::from_slice(then), serde_json::from_slice(now)) {
        values(at, Some(&then), Some(&now), shown, changes);
    } else {
        let (then, now) = (String::from_utf8_lossy(then), String::from_utf8_lossy(now));
        lines(at, &then, &now, shown, changes);
    }
    if changes.all.len() == before {
        changes.text(&format!("{at}: written in another way"), None, None);
    }
}

fn values(
    at: &str,
    then: Option<&Value>,
    now: Option<&Value>,
    shown: &Shown<'_>,
    changes: &mut Changes,
) {
    match (then, now) {
        (Some(Value::Object(then)), Some(Value::Object(now))) => {
            let gone = then.keys().filter(|name| !now.contains_key(*name));
            for name in now.keys().chain(gone) {
                let at = format!("{at}/{}", shown.name(name));
                values(&at, then.get(name), now.get(name), shown, changes);
            }
        }
        (Some(Value::Array(then)), Some(Value::Array(now))) => {
            let texts =
                |all: &[Value]| -> Vec<String> { all.iter().map(Value::to_string).collect() };
            for (was, is) in differing(&texts(then), &texts(now)) {
                let at = format!("{at}/{}", is.or(was).unwrap_or_default());
                let (was, is) = (
                    was.and_then(|at| then.get(at)),
                    is.and_then(|at| now.get(at)),
                );
                values(&at, was, is, shown, changes);
            }
        }
        (then, now) if then == now => {}
        (then, now) => {
            let text = |value: &Value| shown.json(value);
            changes.text(at, then.map(text), now.map(text));
        }
    }
}

pub(super) fn lines(at: &str, then: &str, now: &str, shown: &Shown<'_>, changes: &mut Changes) {
    let (then, now): (Vec<_>, Vec<_>) = (then.lines().collect(), now.lines().collect());
    for (was, is) in differing(&then, &now) {
        let index = is.or(was).unwrap_or_default();
        let text = |line: &&str| shown.value(line);
        changes.text(
            &format!("{at} line {}", index + 1),
            was.and_then(|at| then.get(at)).map(text),
            is.and_then(|at| now.get(at)).map(text),
        );
    }
}
