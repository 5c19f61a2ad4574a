//! Whether an import job is started, found again, and believed only where it can be.

use crate::capability::http::Script;
use crate::plugin::flat::Kind;
use crate::plugin::types::{Body, Content, Failure, ImportStatus, Problem, Response};

use super::answers::{Good, always, garbage, passes, response, troubles, with_header};
use super::bench::{Bench, Called, FILE};
use super::open::told;
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::subject::Subject;

/// How often a job is asked about that is gone. A plugin may wait a little for it to appear.
const PATIENCE: usize = 30;

async fn submit(bench: &Bench, subject: &Subject, script: Box<Script>) -> Called<String> {
    bench
        .submit(&subject.settings, &subject.policy, script)
        .await
}

/// The token of a job that was taken.
async fn token(bench: &Bench, subject: &Subject, good: &Good) -> Result<String, Amiss> {
    let called = submit(bench, subject, good.submitted.script()).await;
    match called.decided() {
        Ok(Ok(token)) => Ok(token),
        _ => skip("there is no token to ask with: see `submit-sends-file`"),
    }
}

pub async fn sends(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    if !subject.imports {
        return none(bench, subject, good).await;
    }
    let called = submit(bench, subject, good.submitted.script()).await;
    let sent = called.asked.iter().any(|asked| {
        let Body::Multipart(parts) = &asked.request.body else {
            return false;
        };
        asked.answer.is_ok()
            && parts
                .iter()
                .any(|part| part.content == Content::Staged(FILE.to_owned()))
    });
    let (requests, answer) = (called.asked.len(), called.decided());
    ensure(sent, || format!("of {requests} requests none had the file"))?;
    ensure(matches!(answer, Ok(Ok(_))), || {
        format!("it answered no token: {}", told(&answer))
    })
}

pub async fn submit_decides(bench: &Bench, subject: &Subject) -> Outcome {
    let call = async |answer| submit(bench, subject, always(answer)).await.decided();
    judge_common(subject, call).await?;
    let refused = submit(bench, subject, always(Ok(response(422, "{}"))))
        .await
        .decided();
    ensure(
        matches!(
            refused,
            Ok(Err(Problem::Fatal(_) | Problem::InvalidSettings(_)))
        ),
        || format!("with 422: {}", told(&refused)),
    )
}

pub async fn poll_decides(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let token = &token(bench, subject, good).await?;
    let poll = async |answer| {
        let script = always(answer);
        let called = bench.poll(&subject.settings, &subject.policy, token, script);
        called.await.decided()
    };
    judge_common(subject, poll).await?;
    for (name, answer) in garbage(&good.succeeded.longest()) {
        let said = poll(Ok(answer)).await;
        let ends = matches!(
            said,
            Ok(Ok(ImportStatus::Succeeded(_) | ImportStatus::Failed(_))) | Err(_)
        );
        ensure(!ends, || format!("with {name}: {}", told(&said)))?;
    }
    Ok(())
}

/// What holds for every call that asks the destination.
async fn judge_common<T>(
    subject: &Subject,
    call: impl AsyncFn(Result<Response, Failure>) -> Result<Result<T, Problem>, String>,
) -> Outcome {
    if subject.authenticates {
        let refused = call(Ok(response(401, "{}"))).await;
        ensure(matches!(refused, Ok(Err(Problem::Unauthorized(_)))), || {
            format!("with 401: {}", told(&refused))
        })?;
    }
    let patience = with_header(response(429, "{}"), "retry-after", "7");
    match call(Ok(patience)).await {
        Ok(Err(Problem::Throttled(throttle))) if throttle.retry_after_ms == Some(7_000) => {}
        Ok(Err(Problem::Throttled(throttle))) => {
            return broken(format!(
                "with 429 and `Retry-After: 7`: throttled, and retry-after-ms is {:?}",
                throttle.retry_after_ms
            ));
        }
        other => return broken(format!("with 429: {}", told(&other))),
    }
    for (name, answer) in troubles() {
        let said = call(answer).await;
        let passes = matches!(&said, Ok(Err(problem)) if passes(&name, problem));
        ensure(passes, || format!("with {name}: {}", told(&said)))?;
    }
    Ok(())
}

