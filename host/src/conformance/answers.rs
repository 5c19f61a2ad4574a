//! What the scripted destination says. Pure.

use crate::capability::http::Script;
use crate::plugin::types::{Body, Content, Failure, Problem, Request, Response};

use super::author::{Answer, Author};
use super::bodies::{Read, read};

/// Answers of the destination when all is well: the author's, or those of most APIs.
pub struct Good {
    pub checked: Told,
    pub submitted: Told,
    pub pending: Told,
    pub succeeded: Told,
    pub failed: Told,
    pub delivered: Told,
}

/// What is answered in one situation, by what is asked for.
#[derive(Clone)]
pub struct Told {
    answers: Vec<Answer>,
    /// To whatever else is asked for.
    usual: Response,
}

impl Told {
    /// The answer to a request.
    pub fn to(&self, request: &Request) -> Response {
        let found = self.answers.iter().find(|answer| answer.fits(request));
        found.map_or_else(|| self.usual.clone(), Answer::response)
    }

    /// The one that says most: it is made garbage of.
    pub fn longest(&self) -> Response {
        let given = self.answers.iter().map(Answer::response);
        let longest = given.max_by_key(|answer| answer.body.len());
        longest.unwrap_or_else(|| self.usual.clone())
    }

    pub fn script(&self) -> Box<Script> {
        let told = self.clone();
        Box::new(move |request, _| Ok(told.to(request)))
    }
}

impl Good {
    pub fn of(author: &Author) -> Self {
        let answers = &author.answers;
        let or = |told: &super::author::Told, body: &str| Told {
            answers: told.0.clone(),
            usual: response(200, body),
        };
        Self {
            checked: or(&answers.checked, "{}"),
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

/// Whether a problem says of a trouble that it passes. A busy server may be taken at its word.
pub fn passes(trouble: &str, problem: &Problem) -> bool {
    match problem {
        Problem::Transient(_) => true,
        Problem::Throttled(_) => trouble == "503",
        _ => false,
    }
}

/// Why there may be no answer, beside what passes.
pub fn no_answers() -> [(&'static str, Failure); 3] {
    [
        (
            "an answer that is too large",
            Failure::TooLarge("more than is taken".to_owned()),
        ),
        (
            "a request that is denied",
            Failure::Denied("it was not granted".to_owned()),
        ),
        (
            "no answer at all",
            Failure::Other("nobody knows".to_owned()),
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

/// Whether a text stands in any part of a request, as it is or as the destination reads it.
pub fn mentions(request: &Request, text: &str) -> bool {
    let pairs = request.query.iter().chain(&request.headers);
    let mut all = request.path.clone().into_bytes();
    for (name, value) in pairs {
        all.extend(name.bytes().chain([b'\n']).chain(value.bytes()));
    }
    all.push(b'\n');
    all.extend(body(request));
    memchr::memmem::find(&all, text.as_bytes()).is_some()
        || matches!(read(request), Read::Texts(texts) if texts.iter().any(|t| t.contains(text)))
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
