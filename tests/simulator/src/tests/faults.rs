use std::error::Error;

use super::*;
use crate::{Answer, FaultKind, JobFault, JobRule, Match, Rule};

async fn with(kind: FaultKind) -> Account {
    let account = Account::plain().await;
    let rule = Rule {
        first: Some(1),
        kind,
        ..Rule::default()
    };
    account.sim.set_faults(vec![rule], Vec::new());
    account
}

/// Whether somewhere below the error a connection was reset.
fn is_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionReset;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn a_reset_before_the_effect_changes_nothing() {
    let account = with(FaultKind::ResetBeforeEffect).await;
    let error = account.post(json!({"record_id": "a"})).await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert!(account.sim.users().is_empty());
    assert_eq!(
        account
            .post(json!({"record_id": "a"}))
            .await
            .unwrap()
            .status(),
        201
    );
}

#[tokio::test]
async fn a_reset_after_the_effect_loses_only_the_answer() {
    let account = with(FaultKind::ResetAfterEffect).await;
    let error = account.post(json!({"record_id": "a"})).await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(account.sim.users().len(), 1);
    let entry = &account.sim.requests()[0];
    assert_eq!(entry["status"], Value::Null);
    assert_eq!(entry["fault"], "reset_after_effect");
    assert_eq!(
        account
            .post(json!({"record_id": "a"}))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn the_answer_to_an_import_can_be_lost_although_the_job_runs() {
    let account = with(FaultKind::ResetAfterEffect).await;
    let form = form("users", "email\na@example.com\n");
    let request = account.request("POST", "/import_jobs").multipart(form);
    assert!(request.send().await.is_err());
    account.sim.settled().await;
    assert_eq!(account.sim.users().len(), 1);
}

#[tokio::test]
async fn a_status_is_answered_without_effect() {
    let account = with(FaultKind::Status(Answer {
        code: 503,
        body: Some("<busy>".into()),
        retry_after: Some(7),
    }))
    .await;
    let response = account.post(json!({"record_id": "a"})).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(response.text().await.unwrap(), "<busy>");
    assert!(account.sim.users().is_empty());
}

#[tokio::test]
async fn a_500_without_a_body_of_its_own_has_errors() {
    let account = with(FaultKind::Status(Answer {
        code: 500,
        body: None,
        retry_after: None,
    }))
    .await;
    let (status, body) = account.answer("POST", "/users", json!({})).await;
    assert_eq!(status, 500);
    assert!(body["errors"].is_array());
}

#[tokio::test]
async fn spoilt_answers_come_after_the_effect() {
    for kind in [
        FaultKind::TruncatedJson,
        FaultKind::NotJson,
        FaultKind::SlowDrip(0),
        FaultKind::LatencyMs(1),
    ] {
        let account = with(kind.clone()).await;
        let response = account.post(json!({"record_id": "a"})).await.unwrap();
        assert_eq!(response.status(), 201);
        let readable = match response.bytes().await {
            Ok(body) => serde_json::from_slice::<Value>(&body).is_ok(),
            Err(_) => false,
        };
        let whole = matches!(kind, FaultKind::SlowDrip(_) | FaultKind::LatencyMs(_));
        assert_eq!(readable, whole, "{kind:?}");
        assert_eq!(account.sim.users().len(), 1);
    }
}

#[tokio::test]
async fn a_fault_keeps_to_its_path() {
    let account = Account::plain().await;
    let rule = Rule {
        matches: Match {
            method: Some("POST".into()),
            path_prefix: Some("/import_jobs".into()),
        },
        kind: FaultKind::ResetBeforeEffect,
        ..Rule::default()
    };
    account.sim.set_faults(vec![rule], Vec::new());
    assert_eq!(
        account
            .post(json!({"record_id": "a"}))
            .await
            .unwrap()
            .status(),
        201
    );
}

#[tokio::test]
async fn jobs_can_be_stuck_fail_or_be_forgotten() {
    let account = Account::plain().await;
    let jobs =
        [JobFault::Stuck, JobFault::Failed, JobFault::Unknown].map(|job| JobRule { job, next: 1 });
    account.sim.set_faults(Vec::new(), jobs.into());
    let csv = "email\na@example.com\n";
    let stuck = account.import(csv).await;
    let failed = account.import(csv).await;
    let unknown = account.import(csv).await;
    account.sim.settled().await;
    account.sim.until_job(&stuck, "processing").await;
    assert_eq!(account.job(&failed).await.1["status"], "failed");
    assert_eq!(account.job(&unknown).await.0, 404);
    assert!(account.sim.users().is_empty());
    let healthy = account.import(csv).await;
    account.sim.settled().await;
    assert_eq!(account.job(&healthy).await.1["status"], "succeeded");
}
