//! Whether a plugin says a value of a member, in whatever people read.

use crate::capability::http::Script;
use crate::plugin::CallError;
use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::{
    Delivery, Failure, ImportStatus, Problem, Rejection, Report, Request, Response,
};

use super::answers::{Good, Told, body, response};
use super::bench::{Bench, Called};
use super::deliver::{call, rows_of_a_batch};
use super::report::{Outcome, broken};
use super::subject::Subject;

/// A text that stands nowhere by chance.
const SECRET: &str = "kxqvzwjybfp";

/// What a destination answers that quotes a member.
const STATUSES: [u16; 11] = [200, 301, 400, 401, 404, 409, 410, 422, 429, 500, 503];

/// No value in what is said, of whatever the destination quotes.
pub async fn secrecy(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    if subject.imports {
        of_stage(bench, subject).await?;
    }
    of_deliver(bench, subject).await?;
    // These calls get no member, so a plugin cannot know one by its value; but the address of a member
    // shows what it is.
    let values = &[SECRET.to_owned()];
    let Subject {
        settings, policy, ..
    } = subject;
    for (answered, script) in quoting_a_member(&[&good.checked]) {
        let called = bench.check(settings, policy, script).await;
        silent(
            &format!("`check`, {answered},"),
            &said(&called, |()| vec![]),
            values,
        )?;
    }
    if !subject.imports {
        return Ok(());
    }
    for (answered, script) in quoting_a_member(&[&good.submitted]) {
        let called = bench.submit(settings, policy, script).await;
        silent(
            &format!("`submit`, {answered},"),
            &said(&called, |_| vec![]),
            values,
        )?;
    }
    let submitted = bench.submit(settings, policy, good.submitted.script());
    let Ok(token) = submitted.await.answer else {
        // That there is none is the finding of another rule.
        return Ok(());
    };
    for (answered, script) in quoting_a_member(&[&good.pending, &good.succeeded, &good.failed]) {
        let called = bench.poll(settings, policy, &token, script).await;
        silent(
            &format!("`poll`, {answered},"),
            &said(&called, of_status),
            values,
        )?;
    }
    Ok(())
}

async fn of_stage(bench: &Bench, subject: &Subject) -> Outcome {
    for column in 0..subject.columns() {
        for (kind, text) in [
            (cell::TEXT, SECRET.to_owned()),
            (cell::TEXT, format!("{SECRET} <{SECRET}@example.com>")),
            (cell::JSON, format!("[\"{SECRET}\"]")),
        ] {
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Scan, &[(column, kind, &text)]);
            let called = bench.stage(&subject.settings, &rows, 1).await;
            let said = said(&called, |staged| of_rejections(&staged.rejected));
            silent("`stage`", &said, &[SECRET.to_owned()])?;
        }
    }
    Ok(())
}

async fn of_deliver(bench: &Bench, subject: &Subject) -> Outcome {
    let count = rows_of_a_batch(bench);
    for column in 0..subject.columns() {
        let mut rows = Rows::default();
        let sample = &subject.samples[column];
        let mut values = vec![SECRET.to_owned()];
        for number in 0..count {
            let mut text = sample.of(number);
            if sample.is_free_text() {
                text = format!("{text} {SECRET}");
            }
            let but = [(column, sample.kind, text.as_str())];
            subject.row(&mut rows, number, Kind::Update, &but);
            let others = subject.samples.iter().filter(|sample| sample.varies());
            values.extend(others.map(|sample| sample.of(number)));
        }
        for status in STATUSES {
            let script: Box<Script> =
                Box::new(move |request, _| Ok(quoting(response(status, ""), &sent(request))));
            let called = call(bench, subject, &rows, script).await;
            let said = said(&called, of_delivery);
            let what = format!("`deliver`, answered with {status},");
            silent(&what, &said, &values)?;
        }
        let script: Box<Script> = Box::new(|request, _| Err(Failure::Interrupted(sent(request))));
        let called = call(bench, subject, &rows, script).await;
        silent(
            "`deliver`, cut short,",
            &said(&called, of_delivery),
            &values,
        )?;
    }
    Ok(())
}

/// What a request has brought.
fn sent(request: &Request) -> String {
    let body = String::from_utf8_lossy(&body(request)).into_owned();
    format!("{} {:?} {body}", request.path, request.query)
}

