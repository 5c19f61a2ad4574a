//! Import jobs: the form that starts one, the token that remembers it, the status that ends it.

use serde::Deserialize;
use serde_json::Value;
use sluice_guest::http::{Body, Content, Failure, Part, Request, Response};
use sluice_guest::{Ended, File, ImportStatus, Place, Problem, Progress, Refused, Report};

use crate::options::{FlagsIn, Options, finding, is_word_of};
use crate::verdict::{Call, Verdict, judge};
use crate::{answer, fields, mask};

/// The version of the job token that this plugin writes, and the newest that it reads.
const TOKEN_VERSION: u64 = 1;
/// Longest job id, in bytes: the contract allows 4 KiB for the whole token, escapes included.
const MAX_ID: usize = 512;

/// Numbers in the contract stay below this, so that every guest language holds them.
const NUMBERS: u64 = 1 << 53;

// What counts of rows may be called beside the status; the destination's own names are unknown.
const DONE: &[&str] = &["done", "processed", "rows_processed", "processed_rows"];
const TOTAL: &[&str] = &["total", "rows", "total_rows", "rows_total"];
const ACCEPTED: &[&str] = &["accepted", "succeeded", "rows_accepted", "accepted_rows"];
const CREATED: &[&str] = &["created", "rows_created", "created_rows"];
const UPDATED: &[&str] = &["updated", "rows_updated", "updated_rows"];
const UNCHANGED: &[&str] = &["unchanged", "rows_unchanged", "unchanged_rows"];
const REFUSED: &[&str] = &[
    "refused",
    "rejected",
    "failed",
    "rows_refused",
    "rows_failed",
];

/// The request that starts the import of a file: text fields first, then the file.
pub fn submission(file: &File, options: &Options) -> Request {
    let text = |name: &str, value: &str| Part {
        name: name.to_owned(),
        file_name: None,
        content_type: None,
        content: Content::Bytes(value.as_bytes().to_vec()),
    };
    let mut parts = vec![text("import_type", &options.import_type)];
    if options.flags_in == FlagsIn::Body {
        parts.extend(
            options
                .flags(false)
                .map(|(name, on)| text(name, &on.to_string())),
        );
    }
    parts.push(Part {
        name: options.entity.clone(),
        file_name: Some(file_name(file, &options.entity)),
        content_type: Some("text/plain".to_owned()),
        content: Content::Staged(file.id.clone()),
    });
    Request {
        method: "POST".to_owned(),
        path: options.import_path.clone(),
        query: options.query(false),
        headers: vec![accept()],
        body: Body::Multipart(parts),
        extra: Vec::new(),
    }
}

/// `<entity>-YYYYMMDD-HHMMSS-<id>.csv`; without the moment if the host gives none that is one.
fn file_name(file: &File, entity: &str) -> String {
    let digits: String = file
        .created_at
        .chars()
        .take("2026-11-23T10:15:00".len())
        .filter(char::is_ascii_digit)
        .collect();
    match (digits.get(..8), digits.get(8..14)) {
        (Some(day), Some(time)) => format!("{entity}-{day}-{time}-{}.csv", file.id),
        _ => format!("{entity}-{}.csv", file.id),
    }
}

/// The job token that the answer to a submission gives.
pub fn token(answer: &Result<Response, Failure>, options: &Options) -> Result<String, Problem> {
    let answer = match (judge(Call::Submit, answer, &[]), answer) {
        (Verdict::Problem(problem), _) => return Err(problem),
        (_, Ok(answer)) => answer,
        (_, Err(_)) => return Err(Problem::Transient("no answer".to_owned())),
    };
    match job_id(answer, options) {
        Some(id) => Ok(format!(
            r#"{{"v":{TOKEN_VERSION},"id":{}}}"#,
            Value::String(id)
        )),
        None => Err(Problem::Fatal(format!(
            "the destination took the file (status {}) but its answer holds no usable job id: not \
             at {:?} (option `job_id_pointers`) and not in a `Location` header",
            answer.status, options.job_id_pointers
        ))),
    }
}

fn job_id(answer: &Response, options: &Options) -> Option<String> {
    let body = answer::json(answer);
    let in_body = body.as_ref().and_then(|body| {
        options.job_id_pointers.iter().find_map(|pointer| {
            let (id, _) = answer::word_at(body, std::slice::from_ref(pointer))?;
            is_job_id(&id).then(|| id.into_owned())
        })
    });
    in_body.or_else(|| {
        let location = answer::header(answer, "location")?;
        let path = location.split(['?', '#']).next()?.trim_end_matches('/');
        let id = path.rsplit('/').next()?;
        is_job_id(id).then(|| id.to_owned())
    })
}

/// Whether an id can be one segment of a path.
fn is_job_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
        && id.len() <= MAX_ID
        && !id.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | '?' | '#'))
}

/// What a job token holds. Newer versions may add fields, which an older one does not mind.
#[derive(Deserialize)]
struct Token {
    v: u64,
    id: String,
}

