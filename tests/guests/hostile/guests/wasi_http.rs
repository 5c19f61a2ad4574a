//! Asks by `wasi:http` for what it was not granted, and for what it was. A row's cell is a list of texts,
//! split by `|`: method, scheme, authority, path with query, and a header's name and value or `body` and
//! how many MiB.

use sluice_hostile::*;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// What is written at once.
const PIECE: usize = 4_096;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| {
            let texts: Vec<&str> = what.split('|').collect();
            match asked(&texts) {
                Ok(answer) => answer,
                Err(error) => format!("no answer: {error:?}"),
            }
        }))
    }
}

fn asked(texts: &[&str]) -> Result<String, ErrorCode> {
    let [method, scheme, authority, path, more @ ..] = texts else {
        return Ok("fine".to_owned());
    };
    let headers = Fields::new();
    if let [name, value] = more
        && *name != "body"
        && let Err(error) = headers.append(name, value.as_bytes())
    {
        return Ok(format!("no header: {error:?}"));
    }
    let request = OutgoingRequest::new(headers);
    let method = match *method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match *scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let set = request.set_method(&method).is_ok()
        && request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(path)).is_ok();
    if !set {
        return Ok("no request".to_owned());
    }
    let body = request.body().expect("the first time");
    let answer = handle(request, None)?;
    let mebibytes: usize = match more {
        ["body", mebibytes] => mebibytes.parse().expect("a number"),
        _ => 0,
    };
    if let Some(end) = written(&body, mebibytes << 20) {
        return Ok(end);
    }
    OutgoingBody::finish(body, None)?;
    answer.subscribe().block();
    let answer = answer
        .get()
        .expect("it is there")
        .expect("the first time")?;
    let status = answer.status();
    let mut names: Vec<_> = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    let stream = answer.consume().expect("the first time");
    let stream = stream.stream().expect("the first time");
    let mut text = vec![];
    loop {
        match stream.blocking_read(1 << 20) {
            Ok(bytes) => text.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(error) => return Ok(format!("cut after {} bytes: {error:?}", text.len())),
        }
    }
    let text = String::from_utf8_lossy(&text);
    Ok(format!("answered {status} with {names:?}: {text}"))
}

/// Writes so many bytes; answers how that ended, if it ended early.
fn written(body: &OutgoingBody, bytes: usize) -> Option<String> {
    let out = body.write().expect("the first time");
    for _ in 0..bytes / PIECE {
        if let Err(error) = out.blocking_write_and_flush(&[b'x'; PIECE]) {
            return Some(format!("cut off: {error:?}"));
        }
    }
    None
}

hostile!(Guest);
