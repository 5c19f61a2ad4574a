//! Each function of the contract, and what goes wrong in it if it is asked to.

use std::sync::OnceLock;

use serde_json::{Map, Value};
use sluice_guest::http::{self, Body, Failure, Request, Response};
use sluice_guest::{
    Batch, Delivery, Ended, File, Finding, ImportStatus, Place, Problem, Rejection, Report, Rows,
    Settings, Staged, Throttle,
};

use crate::answer::{Verdict, judge};
use crate::member::Plan;
use crate::options::Options;
use crate::{deliver, import, request};

/// What an instance works under.
struct Session {
    options: Options,
    plan: Plan,
    /// The rule that it breaks.
    how: String,
    /// What the host says that no contract knows: another thing in each call.
    unknown: String,
}

static SESSION: OnceLock<Session> = OnceLock::new();

fn session() -> Result<&'static Session, Problem> {
    SESSION
        .get()
        .ok_or_else(|| Problem::Fatal("not open".to_owned()))
}

fn finding(place: Place, message: &str) -> Finding {
    Finding {
        place,
        message: message.to_owned(),
    }
}

/// Takes the settings, or does not.
pub fn open(mut settings: Settings) -> Result<(), Problem> {
    let mut given: Map<String, Value> = serde_json::from_str(&settings.options).unwrap_or_default();
    let how = given.remove("how").unwrap_or(Value::from(""));
    let Value::String(how) = how else {
        let place = Place::Option("how".to_owned());
        let found = vec![finding(place, "the name of a rule is a text")];
        return Err(Problem::InvalidSettings(found));
    };
    if how == "open-accepts" {
        let found = vec![finding(Place::Mapping, "not today")];
        return Err(Problem::InvalidSettings(found));
    }
    if how == "open-unknown-field" || how == "open-mapping" {
        let mut seen = vec![];
        for (index, column) in settings.columns.iter_mut().enumerate() {
            let name = column.destination.clone();
            let unknown = name.contains('.') && how == "open-unknown-field";
            let again = seen.contains(&name) && how == "open-mapping";
            if unknown || again {
                column.destination = format!("any{index}");
            }
            seen.push(name);
        }
    }
    let text = match serde_json::from_str::<Map<String, Value>>(&settings.options) {
        Ok(_) => Value::Object(given).to_string(),
        Err(_) => settings.options.clone(),
    };
    let options = match Options::parse(&text) {
        Err(_) if how == "open-options" => Ok(Options::default()),
        Err(found) if how == "findings-have-places" => Err(found
            .into_iter()
            .map(|found| finding(Place::Option("elsewhere".to_owned()), &found.message))
            .collect()),
        options => options,
    };
    let unknown = settings.extra.iter().map(|(_, value)| value.as_str());
    let unknown: String = unknown.collect();
    match (options, Plan::new(&settings.columns)) {
        (Ok(options), Ok(plan)) => {
            if how == "no-early-requests" {
                let _ = http::send(&request("GET", &options.check_path));
            }
            let session = Session {
                options,
                plan,
                how,
                unknown,
            };
            let _ = SESSION.set(session);
            Ok(())
        }
        (options, plan) => {
            let found = [options.err(), plan.err()].into_iter().flatten().flatten();
            Err(Problem::InvalidSettings(found.collect()))
        }
    }
}

/// The exporter.
pub struct Bad;

impl Bad {
    pub fn check() -> Result<(), Problem> {
        let session = session()?;
        if session.how == "check-decides" {
            return Ok(());
        }
        let answer = http::send(&request("GET", &session.options.check_path));
        match judge(&answer, "check_path") {
            Verdict::Done(_) | Verdict::Refused(_) => Ok(()),
            Verdict::Problem(problem) => Err(problem),
        }
    }