/// Answers, good ones and others, in which a member's address stands.
fn quoting_a_member(good: &[&Told]) -> Vec<(String, Box<Script>)> {
    let quoted = format!("row 1: {SECRET}@example.com is taken");
    let mut all: Vec<(String, Box<Script>)> = vec![];
    for told in good {
        let (told, quoted) = ((*told).clone(), quoted.clone());
        let script: Box<Script> =
            Box::new(move |request, _| Ok(quoting(told.to(request), &quoted)));
        all.push(("when all is well".to_owned(), script));
    }
    for status in STATUSES {
        let quoted = quoted.clone();
        let script: Box<Script> = Box::new(move |_, _| Ok(quoting(response(status, ""), &quoted)));
        all.push((format!("answered with {status}"), script));
    }
    let script: Box<Script> = Box::new(move |_, _| Err(Failure::Interrupted(quoted.clone())));
    all.push(("cut short".to_owned(), script));
    all
}

/// The same answer, in which this is said wherever somebody might look for it.
fn quoting(answer: Response, quoted: &str) -> Response {
    let body: serde_json::Value = match answer.body.is_empty() {
        true => serde_json::json!({}),
        false => serde_json::from_slice(&answer.body).unwrap_or_default(),
    };
    let serde_json::Value::Object(mut members) = body else {
        return answer;
    };
    for name in ["message", "error", "reason", "detail", "title"] {
        members.entry(name).or_insert_with(|| quoted.into());
    }
    for name in ["errors", "rejected", "row_errors"] {
        let row = serde_json::json!([{
            "index": 0, "row": 1, "message": quoted, "reason": quoted, "field": quoted,
        }]);
        members.entry(name).or_insert(row);
    }
    Response {
        body: serde_json::Value::Object(members).to_string().into_bytes(),
        ..answer
    }
}

/// Everything that a call has said for people.
fn said<T>(called: &Called<T>, of: impl Fn(&T) -> Vec<String>) -> Vec<String> {
    let mut said = called.lines.clone();
    said.extend(called.keys.clone());
    match &called.answer {
        Ok(answer) => said.extend(of(answer)),
        Err(CallError::Problem(problem)) => said.extend(of_problem(problem)),
        Err(error) => said.push(error.to_string()),
    }
    said
}

fn of_problem(problem: &Problem) -> Vec<String> {
    match problem {
        Problem::InvalidSettings(found) => found
            .iter()
            .map(|finding| finding.message.clone())
            .collect(),
        Problem::Throttled(throttle) => vec![throttle.message.clone()],
        Problem::Unauthorized(said) | Problem::Transient(said) | Problem::Fatal(said) => {
            vec![said.clone()]
        }
    }
}

fn of_delivery(delivery: &Delivery) -> Vec<String> {
    let mut said = of_rejections(&delivery.rejected);
    said.extend(delivery.why.iter().flat_map(of_problem));
    said
}

fn of_rejections(rejected: &[Rejection]) -> Vec<String> {
    let texts = rejected.iter();
    let texts = texts.flat_map(|rejection| [Some(&rejection.reason), rejection.field.as_ref()]);
    texts.flatten().cloned().collect()
}

fn of_status(status: &ImportStatus) -> Vec<String> {
    match status {
        ImportStatus::Pending(progress) => vec![progress.message.clone()],
        ImportStatus::Succeeded(report) | ImportStatus::Failed(report) => of_report(report),
    }
}

/// The identity of a refused row is for the host alone, which shows it to nobody.
fn of_report(report: &Report) -> Vec<String> {
    let rows = report.rows.iter();
    let rows = rows.flat_map(|row| [Some(&row.reason), row.field.as_ref()]);
    let texts = std::iter::once(Some(&report.message)).chain(rows);
    texts.flatten().cloned().collect()
}

fn silent(what: &str, said: &[String], values: &[String]) -> Outcome {
    let tells = said
        .iter()
        .find(|text| values.iter().any(|value| text.contains(value)));
    match tells {
        // Shown, since it is the suite's own value and the author must find the place.
        Some(text) => broken(format!("{what} says: {text}")),
        None => Ok(()),
    }
}
