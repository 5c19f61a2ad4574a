//! Which headers a component may set, and what may stand in a part's. Pure.

use http::header::{HeaderName, HeaderValue};

use super::Denial;
use crate::plugin::types::{Body, Part, Request};

/// Headers that are the host's: the credential, the connection, the body's framing. And those that
/// tell a server another path, method, client or range than the gate has seen, or an encoding in
/// which the credential would come back unrecognised.
const HOST_HEADERS: [&str; 23] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "if-range",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The same for all whose names begin like this.
const HOST_PREFIXES: [&str; 3] = ["proxy-", "x-forwarded-", "x-real-ip"];

/// What a manifest's authorization may set of these: to do so is what it is for.
const OF_CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

/// Whether a header is the host's own business. Some servers take `_` for `-`.
pub(super) fn is_hosts(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    HOST_HEADERS.contains(&name.as_str())
        || HOST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a manifest's authorization may be about this header.
pub(super) fn may_hold_credential(name: &str) -> bool {
    OF_CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) || !is_hosts(name)
}

/// Looks at a request's headers; `of_credential` are those that the host adds, in lower case, and
/// `cookie` says whether the manifest has declared that it sets cookies of its own.
pub(super) fn check(
    request: &Request,
    of_credential: &[String],
    cookie: bool,
) -> Result<(), Denial> {
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Denial::BadHeader)?;
        let name = name.as_str();
        HeaderValue::from_str(value).map_err(|_| Denial::BadHeader)?;
        let dashed = name.replace('_', "-");
        let taken = (is_hosts(name) && !(cookie && name == "cookie"))
            || of_credential.contains(&dashed)
            || of_credential.iter().any(|header| header == name)
            || (dashed == "content-type" && matches!(request.body, Body::Multipart(_)));
        if taken {
            return Err(Denial::HostHeader(name.to_owned()));
        }
    }
    Ok(())
}

/// Whether nothing of a part's texts can leave the place that it is written to.
pub(super) fn part_is_contained(part: &Part) -> bool {
    let plain = |text: &String| !text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\'));
    // Parameters of a type may be quoted.
    let kind = |text: &String| text.is_ascii() && !text.contains(|c: char| c.is_control());
    plain(&part.name)
        && part.file_name.as_ref().is_none_or(plain)
        && part.content_type.as_ref().is_none_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::types::Content;

    #[test]
    fn headers_of_the_host_are_found_in_every_spelling() {
        for name in [
            "Host",
            "AUTHORIZATION",
            "Content_Length",
            "Proxy-Authorization",
            "proxy-anything",
            "X-Forwarded-For",
            "x_forwarded_host",
            "X-Real-IP",
            "X-HTTP-Method-Override",
            "Accept-Encoding",
            "Range",
        ] {
            assert!(is_hosts(name), "{name}");
        }
        for name in [
            "Accept",
            "Content-Type",
            "User-Agent",
            "X-Api-Version",
            "Idempotency-Key",
        ] {
            assert!(!is_hosts(name), "{name}");
        }
        assert!(may_hold_credential("Authorization") && may_hold_credential("X-Api-Key"));
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "X-Forwarded-For",
        ] {
            assert!(!may_hold_credential(name), "{name}");
        }
    }

    #[test]
    fn a_part_stays_in_its_place() {
        let part = |name: &str, file: &str, kind: &str| Part {
            name: name.to_owned(),
            file_name: Some(file.to_owned()),
            content_type: Some(kind.to_owned()),
            content: Content::Bytes(vec![]),
        };
        for (part, contained) in [
            (
                part("users", "users é.csv", "text/csv; charset=\"utf-8\""),
                true,
            ),
            (part("a\"; b=\"c", "f", "text/plain"), false),
            (part("a", "f\"\r\nX: y", "text/plain"), false),
            (part("a", "f\\", "text/plain"), false),
            (part("a", "f", "text/plain\r\nX: y"), false),
            (part("a\n", "f", "text/plain"), false),
            (part("a\0", "f", "text/plain"), false),
        ] {
            assert_eq!(part_is_contained(&part), contained, "{part:?}");
        }
    }
}