    pub fn stage(mut rows: Batch, _offset: u64) -> Result<Staged, Problem> {
        let session = session()?;
        survive(session, &rows);
        match session.how.as_str() {
            "no-early-requests" => drop(http::send(&request("GET", &session.options.check_path))),
            "stage-keeps-text" => rows.cells = rows.cells.replace('"', "'"),
            "stage-unknown-kind" => rows.kinds.iter_mut().for_each(|kind| {
                if *kind > 7 {
                    *kind = 0;
                }
            }),
            "memory-bounded" => {
                for _ in 0..rows.rows {
                    std::hint::black_box(vec![1_u8; 32 << 10].leak());
                }
            }
            _ => {}
        }
        let mut staged = import::stage(&rows, &session.plan);
        match session.how.as_str() {
            "stage-header-once" => with_lines(&mut staged, |_, line| line.to_vec(), b"#\n"),
            "stage-same-again" => with_lines(
                &mut staged,
                |_, line| [line, session.unknown.as_bytes(), b"\n"].concat(),
                b"",
            ),
            "stage-chunks" => with_lines(
                &mut staged,
                |row, line| [format!("{{\"n\":{row},").as_bytes(), &line[1..]].concat(),
                b"",
            ),
            "stage-frames" => with_lines(
                &mut staged,
                |_, line| {
                    let text = String::from_utf8_lossy(line);
                    text.replace("\\n", "\n").replace("\\\"", "\"").into_bytes()
                },
                b"",
            ),
            "stage-identities" => {
                for row in 0..rows.rows {
                    staged.identity_ends.push(staged.identities.len() as u32);
                    staged.identity_rows.push(row);
                }
            }
            _ => {}
        }
        Ok(staged)
    }

    pub fn submit(file: File) -> Result<String, Problem> {
        let session = session()?;
        let mut request = import::submission(&file, &session.options);
        if session.how == "submit-sends-file" {
            request.body = Body::None;
        }
        let answer = http::send(&request);
        match (session.how.as_str(), &answer) {
            ("token-bounded", Ok(answer)) if answer.status == 200 => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                Ok(body["id"].as_str().unwrap_or("none").to_owned())
            }
            ("submit-decides", answer) => import::token(answer)
                .map_err(|_| Problem::Transient("something is wrong".to_owned())),
            (_, answer) => import::token(answer),
        }
    }

    pub fn poll(token: String) -> Result<ImportStatus, Problem> {
        let session = session()?;
        let nothing = || Report::from(Ended::default());
        let how = session.how.as_str();
        if how == "poll-fresh" {
            return Err(Problem::Fatal("nothing was submitted here".to_owned()));
        }
        let token = match how {
            "token-bounded" => format!("{{\"v\":1,\"id\":\"{token}\"}}"),
            _ => token,
        };
        let question = match import::question(&token, &session.options) {
            Err(_) if how == "poll-unknown-token" => {
                return Ok(ImportStatus::Succeeded(nothing()));
            }
            question => question?,
        };
        let answer = http::send(&question);
        let is_json = |answer: &Response| serde_json::from_slice::<Value>(&answer.body).is_ok();
        match &answer {
            Ok(answer) if how == "poll-decides" && answer.status == 200 && !is_json(answer) => {
                Ok(ImportStatus::Failed(nothing()))
            }
            answer => import::status(answer),
        }
    }

    pub fn deliver(mut rows: Batch) -> Result<Delivery, Problem> {
        let session = session()?;
        let (options, plan, how) = (&session.options, &session.plan, session.how.as_str());
        let count = rows.rows;
        survive(session, &rows);
        if how == "deliver-nothing" && count == 0 {
            let _ = http::send(&request("POST", &options.members_path));
        }
        // As if whoever enters were in the import already.
        if how == "deliver-accepts" && rows.changes.contains(&1) {
            rows.rows = 0;
        }
        // As if it waited for more.
        if how == "deliver-subset" && (4..12).contains(&count) {
            rows.rows -= 1;
        }
        if how == "deliver-order" {
            return Ok(all_at_once(&rows, session));
        }
        if how == "deliver-partial" {
            return Ok(first_answer(&rows, session));
        }
        let mut said = String::new();
        let send = |asked: &Request| {
            let mut asked = asked.clone();
            if how == "deliver-same-again" {
                let header = ("x-call".to_owned(), session.unknown.clone());
                asked.headers.push(header);
            }
            let answer = http::send(&asked)?;
            said = String::from_utf8_lossy(&answer.body).into_owned();
            let status = answer.status;
            let taken = how == "deliver-odd-answers" && !(400..600).contains(&status);
            Ok(Response {
                status: if taken { 200 } else { status },
                ..answer
            })
        };
        let mut delivery = deliver::deliver(&rows, plan, options, send);
        spoil(how, &mut delivery, &said);
        Ok(delivery)
    }
}

