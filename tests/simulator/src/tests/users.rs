use super::*;

#[tokio::test]
async fn a_key_is_wanted_in_exactly_the_documented_form() {
    let account = Account::plain().await;
    let url = format!("{}/users", account.sim.url());
    for wrong in [
        "ApiKey other",
        "Bearer demo-key",
        "ApiKey  demo-key",
        "demo-key",
    ] {
        let request = account.client.get(&url).header("Authorization", wrong);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401, "{wrong}");
        assert!(
            serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).unwrap()["message"]
                .is_string()
        );
    }
    assert_eq!(account.client.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(
        account
            .request("GET", "/users")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn creates_with_201_and_updates_with_200() {
    let account = Account::plain().await;
    let user = json!({"record_id": "a", "email": "a@example.com", "custom_attributes":
        {"resci": {"credits_available": "12"}}});
    let (status, body) = account.answer("POST", "/users", user.clone()).await;
    assert_eq!((status, &body), (201, &json!({"id": "1"})));
    assert_eq!(account.answer("POST", "/users", user).await.0, 200);
    let (_, shown) = account.answer("GET", "/users/1", json!({})).await;
    assert_eq!(shown["custom_attributes"]["resci"]["credits_available"], 12);
    assert_eq!(account.sim.users(), [shown]);
}

#[tokio::test]
async fn patch_updates_by_email_and_creates_nobody() {
    let account = Account::plain().await;
    let patch = json!({"email": "A@example.com", "city": "Bonn"});
    assert_eq!(
        account.answer("PATCH", "/users", patch.clone()).await.0,
        404
    );
    account
        .post(json!({"email": "a@example.com"}))
        .await
        .unwrap();
    assert_eq!(account.answer("PATCH", "/users", patch).await.0, 200);
    assert_eq!(account.sim.users()[0]["city"], "Bonn");
    let unnamed = json!({"record_id": "a"});
    assert_eq!(account.answer("PATCH", "/users", unnamed).await.0, 400);
}

#[tokio::test]
async fn the_merge_flag_is_read_from_body_and_query() {
    for (path, flag) in [
        ("/users", json!({"merge_before_upsert": true})),
        ("/users?merge_before_upsert=true", json!({})),
    ] {
        let account = Account::plain().await;
        account.post(json!({"record_id": "a"})).await.unwrap();
        account
            .post(json!({"email": "b@example.com"}))
            .await
            .unwrap();
        let mut both = json!({"record_id": "a", "email": "b@example.com"});
        let (status, body) = account.answer("POST", "/users", both.clone()).await;
        assert_eq!(status, 409);
        assert!(body["message"].is_string());
        both.as_object_mut()
            .unwrap()
            .extend(flag.as_object().unwrap().clone());
        assert_eq!(account.answer("POST", path, both).await.0, 200);
        assert_eq!(account.sim.counts().merges, 1);
    }
}

#[tokio::test]
async fn the_welcome_flag_keeps_the_mail_from_new_users() {
    let account = Account::plain().await;
    let silent = json!({"record_id": "a", "send_transactional_welcome": false});
    account.post(silent).await.unwrap();
    assert_eq!(account.sim.counts().mails, 0);
    account.post(json!({"record_id": "b"})).await.unwrap();
    assert_eq!(account.sim.counts().mails, 1);
}

#[tokio::test]
async fn what_is_wrong_is_answered_400_with_a_message() {
    let account = Account::plain().await;
    for wrong in [
        json!({"city": "Bonn"}),
        json!({"email": "nobody"}),
        json!({"record_id": "a", "birthday": "1990-02-30"}),
        json!({"record_id": 7}),
        json!({"record_id": "a", "custom_attributes": {"resci": {"vip": "perhaps"}}}),
        json!([]),
    ] {
        let (status, body) = account.answer("POST", "/users", wrong).await;
        assert_eq!(status, 400);
        assert!(body["message"].is_string());
    }
    assert!(account.sim.users().is_empty());
}

#[tokio::test]
async fn codes_paths_and_limits_are_settings() {
    let account = Account::plain().await;
    account
        .sim
        .patch_config(&json!({"users_path": "/people", "create_code": 202,
            "max_body_bytes": 100}))
        .unwrap();
    assert_eq!(account.answer("POST", "/users", json!({})).await.0, 404);
    let user = json!({"record_id": "a"});
    assert_eq!(account.answer("POST", "/people", user).await.0, 202);
    let large = json!({"record_id": "a", "city": "x".repeat(100)});
    assert_eq!(account.answer("POST", "/people", large).await.0, 413);
}

#[tokio::test]
async fn too_many_requests_in_a_second_are_throttled() {
    let account = Account::plain().await;
    account.sim.set_clock(ClockMode::Manual);
    let limit = json!({"rate_limit": {"per_second": 2, "retry_after": 3}});
    account.sim.patch_config(&limit).unwrap();
    let mut last = None;
    for _ in 0..3 {
        last = Some(account.post(json!({"record_id": "a"})).await.unwrap());
    }
    let refused = last.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "3");
    account.sim.advance(1_000).await;
    let after = account.post(json!({"record_id": "a"})).await.unwrap();
    assert_eq!(after.status(), 200);
}
