//! What is made of good requests and good answers.

use sluice_guest::http::{Body, Failure, Request, Response};
use sluice_guest::{Batch, Delivery, Problem, Rejection, Rows, Throttle, state};

use crate::answer::{Verdict, judge};
use crate::faults::Session;
use crate::{deliver, kinds, request};

/// The name under which it keeps what is to go out later.
const OUTBOX: &str = "outbox";

/// The answer, passed on as it is.
pub fn quoted(answer: &Result<Response, Failure>) -> String {
    let said = answer
        .as_ref()
        .map(|answer| String::from_utf8_lossy(&answer.body));
    format!("the receiver said: {}", said.unwrap_or_default())
}

/// A body as somebody writes it who joins texts, or who reads them with a decoder that drops marks.
pub fn body(how: &str, body: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(body);
    match how {
        "deliver-frames" => *body = text.replace("\\n", "\n").replace("\\\"", "\"").into_bytes(),
        "deliver-frames/mark" => *body = text.replace('\u{feff}', "").into_bytes(),
        _ => {}
    }
}

/// Who was sent, by name.
pub fn remember(rows: &Batch) {
    let end = rows.ends.first().map_or(0, |end| *end as usize);
    // What cannot be a name is passed over.
    let _ = state::set(&rows.cells[..end], "sent");
}

/// What could not be delivered goes out with the next batch, whatever that says by then.
pub fn outbox(rows: &Batch, session: &Session) -> Delivery {
    let mut failed = vec![];
    let send = |asked: &Request| {
        let answer = kinds::send(session, asked);
        if let (Verdict::Problem(_), Body::Bytes(body)) =
            (judge(&answer, "members_path"), &asked.body)
        {
            failed.clone_from(body);
        }
        answer
    };
    let delivery = deliver::deliver(rows, &session.plan, &session.options, send);
    if failed.is_empty() {
        if let Ok(Some(body)) = state::get(OUTBOX) {
            let _ = kinds::send(
                session,
                &Request {
                    body: Body::Bytes(body.into_bytes()),
                    ..request("POST", &session.options.members_path)
                },
            );
        }
    } else {
        let _ = state::set(OUTBOX, &String::from_utf8_lossy(&failed));
    }
    delivery
}

/// Every row by itself: where others were taken, those that were not are set apart at once.
pub fn impatient(rows: &Batch, session: &Session) -> Delivery {
    let requests = single(rows, session);
    let answers: Vec<_> = requests
        .iter()
        .map(|asked| kinds::send(session, asked))
        .collect();
    let mut delivery = decided(&answers);
    if delivery.retry.len() + delivery.rejected.len() < answers.len() {
        let retry = std::mem::take(&mut delivery.retry);
        delivery.why = None;
        delivery
            .rejected
            .extend(retry.into_iter().map(|row| Rejection {
                row,
                field: None,
                reason: "the others were taken".to_owned(),
            }));
    }
    delivery
}

/// What is made of the good answer.
pub fn delivery(how: &str, delivery: &mut Delivery, said: &str) {
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
        ("no-values-said/why", Some(Problem::Transient(_))) => {
            delivery.why = Some(Problem::Transient(format!("the receiver said: {said}")));
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
pub fn single(rows: &Batch, session: &Session) -> Vec<Request> {
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

pub fn decided(answers: &[Result<Response, Failure>]) -> Delivery {
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

/// Every row by itself, and all of them judged by what became of the first.
pub fn first_answer(rows: &Batch, session: &Session) -> Delivery {
    let requests = single(rows, session);
    let answers: Vec<_> = requests
        .iter()
        .map(|asked| kinds::send(session, asked))
        .collect();
    let all: Vec<_> = answers.iter().map(|_| answers[0].clone()).collect();
    decided(&all)
}
