//! What is asked, and whether it may be. Pure.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{Method, StatusCode};

use super::Token;

/// What somebody asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whether the process lives.
    Health,
    /// Whether every export works; which does not only if the one who asks may know.
    Ready {
        /// Whether names may be told.
        names: bool,
    },
    /// The metrics.
    Metrics,
    /// Something that is not answered.
    Refused(StatusCode, &'static str),
}

/// Sorts a request. Health and readiness need no token: who asks for them is a machine that is to
/// restart or to wait, and may have none.
pub(super) fn asked(request: &Parts, token: Option<&Token>) -> Asked {
    if token.is_none() && !names_this_machine(request) {
        return Asked::Refused(
            StatusCode::FORBIDDEN,
            "ask by address or as localhost, or start sluice with a token",
        );
    }
    let trusted = token.is_none_or(|token| bears(request, token));
    let asked = match request.uri.path() {
        "/healthz" => Asked::Health,
        "/readyz" => Asked::Ready { names: trusted },
        "/metrics" if trusted => Asked::Metrics,
        "/metrics" => {
            return Asked::Refused(
                StatusCode::UNAUTHORIZED,
                "expected the header `Authorization: Bearer` with the admin token",
            );
        }
        _ => {
            return Asked::Refused(
                StatusCode::NOT_FOUND,
                "there are /metrics, /healthz and /readyz",
            );
        }
    };
    if request.method != Method::GET && request.method != Method::HEAD {
        return Asked::Refused(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD");
    }
    asked
}

fn bears(request: &Parts, token: &Token) -> bool {
    let value = request.headers.get(AUTHORIZATION);
    let Some((scheme, text)) = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && token.is(text.trim())
}

/// Whether it was meant for this machine. A page in a browser can be made to ask for a name of its own that
/// leads here; it cannot ask for an address or for localhost and read what comes back.
fn names_this_machine(request: &Parts) -> bool {
    let Some(host) = request.headers.get(HOST) else {
        return request.uri.host().is_none_or(is_here);
    };
    let host = host
        .to_str()
        .ok()
        .and_then(|host| host.parse::<http::uri::Authority>().ok());
    host.is_some_and(|host| is_here(host.host()))
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, path: &str, headers: &[(&str, &str)], token: Option<&Token>) -> Asked {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        asked(&request.body(()).unwrap().into_parts().0, token)
    }

    fn status(asked: Asked) -> u16 {
        match asked {
            Asked::Refused(status, _) => status.as_u16(),
            _ => 200,
        }
    }

    #[test]
    fn without_a_token_everything_is_open_to_this_machine() {
        for (method, path, expected) in [
            ("GET", "/metrics", 200),
            ("HEAD", "/metrics?x=y", 200),
            ("GET", "/healthz", 200),
            ("GET", "/readyz", 200),
            ("POST", "/metrics", 405),
            ("GET", "/", 404),
            ("GET", "/metrics/", 404),
            ("GET", "//metrics", 404),
        ] {
            assert_eq!(
                status(ask(method, path, &[], None)),
                expected,
                "{method} {path}"
            );
        }
        assert_eq!(
            ask("GET", "/readyz", &[], None),
            Asked::Ready { names: true }
        );
    }

    #[test]
    fn a_name_that_leads_here_by_a_trick_is_refused() {
        for (host, expected) in [
            ("127.0.0.1:7584", 200),
            ("[::1]:7584", 200),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example:7584", 403),
            ("", 403),
        ] {
            let asked = ask("GET", "/metrics", &[("host", host)], None);
            assert_eq!(status(asked), expected, "{host}");
        }
    }

    #[test]
    fn with_a_token_metrics_and_names_need_it_and_health_does_not() {
        let token = Token::new("0123456789abcdef").unwrap();
        for (authorization, trusted) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef", true),
            ("Bearer 0123456789abcdeg", false),
            ("Bearer", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            // Whoever has the token may call the machine as he likes.
            let headers = [("authorization", authorization), ("host", "sluice.example")];
            let asked = |path| ask("GET", path, &headers, Some(&token));
            let expected = if trusted { 200 } else { 401 };
            assert_eq!(status(asked("/metrics")), expected, "{authorization}");
            assert_eq!(asked("/readyz"), Asked::Ready { names: trusted });
            assert_eq!(asked("/healthz"), Asked::Health);
        }
    }
}
