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
async fn a_held_request_is_answered_once_the_rules_are_replaced() {
    let account = with(FaultKind::Held).await;
    let held = account.post(json!({"record_id": "a"}));
    let release = async {
        // Others go on meanwhile.
        let status = account.post(json!({"record_id": "b"})).await.unwrap();
        assert_eq!(status.status(), 201);
        assert_eq!(account.sim.users().len(), 1);
        account.sim.clear_faults();
    };
    // In this order: the first request is the one that is struck.
    let struck = async {
        let of = |sim: &crate::Simulator| sim.stats()["faults"]["held"] == 1;
        while !of(&account.sim) {
            tokio::task::yield_now().await;
        }
        release.await;
    };
    let (answer, ()) = tokio::join!(held, struck);
    assert_eq!(answer.unwrap().status(), 201);
    assert_eq!(account.sim.users().len(), 2);
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

#[tokio::test]
async fn jobs_that_never_ended_go_on_when_they_are_released() {
    let account = Account::plain().await;
    let jobs = [JobFault::Stuck, JobFault::Unknown].map(|job| JobRule { job, next: 1 });
    account.sim.set_faults(Vec::new(), jobs.into());
    let named = |name: &'static str, city: &str| {
        let text = format!("email,city\n{name}@example.com,{city}\n");
        let part = reqwest::multipart::Part::text(text).file_name(name);
        reqwest::multipart::Form::new()
            .text("import_type", "demo")
            .part("users", part)
    };
    account.submit(named("a", "Rome")).await;
    account.submit(named("b", "Rome")).await;
    let (_, again) = account.submit(named("a", "Bonn")).await;
    account.sim.settled().await;
    assert_eq!(account.sim.users().len(), 1);
    let url = format!("{}/jobs/release", account.sim.base());
    assert_eq!(account.client.post(url).send().await.unwrap().status(), 204);
    account.sim.settled().await;
    let cities: Vec<Value> = account
        .sim
        .users()
        .into_iter()
        .map(|mut user| user["city"].take())
        .collect();
    // The first upload of `a` was overtaken by the second, and must not undo it.
    assert_eq!(cities, ["Bonn", "Rome"]);
    assert_eq!(account.job("1").await.1["status"], "processing");
    assert_eq!(account.job("2").await.1["status"], "succeeded");
    assert_eq!(again["id"], "3");
}

#[tokio::test]
async fn a_job_waits_for_those_that_were_submitted_before() {
    let account = Account::plain().await;
    let slow = json!({"processing_delay_ms": 60_000});
    account.sim.patch_config(&slow).unwrap();
    account.sim.set_clock(crate::ClockMode::Manual);
    account.import("email,city\na@example.com,Rome\n").await;
    let quick = json!({"processing_delay_ms": 0});
    account.sim.patch_config(&quick).unwrap();
    account.import("email,city\na@example.com,Bonn\n").await;
    account.sim.settled().await;
    assert!(account.sim.users().is_empty());
    account.sim.advance(60_000).await;
    assert_eq!(account.sim.users()[0]["city"], "Bonn");
}

#[tokio::test]
async fn stats_say_how_often_each_fault_has_struck() {
    let account = Account::plain().await;
    let users = |kind, times| Rule {
        matches: Match {
            method: Some("POST".into()),
            path_prefix: Some("/users".into()),
        },
        times: Some(times),
        kind,
        ..Rule::default()
    };
    let busy = FaultKind::Status(Answer {
        code: 503,
        body: None,
        retry_after: None,
    });
    let rules = vec![
        users(busy, 2),
        users(FaultKind::NotJson, 1),
        users(FaultKind::SlowDrip(0), 0),
    ];
    let failed = JobRule {
        job: JobFault::Failed,
        next: 2,
    };
    account.sim.set_faults(rules, vec![failed]);
    for _ in 0..4 {
        account.post(json!({"record_id": "a"})).await.unwrap();
    }
    account.import("email\na@example.com\n").await;
    account.sim.clear_faults();
    let limit = json!({"rate_limit": {"per_second": 1}});
    account.sim.set_clock(crate::ClockMode::Manual);
    account.sim.patch_config(&limit).unwrap();
    // Those of this second that came before were not counted.
    for _ in 0..3 {
        account.post(json!({"record_id": "a"})).await.unwrap();
    }
    let struck = json!({"status_503": 2, "not_json": 1, "job_failed": 1, "rate_limit": 2});
    assert_eq!(account.sim.stats()["faults"], struck);
}

#[tokio::test]
async fn it_is_quiet_once_the_last_request_is_over() {
    let account = with(FaultKind::LatencyMs(20)).await;
    let asked = account.post(json!({"record_id": "a"}));
    let quiet = async {
        // It has arrived and is not answered: nothing tells of that.
        while account.sim.stats()["requests"] != 1 {
            tokio::task::yield_now().await;
        }
        account.sim.quiet().await;
        assert_eq!(account.sim.users().len(), 1);
    };
    let (answer, ()) = tokio::join!(asked, quiet);
    assert_eq!(answer.unwrap().status(), 201);
}