/// The request that asks for the status of the token's job.
pub fn question(token: &str, options: &Options) -> Result<Request, Problem> {
    let fatal = |message: String| Err(Problem::Fatal(message));
    let token = match serde_json::from_str::<Token>(token) {
        Ok(token) => token,
        // The parser's message would show parts of the token.
        Err(_) => return fatal("the job token can not be read".to_owned()),
    };
    if token.v > TOKEN_VERSION {
        return fatal(format!(
            "the job token has version {}, and this plugin reads up to {TOKEN_VERSION}: the job \
             was started by a newer plugin",
            token.v
        ));
    }
    if !is_job_id(&token.id) {
        return fatal("the job token does not hold a usable job id".to_owned());
    }
    let segment = |part: &str| {
        if part == "{id}" {
            token.id.clone()
        } else {
            part.to_owned()
        }
    };
    let path = options
        .job_path
        .split('/')
        .map(segment)
        .collect::<Vec<_>>()
        .join("/");
    Ok(Request {
        method: "GET".to_owned(),
        path,
        query: Vec::new(),
        headers: vec![accept()],
        body: Body::None,
        extra: Vec::new(),
    })
}

/// Whether the destination does not know the job that it was asked about.
pub fn is_unknown(answer: &Result<Response, Failure>) -> bool {
    matches!(answer, Ok(answer) if answer.status == 404)
}

/// What the answer to [`question`] says about the job.
pub fn status(
    answer: &Result<Response, Failure>,
    options: &Options,
) -> Result<ImportStatus, Problem> {
    let pending = |message: &str| {
        let message = message.to_owned();
        Ok(ImportStatus::Pending(Progress {
            message,
            done: None,
            total: None,
        }))
    };
    let answer = match (judge(Call::Poll, answer, &[]), answer) {
        (Verdict::Problem(problem), _) => return Err(problem),
        (Verdict::Gone(message), _) => {
            return Ok(ImportStatus::Failed(Report::from(Ended {
                message,
                ..Ended::default()
            })));
        }
        (_, Ok(answer)) => answer,
        (_, Err(_)) => return Err(Problem::Transient("no answer".to_owned())),
    };
    let Some(body) = answer::json(answer) else {
        return pending("the answer is not JSON");
    };
    let Some((word, pointer)) = answer::word_at(&body, &options.job_status_pointers) else {
        return pending("the answer holds no status");
    };
    // Whatever else is told about the job stands beside its status.
    let beside = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    let job = body.pointer(beside).unwrap_or(&body);
    let count = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| job.get(*name).and_then(Value::as_u64))
            .filter(|number| *number < NUMBERS)
    };

    let succeeded = is_word_of(&options.status_succeeded, &word);
    if !succeeded && !is_word_of(&options.status_failed, &word) {
        return Ok(ImportStatus::Pending(Progress {
            message: mask::message(&word, &[]),
            done: count(DONE),
            total: count(TOTAL),
        }));
    }
    let rows = refused_rows(&body, options);
    let said = match job.get("message").or_else(|| job.get("error")) {
        Some(said) => answer::message_in(said),
        None => String::new(),
    };
    let said = if said.is_empty() {
        word.as_ref()
    } else {
        said.as_str()
    };
    let listed = (!rows.is_empty()).then_some(rows.len() as u64);
    let report = Report::from(Ended {
        message: mask::message(said, &[]),
        accepted: count(ACCEPTED),
        created: count(CREATED),
        updated: count(UPDATED),
        unchanged: count(UNCHANGED),
        refused: count(REFUSED).or(listed),
        rows,
    });
    Ok(if succeeded {
        ImportStatus::Succeeded(report)
    } else {
        ImportStatus::Failed(report)
    })
}

/// The rows that the answer names as refused, from the first pointer that leads to a list.
fn refused_rows(body: &Value, options: &Options) -> Vec<Refused> {
    let list = options.job_errors_pointers.iter().find_map(|pointer| {
        let list = body.pointer(pointer)?.as_array()?;
        (!list.is_empty()).then_some(list)
    });
    let read = |entry: &Value| {
        let number = entry.get("row").or_else(|| entry.get("line"))?;
        let number = number
            .as_u64()
            .or_else(|| number.as_str()?.trim().parse().ok());
        let row = number.filter(|row| (1..NUMBERS).contains(row))?;
        let said = answer::message_in(entry);
        let reason = match said.is_empty() {
            true => "the destination gave no reason".to_owned(),
            false => mask::message(&said, &[]),
        };
        Some(Refused {
            row: Some(row),
            field: field(entry),
            reason,
            ..Refused::default()
        })
    };
    list.into_iter().flatten().filter_map(read).collect()
}

/// The field that an entry blames, if it is one of the catalogue's: anything else could be a value.
fn field(entry: &Value) -> Option<String> {
    let named = entry
        .get("field")
        .or_else(|| entry.get("column"))?
        .as_str()?;
    let known = fields::by_name(named).is_some() || fields::custom_parts(named).is_some();
    known.then(|| named.to_owned())
}

/// The request of `check`.
pub fn check_request(options: &Options) -> Request {
    Request {
        method: "GET".to_owned(),
        path: options.check_path.clone(),
        query: Vec::new(),
        headers: vec![accept()],
        body: Body::None,
        extra: Vec::new(),
    }
}

/// What the answer to [`check_request`] proves.
pub fn check_answer(answer: &Result<Response, Failure>) -> Result<(), Problem> {
    match judge(Call::Check, answer, &[]) {
        Verdict::Problem(problem) => Err(problem),
        Verdict::Accepted => Ok(()),
        Verdict::Gone(_) | Verdict::Rejected(_) => Err(Problem::InvalidSettings(vec![finding(
            Place::Option("check_path".to_owned()),
            "can not be read",
        )])),
    }
}

fn accept() -> (String, String) {
    ("accept".to_owned(), "application/json".to_owned())
}

#[cfg(test)]
#[path = "import_job_tests.rs"]
mod tests;