pub async fn token_bounded(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let first = token(bench, subject, good).await?;
    let second = token(bench, subject, good).await?;
    ensure(first == second, || "the same job has two tokens".to_owned())?;
    for id in [
        "x".repeat(100_000),
        "line\\nbreak".to_owned(),
        String::new(),
    ] {
        let body = format!(r#"{{"id":"{id}"}}"#);
        let answer = with_header(response(200, &body), "location", &format!("/jobs/{id}"));
        if let Err(error) = submit(bench, subject, always(Ok(answer))).await.decided() {
            return broken(format!("with a job's id of {} bytes: {error}", id.len()));
        }
    }
    Ok(())
}

pub async fn fresh(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let token = token(bench, subject, good).await?;
    for (name, answer) in [
        ("pending", &good.pending),
        ("succeeded", &good.succeeded),
        ("failed", &good.failed),
    ] {
        let script = answer.script();
        let called = bench.poll(&subject.settings, &subject.policy, &token, script);
        let called = called.await;
        ensure(!called.asked.is_empty(), || "it asked nothing".to_owned())?;
        let said = called.decided();
        let found = match &said {
            Ok(Ok(status)) => named(status),
            _ => return broken(format!("of a job that is {name}: {}", told(&said))),
        };
        ensure(found == name, || {
            format!("a job that is {name} counts as {found}")
        })?;
    }
    Ok(())
}

pub async fn unknown_token(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let long = "x".repeat(4_096);
    for token in [
        "",
        "?",
        "{}",
        "null",
        "{\"v\":99,\"id\":\"a\"}",
        "../users",
        &long,
    ] {
        let script = good.succeeded.script();
        let called = bench.poll(&subject.settings, &subject.policy, token, script);
        let called = called.await;
        let asked = called.asked.len();
        let said = called.decided();
        let shown = &token[..token.len().min(20)];
        // Without asking, a job that is not done stays so for ever.
        let believed = asked == 0
            && matches!(
                said,
                Ok(Ok(ImportStatus::Succeeded(_) | ImportStatus::Pending(_)))
            );
        ensure(!believed && said.is_ok(), || {
            let found = match &said {
                Ok(Ok(status)) => format!("the job is {}", named(status)),
                said => told(said),
            };
            format!("with the token {shown:?} and {asked} requests: {found}")
        })?;
    }
    Ok(())
}

/// A job that the destination does not know, or no longer.
pub async fn gone(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    for status in [404, 410] {
        // Anew, so that nothing is remembered of the questions before.
        let token = token(bench, subject, good).await?;
        let mut decided = false;
        let mut last = String::new();
        for _ in 0..PATIENCE {
            let script = always(Ok(response(status, "{}")));
            let called = bench.poll(&subject.settings, &subject.policy, &token, script);
            let said = called.await.decided();
            last = match &said {
                Ok(Ok(status)) => format!("the job is {}", named(status)),
                said => told(said),
            };
            match said {
                Ok(Ok(ImportStatus::Succeeded(_))) | Err(_) => {
                    return broken(format!("with {status}: {last}"));
                }
                Ok(Ok(ImportStatus::Failed(_)))
                | Ok(Err(Problem::Fatal(_) | Problem::InvalidSettings(_))) => {
                    decided = true;
                    break;
                }
                _ => {}
            }
        }
        ensure(decided, || {
            format!("with {status} {PATIENCE} times in a row: still {last}")
        })?;
    }
    Ok(())
}

/// What a plugin without import jobs answers where the host wants one.
async fn none(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let lasting =
        |problem: &Problem| matches!(problem, Problem::Fatal(_) | Problem::InvalidSettings(_));
    let row = subject.rows([1], Kind::Scan);
    let staged = bench.stage(&subject.settings, &row, 0).await.decided();
    ensure(matches!(&staged, Ok(Err(why)) if lasting(why)), || {
        format!("without imports `stage` answers: {}", told(&staged))
    })?;
    let submitted = submit(bench, subject, good.submitted.script())
        .await
        .decided();
    ensure(matches!(&submitted, Ok(Err(why)) if lasting(why)), || {
        format!("without imports `submit` answers: {}", told(&submitted))
    })
}

/// The contract's name of a status.
fn named(status: &ImportStatus) -> &'static str {
    match status {
        ImportStatus::Pending(_) => "pending",
        ImportStatus::Succeeded(_) => "succeeded",
        ImportStatus::Failed(_) => "failed",
    }
}
