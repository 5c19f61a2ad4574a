//! A destination of the contract 0.2.0, as an author wrote it once against what is published. Never
//! changed: the tests run it on every later host.
//!
//! It stages the first cell of each row as a line, starts an import job and asks about it, and sends each
//! change by itself.
//! What it sends names a list, which it makes once and remembers. The job refuses the member whose cell
//! says `refuse`, and names it by its identity.

wit_bindgen::generate!({
    path: "../../../../wit/blessed/0.2.0",
    world: "destination",
});

use std::cell::Cell;

use exports::sluice::sink::exporter::{
    AuthMethod, Batch, Counts, Credential, Delivery, File, Guest, ImportStatus, Limits, Manifest,
    Problem, RefusedRow, Report, Route, Settings, Staged,
};
use sluice::sink::http::{self, Body, Content, Failure, Part, Request};
use sluice::sink::{log, state};

/// The destination.
struct Frozen;

thread_local! {
    /// How many columns a row has.
    static COLUMNS: Cell<usize> = const { Cell::new(1) };
}

/// What says that a member is to be refused by the import job.
const REFUSE: &str = "refuse";

/// Where the list's id is remembered.
const LIST: &str = "list";

/// The first cell of each row.
fn cells(rows: &Batch) -> Vec<&str> {
    let columns = COLUMNS.get();
    (0..rows.rows as usize)
        .map(|row| {
            let index = row * columns;
            let start = match index {
                0 => 0,
                _ => rows.ends[index - 1] as usize,
            };
            &rows.cells[start..rows.ends[index] as usize]
        })
        .collect()
}

fn request(method: &str, path: &str, body: Body) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers: vec![],
        body,
        extra: vec![],
    }
}

fn send(request: Request) -> Result<(), Problem> {
    match http::send(&request) {
        Ok(answer) if answer.status < 300 => Ok(()),
        Ok(answer) => Err(Problem::Transient(format!("status {}", answer.status))),
        Err(Failure::Denied(reason)) => Err(Problem::Fatal(reason)),
        Err(_) => Err(Problem::Transient("no answer".to_owned())),
    }
}

/// The list's id: made once, and remembered. A list has a name, so that making it twice makes one.
fn list() -> Result<String, Problem> {
    if let Some(id) = state::get(LIST).map_err(failed)? {
        return Ok(id);
    }
    let id = "list-1".to_owned();
    let body = Body::Bytes(id.clone().into_bytes());
    send(request("POST", "/lists", body))?;
    match state::compare_and_set(LIST, None, Some(&id)) {
        Ok(()) => Ok(id),
        Err(state::Failure::Changed(Some(other))) => Ok(other),
        Err(failure) => Err(failed(failure)),
    }
}

fn failed(failure: state::Failure) -> Problem {
    match failure {
        state::Failure::Denied(reason) | state::Failure::TooLarge(reason) => Problem::Fatal(reason),
        state::Failure::Changed(_) | state::Failure::Unavailable(_) => {
            Problem::Transient("the list is not known".to_owned())
        }
    }
}

impl Guest for Frozen {
    fn describe() -> Manifest {
        let route = |method: &str, path: &str| Route {
            method: method.to_owned(),
            path: path.to_owned(),
            purpose: "what it does".to_owned(),
        };
        Manifest {
            name: "frozen".to_owned(),
            version: "7.0.1".to_owned(),
            description: "As it was written once".to_owned(),
            auth_methods: vec![AuthMethod {
                id: "key".to_owned(),
                label: "Key".to_owned(),
                credentials: vec![Credential {
                    id: "api-key".to_owned(),
                    label: "Key".to_owned(),
                    description: String::new(),
                }],
                headers: vec![("Authorization".to_owned(), "ApiKey {api-key}".to_owned())],
            }],
            endpoint: "https://frozen.invalid".to_owned(),
            routes: vec![
                route("POST", "/members"),
                route("POST", "/jobs"),
                route("GET", "/jobs/*"),
                route("POST", "/lists"),
            ],
            fields: vec![],
            custom_fields: None,
            options_schema: "{}".to_owned(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 8,
                deliver_rows: 8,
            },
            extra: vec![],
        }
    }

    fn open(settings: Settings) -> Result<(), Problem> {
        COLUMNS.set(settings.columns.len());
        Ok(())
    }

    fn check() -> Result<(), Problem> {
        state::get(LIST).map_err(failed)?;
        send(request("GET", "/jobs/none", Body::None))
    }

    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        if state::get(LIST).is_ok() {
            return Err(Problem::Fatal("`stage` may look at the state".to_owned()));
        }
        let mut staged = Staged {
            bytes: vec![],
            start: 0,
            ends: vec![],
            rejected: vec![],
            identities: String::new(),
            identity_ends: vec![],
            identity_rows: vec![],
            extra: vec![],
        };
        if offset == 0 {
            staged.bytes.extend(b"what\n");
        }
        staged.start = staged.bytes.len() as u32;
        for (row, cell) in cells(&rows).into_iter().enumerate() {
            staged.bytes.extend(cell.as_bytes());
            staged.bytes.push(b'\n');
            staged.ends.push(staged.bytes.len() as u32);
            staged.identities.push_str(cell);
            staged.identity_ends.push(staged.identities.len() as u32);
            staged.identity_rows.push(row as u32);
        }
        Ok(staged)
    }

    fn submit(file: File) -> Result<String, Problem> {
        list()?;
        let part = Part {
            name: "members".to_owned(),
            file_name: Some("members.txt".to_owned()),
            content_type: None,
            content: Content::Staged(file.id),
        };
        send(request("POST", "/jobs", Body::Multipart(vec![part])))?;
        log::write(log::Level::Info, "a job has begun");
        Ok(file.rows.to_string())
    }

    fn poll(token: String) -> Result<ImportStatus, Problem> {
        send(request("GET", &format!("/jobs/{token}"), Body::None))?;
        let rows: u64 = token
            .parse()
            .map_err(|_| Problem::Fatal("the token is none".to_owned()))?;
        Ok(ImportStatus::Succeeded(Report {
            message: "done".to_owned(),
            counts: Counts {
                accepted: Some(rows - 1),
                created: Some(rows - 2),
                updated: Some(1),
                unchanged: Some(0),
                refused: Some(1),
            },
            rows: vec![RefusedRow {
                row: None,
                identity: Some(REFUSE.to_owned()),
                field: Some("what".to_owned()),
                reason: "is not wanted".to_owned(),
            }],
            extra: vec![],
        }))
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        let list = list()?;
        let requests: Vec<_> = cells(&rows)
            .into_iter()
            .map(|cell| {
                let body = Body::Bytes(format!("{list} {cell}").into_bytes());
                request("POST", "/members", body)
            })
            .collect();
        let answers = http::send_all(&requests).into_iter().zip(0..);
        let retry: Vec<u32> = answers
            .filter(|(answer, _)| answer.is_err())
            .map(|(_, row)| row)
            .collect();
        Ok(Delivery {
            rejected: vec![],
            why: (!retry.is_empty()).then(|| Problem::Transient("no answer".to_owned())),
            retry,
            extra: vec![],
        })
    }
}

export!(Frozen);
