//! Each function of the contract, and what goes wrong in it if it is asked to.

use std::sync::OnceLock;

use serde_json::{Map, Value};
use sluice_guest::http::{self, Body, Failure, Request, Response};
use sluice_guest::{
    Batch, Delivery, Ended, File, Finding, ImportStatus, Place, Problem, Progress, Report,
    Settings, Staged,
};

use crate::answer::{Verdict, judge};
use crate::member::Plan;
use crate::options::Options;
use crate::{deliver, import, kinds, request, spoilt};

/// What an instance works under.
pub struct Session {
    pub options: Options,
    pub plan: Plan,
    /// The rule that it breaks, and behind a `/` which of several ways to do so.
    pub how: String,
    /// The kind of destination that it is, which is no fault.
    pub kind: String,
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
    let kind = given.remove("kind").unwrap_or(Value::from(""));
    let (Value::String(how), Value::String(kind)) = (how, kind) else {
        let place = Place::Option("how".to_owned());
        let found = vec![finding(place, "the name of a rule is a text")];
        return Err(Problem::InvalidSettings(found));
    };
    // As if the schema knew an option that the code does not.
    if how == "open-options" && given.contains_key("check_path") {
        let place = Place::Option("check_path".to_owned());
        let found = vec![finding(place, "there is no such option")];
        return Err(Problem::InvalidSettings(found));
    }
    if how == "open-options/fatal" && given.values().any(|value| value == "/a b?c") {
        return Err(Problem::Fatal("not at such a path".to_owned()));
    }
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
    let options = Options::parse(&text);
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
                kind,
                unknown,
            };
            let _ = SESSION.set(session);
            Ok(())
        }
        (options, plan) => {
            let found = [options.err(), plan.err()].into_iter().flatten().flatten();
            let mut found: Vec<_> = found.collect();
            if how == "findings-have-places" {
                let of_all = found
                    .iter_mut()
                    .filter(|found| found.place == Place::Mapping);
                of_all.for_each(|found| found.place = Place::Column(99));
            }
            Err(Problem::InvalidSettings(found))
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
        let answer = kinds::send(session, &request("GET", &session.options.check_path));
        match judge(&answer, "check_path") {
            Verdict::Done(_) | Verdict::Refused(_) => Ok(()),
            Verdict::Problem(Problem::Transient(_)) if session.how == "no-values-said/check" => {
                Err(Problem::Transient(spoilt::quoted(&answer)))
            }
            Verdict::Problem(problem) => Err(problem),
        }
    }

    pub fn stage(mut rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let session = session()?;
        survive(session, &rows);
        if session.kind == "no-import" {
            return Err(Problem::Fatal("there is no import".to_owned()));
        }
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
        if let Some(table) = kinds::table(&session.kind) {
            let joined = session.how == "stage-frames";
            return Ok(table.stage(&rows, &session.plan, offset, joined));
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
        if session.kind == "no-import" {
            return Err(Problem::Fatal("there is no import".to_owned()));
        }
        let mut request = import::submission(&file, &session.options);
        if session.how == "submit-sends-file" {
            request.body = Body::None;
        }
        let answer = kinds::send(session, &request);
        match (session.how.as_str(), &answer) {
            ("no-values-said/submit", answer) => import::token(answer).map_err(|why| match why {
                Problem::Fatal(_) => Problem::Fatal(spoilt::quoted(answer)),
                why => why,
            }),
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
        let pending = |message: String| {
            ImportStatus::Pending(Progress {
                message,
                done: None,
                total: None,
            })
        };
        let question = match import::question(&token, &session.options) {
            Err(_) if how == "poll-unknown-token" => {
                return Ok(ImportStatus::Succeeded(nothing()));
            }
            Err(_) if how == "poll-unknown-token/waits" => return Ok(pending(String::new())),
            question => question?,
        };
        let answer = kinds::send(session, &question);
        let is_json = |answer: &Response| serde_json::from_slice::<Value>(&answer.body).is_ok();
        match &answer {
            Ok(answer) if how == "poll-decides" && answer.status == 200 && !is_json(answer) => {
                Ok(ImportStatus::Failed(nothing()))
            }
            // It may be there the next time.
            Ok(answer) if how == "poll-job-gone" && matches!(answer.status, 404 | 410) => {
                Ok(pending("not known yet".to_owned()))
            }
            answer if how == "no-values-said/poll" => match import::status(answer)? {
                ImportStatus::Pending(_) => Ok(pending(spoilt::quoted(answer))),
                status => Ok(status),
            },
            answer if how == "no-values-said/report" => match import::status(answer)? {
                ImportStatus::Failed(report) => Ok(ImportStatus::Failed(Report {
                    message: spoilt::quoted(answer),
                    ..report
                })),
                status => Ok(status),
            },
            answer => import::status(answer),
        }
    }

    pub fn deliver(mut rows: Batch) -> Result<Delivery, Problem> {
        let session = session()?;
        let (options, plan, how) = (&session.options, &session.plan, session.how.as_str());
        let count = rows.rows;
        survive(session, &rows);
        if how == "deliver-nothing" && count == 0 {
            let _ = kinds::send(session, &request("POST", &options.members_path));
        }
        // As if whoever enters were in the import already.
        if how == "deliver-accepts" && rows.changes.contains(&1) {
            rows.rows = 0;
        }
        // As if it waited for more.
        if how == "deliver-subset" && (4..12).contains(&count) {
            rows.rows -= 1;
        }
        // As if whoever leaves were nobody's business.
        if (how == "deliver-exits" || session.kind == "ignores-exits") && rows.changes.contains(&3)
        {
            rows.rows = 0;
        }
        match (how, session.kind.as_str()) {
            ("deliver-order", _) => return Ok(spoilt::outbox(&rows, session)),
            ("deliver-partial", _) => return Ok(spoilt::first_answer(&rows, session)),
            ("deliver-partial/passing", _) => return Ok(spoilt::impatient(&rows, session)),
            ("no-values-said/key", _) => spoilt::remember(&rows),
            (_, "forms") => return Ok(kinds::forms(&rows, session, how == "deliver-frames")),
            (_, "asks-first") if rows.rows > 0 => kinds::ask_first(session)?,
            _ => {}
        }
        let mut said = String::new();
        let send = |asked: &Request| {
            let mut asked = asked.clone();
            if let Body::Bytes(body) = &mut asked.body {
                spoilt::body(how, body);
            }
            if how == "deliver-same-again" {
                let header = ("x-call".to_owned(), session.unknown.clone());
                asked.headers.push(header);
            }
            let answer = match kinds::send(session, &asked) {
                // It has acted, as the contract says.
                Err(Failure::TooLarge(_)) if how == "deliver-odd-answers/too-large" => {
                    return Ok(Response {
                        status: 200,
                        headers: vec![],
                        body: vec![],
                        extra: vec![],
                    });
                }
                answer => answer?,
            };
            said = String::from_utf8_lossy(&answer.body).into_owned();
            let status = answer.status;
            let taken = how == "deliver-odd-answers" && !(400..600).contains(&status);
            Ok(Response {
                status: if taken { 200 } else { status },
                ..answer
            })
        };
        let mut delivery = deliver::deliver(&rows, plan, options, send);
        spoilt::delivery(how, &mut delivery, &said);
        Ok(delivery)
    }
}

/// Fails on some rows.
fn survive(session: &Session, rows: &Batch) {
    let few = session.kind != "one-by-one" || rows.rows <= 1;
    assert!(few, "{} rows, where the manifest allows one", rows.rows);
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