/// What is made of the good answer.
fn spoil(how: &str, delivery: &mut Delivery, said: &str) {
    let transient = || Some(Problem::Transient("something is wrong".to_owned()));
    let reject = |row: u32, reason: &str| Rejection {
        row,
        field: None,
        reason: reason.to_owned(),
    };
    match (how, &delivery.why) {
        ("deliver-unauthorized", Some(Problem::Unauthorized(_))) => delivery.why = transient(),
        ("deliver-throttled", Some(Problem::Throttled(throttle))) => {
            delivery.why = Some(Problem::Throttled(Throttle {
                retry_after_ms: None,
                ..throttle.clone()
            }));
        }
        ("deliver-transient", Some(Problem::Transient(_))) => {
            let rows = std::mem::take(&mut delivery.retry);
            let rows = rows.into_iter().map(|row| reject(row, "it did not work"));
            delivery.rejected.extend(rows);
            delivery.why = None;
        }
        ("deliver-refused", None) if !delivery.rejected.is_empty() => {
            let rows = std::mem::take(&mut delivery.rejected);
            delivery
                .retry
                .extend(rows.iter().map(|rejected| rejected.row));
            delivery.why = transient();
        }
        ("no-values-said", _) => {
            for rejection in &mut delivery.rejected {
                rejection.reason = format!("the receiver said: {said}");
            }
        }
        _ => {}
    }
}

/// One request a row.
fn single(rows: &Batch, session: &Session) -> Vec<Request> {
    let mut requests = vec![];
    for row in Rows::new(rows, session.plan.columns()).iter() {
        let mut body = String::new();
        session.plan.write(&row, &mut body);
        requests.push(Request {
            body: Body::Bytes(body.into_bytes()),
            ..request("POST", &session.options.members_path)
        });
    }
    requests
}

fn decided(answers: &[Result<Response, Failure>]) -> Delivery {
    let mut delivery = Delivery {
        rejected: vec![],
        retry: vec![],
        why: None,
        extra: vec![],
    };
    for (row, answer) in (0..).zip(answers) {
        match judge(answer, "members_path") {
            Verdict::Done(_) => {}
            Verdict::Refused(status) => delivery.rejected.push(Rejection {
                row,
                field: None,
                reason: format!("the receiver answered {status}"),
            }),
            Verdict::Problem(problem) => {
                delivery.retry.push(row);
                delivery.why.get_or_insert(problem);
            }
        }
    }
    delivery
}

/// Every row at the same time, whoever's it is.
fn all_at_once(rows: &Batch, session: &Session) -> Delivery {
    decided(&http::send_all(&single(rows, session)))
}

/// Every row by itself, and all of them judged by what became of the first.
fn first_answer(rows: &Batch, session: &Session) -> Delivery {
    let requests = single(rows, session);
    let answers: Vec<_> = requests.iter().map(http::send).collect();
    let all: Vec<_> = answers.iter().map(|_| answers[0].clone()).collect();
    decided(&all)
}

/// Fails on some rows.
fn survive(session: &Session, rows: &Batch) {
    let fine = session.how != "survives" || !rows.cells.contains('%');
    assert!(fine, "a `%`: nobody has ever seen one");
}

/// Each line made anew, behind another header.
fn with_lines(staged: &mut Staged, line: impl Fn(usize, &[u8]) -> Vec<u8>, header: &[u8]) {
    let old = std::mem::take(&mut staged.bytes);
    let mut begin = staged.start as usize;
    staged.bytes.extend(header);
    staged.start = header.len() as u32;
    for (row, end) in staged.ends.iter_mut().enumerate() {
        let bytes = &old[begin..*end as usize];
        begin = *end as usize;
        if !bytes.is_empty() {
            staged.bytes.extend(line(row, bytes));
        }
        *end = staged.bytes.len() as u32;
    }
}
