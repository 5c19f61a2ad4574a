use super::*;

impl Account {
    async fn control(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let url = format!("{}{path}", self.sim.base());
        let request = self
            .client
            .request(method.parse().unwrap(), url)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

#[tokio::test]
async fn users_come_as_sorted_lines() {
    let account = Account::plain().await;
    for id in ["c", "a", "b"] {
        account.post(json!({"record_id": id})).await.unwrap();
    }
    let (_, text) = account.control("GET", "/users", json!({})).await;
    let ids: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["record_id"].take())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[tokio::test]
async fn requests_are_logged_with_their_effects_and_never_the_key() {
    let account = Account::plain().await;
    account
        .post(json!({"record_id": "a", "city": "Bonn"}))
        .await
        .unwrap();
    account
        .import("email\na@example.com\nb@example.com\n")
        .await;
    let (_, text) = account.control("GET", "/requests", json!({})).await;
    assert!(!text.contains("demo-key"));
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["record_id"], "a");
    assert_eq!(lines[0]["effect"], 1);
    assert_eq!(lines[0]["body"]["city"], "Bonn");
    assert_eq!(lines[1]["rows"], 2);
    assert_eq!(lines[1]["fields"], json!({"import_type": "demo"}));
    assert_eq!(lines[1]["files"][0]["file_name"], "users-1.csv");
    assert_eq!(lines[1]["files"][0]["content_type"], "text/plain");
}

#[tokio::test]
async fn the_log_forgets_the_oldest_beyond_its_cap() {
    let account = Account::new(Config {
        log_cap: 2,
        ..Config::default()
    })
    .await;
    for id in ["a", "b", "c"] {
        account.post(json!({"record_id": id})).await.unwrap();
    }
    assert_eq!(account.sim.requests().len(), 2);
    assert_eq!(account.sim.stats()["requests_not_in_log"], 1);
}

#[tokio::test]
async fn stats_name_every_field_that_ever_came() {
    let account = Account::plain().await;
    account
        .import("email,custom_attributes.resci.vip\na@example.com,\n")
        .await;
    account.sim.settled().await;
    account
        .post(json!({"record_id": "a", "newsletter_opt_in": true}))
        .await
        .unwrap();
    account.post(json!({})).await.unwrap();
    let (_, text) = account.control("GET", "/stats", json!({})).await;
    let stats: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        stats["fields"],
        json!([
            "custom_attributes.resci.vip",
            "email",
            "newsletter_opt_in",
            "record_id"
        ])
    );
    assert_eq!(stats["users"], 2);
    assert_eq!(stats["imports"], 1);
    assert_eq!(stats["rows"], 1);
    assert_eq!(stats["unknown_fields"], 1);
    assert_eq!(stats["requests_by_status"], json!({"201": 2, "400": 1}));
}

#[tokio::test]
async fn the_clock_is_advanced_and_waits_for_the_jobs() {
    let account = Account::new(Config {
        processing_delay_ms: 3_600_000,
        ..Config::default()
    })
    .await;
    account
        .control("POST", "/clock", json!({"mode": "manual"}))
        .await;
    account.import("email\na@example.com\n").await;
    let advance = json!({"advance_ms": 3_600_000});
    let (_, text) = account.control("POST", "/clock", advance).await;
    assert!(text.contains("manual"), "{text}");
    assert_eq!(account.sim.users().len(), 1);
    let (_, jobs) = account.control("GET", "/jobs", json!({})).await;
    assert!(jobs.contains("succeeded"), "{jobs}");
}

#[tokio::test]
async fn faults_attributes_and_settings_are_set_from_outside() {
    let account = Account::plain().await;
    let faults = json!([{"kind": {"status": {"code": 503}}, "times": 1}, {"job": "failed"}]);
    assert_eq!(account.control("POST", "/faults", faults).await.0, 204);
    assert_eq!(account.answer("POST", "/users", json!({})).await.0, 503);
    assert_eq!(
        account
            .control("POST", "/faults", json!([{"kind": "odd"}]))
            .await
            .0,
        400
    );

    let attributes = json!([{"group": "resci", "name": "since", "type": "date"}]);
    account.control("PUT", "/attributes", attributes).await;
    let user = json!({"record_id": "a", "custom_attributes": {"resci": {"since": "2020"}}});
    assert_eq!(account.answer("POST", "/users", user).await.0, 400);

    let patch = json!({"create_code": 200});
    let (status, text) = account.control("PUT", "/config", patch).await;
    assert_eq!(status, 200);
    assert!(!text.contains("demo-key"));
    assert_eq!(
        account.control("PUT", "/config", json!({"odd": 1})).await.0,
        400
    );
    assert_eq!(
        account
            .answer("POST", "/users", json!({"record_id": "a"}))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_reset_forgets_everything_but_the_settings() {
    let account = Account::plain().await;
    account.sim.set_clock(ClockMode::Manual);
    account
        .sim
        .patch_config(&json!({"processing_delay_ms": 10}))
        .unwrap();
    account.post(json!({"record_id": "a"})).await.unwrap();
    account.import("email\na@example.com\n").await;
    account.control("POST", "/reset", json!({})).await;
    account.sim.advance(10).await;
    assert!(account.sim.users().is_empty() && account.sim.jobs().is_empty());
    assert_eq!(account.sim.stats()["requests"], 0);
    assert_eq!(account.sim.config().processing_delay_ms, 10);
}

#[tokio::test]
async fn a_test_can_wait_for_what_happens() {
    let account = Account::plain().await;
    let (_, response) = tokio::join!(
        account.sim.until(|sim| sim.counts().creates == 1),
        account.post(json!({"record_id": "a"})),
    );
    assert_eq!(response.unwrap().status(), 201);
}

#[tokio::test]
async fn a_stopped_simulator_refuses_connections() {
    let account = Account::plain().await;
    let url = account.sim.url();
    account.sim.stop().await;
    assert!(
        account
            .client
            .get(url)
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
}
