//! Whether an import job is started, found again, and believed only where it can be.

use crate::plugin::types::{Body, Content, ImportStatus, Problem, Response};

use super::answers::{Good, always, garbage, response, troubles, with_header};
use super::bench::{Bench, Called, FILE};
use super::open::told;
use super::report::{Amiss, Outcome, broken, ensure, skip};
use super::subject::Subject;

async fn submit(
    bench: &Bench,
    subject: &Subject,
    answer: Result<Response, crate::plugin::types::Failure>,
) -> Called<String> {
    let script = always(answer);
    bench
        .submit(&subject.settings, &subject.policy, script)
        .await
}

/// The token of a job that was taken.
async fn token(bench: &Bench, subject: &Subject, good: &Good) -> Result<String, Amiss> {
    let called = submit(bench, subject, Ok(good.submitted.clone())).await;
    match called.decided() {
        Ok(Ok(token)) => Ok(token),
        _ => skip("there is no token to ask with: see `submit-sends-file`"),
    }
}

pub async fn sends(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let called = submit(bench, subject, Ok(good.submitted.clone())).await;
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
    let call = async |answer| submit(bench, subject, answer).await.decided();
    judge_common(call).await?;
    let refused = submit(bench, subject, Ok(response(422, "{}")))
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
    judge_common(poll).await?;
    for (name, answer) in garbage(&good.succeeded) {
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
    call: impl AsyncFn(
        Result<Response, crate::plugin::types::Failure>,
    ) -> Result<Result<T, Problem>, String>,
) -> Outcome {
    let refused = call(Ok(response(401, "{}"))).await;
    ensure(matches!(refused, Ok(Err(Problem::Unauthorized(_)))), || {
        format!("with 401: {}", told(&refused))
    })?;
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
        ensure(matches!(said, Ok(Err(Problem::Transient(_)))), || {
            format!("with {name}: {}", told(&said))
        })?;
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
        if let Err(error) = submit(bench, subject, Ok(answer)).await.decided() {
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
        let script = always(Ok(answer.clone()));
        let called = bench.poll(&subject.settings, &subject.policy, &token, script);
        let called = called.await;
        ensure(!called.asked.is_empty(), || "it asked nothing".to_owned())?;
        let said = called.decided();
        let found = match &said {
            Ok(Ok(ImportStatus::Pending(_))) => "pending",
            Ok(Ok(ImportStatus::Succeeded(_))) => "succeeded",
            Ok(Ok(ImportStatus::Failed(_))) => "failed",
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
        let script = always(Ok(good.succeeded.clone()));
        let called = bench.poll(&subject.settings, &subject.policy, token, script);
        let called = called.await;
        let asked = called.asked.len();
        let said = called.decided();
        let shown = &token[..token.len().min(20)];
        let believed = matches!(said, Ok(Ok(ImportStatus::Succeeded(_)))) && asked == 0;
        ensure(!believed && said.is_ok(), || {
            format!(
                "with the token {shown:?} and {asked} requests: {}",
                told(&said)
            )
        })?;
    }
    Ok(())
}
