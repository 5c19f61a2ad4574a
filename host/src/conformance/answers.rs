//! What the scripted destination says. Pure.

use crate::capability::http::Script;
use crate::plugin::types::{Body, Content, Failure, Request, Response};

use super::author::Author;

/// Answers of the destination when all is well: the author's, or those of most APIs.
pub struct Good {
    pub submitted: Response,
    pub pending: Response,
    pub succeeded: Response,
    pub failed: Response,
    pub delivered: Response,
}

impl Good {
    pub fn of(author: &Author) -> Self {
        let answers = &author.answers;
        let or = |answer: &Option<super::author::Answer>, body: &str| match answer {
            Some(answer) => answer.response(),
            None => response(200, body),
        };
        Self {
            submitted: or(&answers.submitted, r#"{"id":"job-1"}"#),
            pending: or(&answers.pending, r#"{"id":"job-1","status":"running"}"#),
            succeeded: or(&answers.succeeded, r#"{"id":"job-1","status":"succeeded"}"#),
            failed: or(&answers.failed, r#"{"id":"job-1","status":"failed"}"#),
            delivered: or(&answers.delivered, "{}"),
        }
    }
}

/// An answer in JSON.
pub fn response(status: u16, body: &str) -> Response {
    Response {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.as_bytes().to_vec(),
        extra: vec![],
    }
}

/// A status with a header of its own.
pub fn with_header(mut response: Response, name: &str, value: &str) -> Response {
    response.headers.push((name.to_owned(), value.to_owned()));
    response
}

/// The same for every request.
pub fn always(answer: Result<Response, Failure>) -> Box<Script> {
    Box::new(move |_, _| answer.clone())
}

/// What a destination does that is in trouble: each must be tried again later.
pub fn troubles() -> Vec<(String, Result<Response, Failure>)> {
    let status = |status: u16| (format!("{status}"), Ok(response(status, "")));
    let failure = |name: &str, failure| (name.to_owned(), Err(failure));
    vec![
        status(500),
        status(502),
        status(503),
        status(504),
        failure("no connection", Failure::Unreachable("refused".to_owned())),
        failure(
            "a timeout",
            Failure::Interrupted("the time is over".to_owned()),
        ),
        failure(
            "half an answer",
            Failure::Interrupted("it ended early".to_owned()),
        ),
    ]
}

/// Answers that nobody can read, each with a status of success.
pub fn garbage(whole: &Response) -> Vec<(&'static str, Response)> {
    let half = whole.body.len() / 2;
    let of = |body: &[u8]| Response {
        body: body.to_vec(),
        ..response(200, "")
    };
    vec![
        ("nothing", of(b"")),
        ("a page", of(b"<html><body>Welcome</body></html>")),
        ("bytes that are no text", of(b"\xff\xfe\x00\x01")),
        ("half of the answer", of(&whole.body[..half])),
        ("brackets without end", of("[".repeat(100_000).as_bytes())),
        ("another type", of(b"[true, null]")),
    ]
}

/// Whether a text stands in any part of a request.
pub fn mentions(request: &Request, text: &str) -> bool {
    position(request, text).is_some()
}

/// Where a text stands in a request: in its path, query, headers and body, end to end.
pub fn position(request: &Request, text: &str) -> Option<usize> {
    let pairs = request.query.iter().chain(&request.headers);
    let mut all = request.path.clone().into_bytes();
    for (name, value) in pairs {
        all.extend(name.bytes().chain([b'\n']).chain(value.bytes()));
    }
    all.push(b'\n');
    all.extend(body(request));
    memchr::memmem::find(&all, text.as_bytes())
}

/// The bytes of a request's body, as far as they are the plugin's.
pub fn body(request: &Request) -> Vec<u8> {
    match &request.body {
        Body::None => vec![],
        Body::Bytes(bytes) => bytes.clone(),
        Body::Multipart(parts) => parts
            .iter()
            .flat_map(|part| match &part.content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::Staged(_) => vec![],
            })
            .collect(),
    }
}
