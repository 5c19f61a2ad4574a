//! Reading answers: whatever the bytes are, it is read as far as possible and never fails.

use std::borrow::Cow;

use serde_json::Value;
use sluice_guest::http::Response;

use crate::date;

/// The value of a header; `name` in lower case.
pub fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let found = answer
        .headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

/// The body as JSON, if it is.
pub fn json(answer: &Response) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok()
}

/// What the destination says about an error, unmasked; empty if it says nothing readable.
pub fn message(answer: &Response) -> String {
    match json(answer) {
        Some(value) => message_in(&value),
        None => {
            let text = String::from_utf8_lossy(&answer.body);
            // A page for browsers, most likely of something in between, says nothing.
            if text.trim_start().starts_with('<') {
                String::new()
            } else {
                text.into_owned()
            }
        }
    }
}

/// What a JSON answer says: `message`, `error` or `errors`, whichever comes first and says
/// something.
pub fn message_in(value: &Value) -> String {
    /// Deeper nesting and longer lists say nothing more to a person.
    fn say(value: &Value, depth: u8) -> String {
        let join = |parts: Vec<String>| {
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            parts.join("; ")
        };
        match value {
            Value::String(text) => text.clone(),
            Value::Array(items) if depth > 0 => join(
                items
                    .iter()
                    .take(3)
                    .map(|item| say(item, depth - 1))
                    .collect(),
            ),
            Value::Object(object) if depth > 0 => {
                let named = ["message", "error", "errors", "reason"]
                    .iter()
                    .filter_map(|name| object.get(*name))
                    .map(|value| say(value, depth - 1))
                    .find(|said| !said.is_empty());
                named.unwrap_or_default()
            }
            _ => String::new(),
        }
    }
    let said = say(value, 4);
    if !said.is_empty() {
        return said;
    }
    // Errors by field: {"errors": {"email": ["is taken"]}}.
    let by_field = value.get("errors").and_then(Value::as_object);
    let by_field = by_field
        .into_iter()
        .flatten()
        .take(3)
        .map(|(field, errors)| {
            let errors = say(errors, 2);
            format!("{field} {errors}")
        });
    by_field.collect::<Vec<_>>().join("; ")
}

/// The first text or number at one of these JSON pointers, and the pointer.
pub fn word_at<'a, 'p>(
    value: &'a Value,
    pointers: &'p [String],
) -> Option<(Cow<'a, str>, &'p str)> {
    pointers.iter().find_map(|pointer| {
        let word = match value.pointer(pointer)? {
            Value::String(word) if !word.trim().is_empty() => Cow::Borrowed(word.trim()),
            Value::Number(number) => Cow::Owned(number.to_string()),
            _ => return None,
        };
        Some((word, pointer.as_str()))
    })
}

/// How long the answer asks to wait, in milliseconds: `Retry-After` in seconds, or as a date
/// measured against the answer's own `Date`, since there is no clock here.
pub fn retry_after_ms(answer: &Response) -> Option<u32> {
    let wanted = header(answer, "retry-after")?;
    let seconds = if wanted.bytes().all(|byte| byte.is_ascii_digit()) && !wanted.is_empty() {
        // More digits than fit mean "very long", and so does the largest number.
        wanted.parse::<u64>().unwrap_or(u64::MAX)
    } else {
        let wait = date::seconds_between(header(answer, "date")?, wanted)?;
        u64::try_from(wait).unwrap_or(0)
    };
    Some(u32::try_from(seconds.saturating_mul(1_000)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::response;

    #[test]
    fn messages_are_found_in_every_known_shape_and_in_none_but_those() {
        for (body, expected) in [
            (r#"{"message": "no"}"#, "no"),
            (r#"{"message": "", "error": "no"}"#, "no"),
            (r#"{"error": {"message": "no"}}"#, "no"),
            (
                r#"{"errors": ["a", "b", {"message": "c"}, "d"]}"#,
                "a; b; c",
            ),
            (
                r#"{"errors": {"email": ["is taken"], "zip": "is odd"}}"#,
                "email is taken; zip is odd",
            ),
            (r#""just text""#, "just text"),
            (r#"{"id": 1}"#, ""),
            ("{}", ""),
            ("null", ""),
            ("", ""),
            ("plain words", "plain words"),
            (" <html>Bad gateway</html>", ""),
        ] {
            assert_eq!(
                message(&response(400, &[], body.as_bytes())),
                expected,
                "{body}"
            );
        }
        assert_eq!(
            message(&response(400, &[], b"\xff\xfe")),
            "\u{fffd}\u{fffd}"
        );
        assert_eq!(
            message(&response(400, &[], "[".repeat(100_000).as_bytes())).len(),
            100_000
        );
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let date = ("date", "Mon, 23 Nov 2026 10:00:00 GMT");
        for (wanted, date, expected) in [
            ("7", None, Some(7_000)),
            (" 0 ", None, Some(0)),
            ("4294968", None, Some(u32::MAX)),
            ("99999999999999999999999", None, Some(u32::MAX)),
            ("-1", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", Some(date), None),
            ("Mon, 23 Nov 2026 10:01:30 GMT", Some(date), Some(90_000)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Some(date), Some(0)),
            ("Mon, 23 Nov 2026 10:01:30 GMT", None, None),
            (
                "Mon, 23 Nov 2026 10:01:30 GMT",
                Some(("date", "today")),
                None,
            ),
        ] {
            let headers: Vec<_> = [("retry-after", wanted)].into_iter().chain(date).collect();
            let read = retry_after_ms(&response(429, &headers, b""));
            assert_eq!(read, expected, "{wanted} {date:?}");
        }
        assert_eq!(retry_after_ms(&response(429, &[], b"")), None);
    }
}
