use super::*;

const CSV: &str = "record_id,email,city,custom_attributes.resci.credits_available\r\n\
    a,a@example.com,\"Bonn, am\n\"\"Rhein\"\"\",12\r\n\
    b,b@example.com,,\r\n";

#[tokio::test]
async fn a_job_runs_on_the_simulated_clock() {
    let account = Account::new(Config {
        queue_delay_ms: 60_000,
        processing_delay_ms: 3_540_000,
        ..Config::default()
    })
    .await;
    account.sim.set_clock(ClockMode::Manual);
    let id = account.import(CSV).await;
    assert_eq!(account.job(&id).await.1["status"], "queued");
    account.sim.advance(60_000).await;
    account.sim.until_job(&id, "processing").await;
    assert!(account.sim.users().is_empty());
    account.sim.advance(3_540_000).await;
    let (_, job) = account.job(&id).await;
    assert_eq!(
        job,
        json!({"id": id, "status": "succeeded", "rows": 2, "row_errors": []})
    );
    let users = account.sim.users();
    assert_eq!(users[0]["city"], "Bonn, am\n\"Rhein\"");
    assert_eq!(
        users[0]["custom_attributes"]["resci"]["credits_available"],
        12
    );
    assert_eq!(users[0]["source"], "import");
    assert_eq!(account.sim.counts().mails, 0);
}

#[tokio::test]
async fn an_empty_cell_and_an_absent_column_leave_alone() {
    let account = Account::plain().await;
    let user = json!({"record_id": "b", "city": "Rome", "zip": "1"});
    account.post(user).await.unwrap();
    account.import(CSV).await;
    account.sim.settled().await;
    let user = account.sim.user("b").unwrap();
    assert_eq!((&user["city"], &user["zip"]), (&json!("Rome"), &json!("1")));
    assert_eq!(user["email"], "b@example.com");
    assert_eq!(user["source"], "live");
}

#[tokio::test]
async fn a_wrong_row_is_named_and_the_others_are_taken() {
    let account = Account::plain().await;
    let text = "email,birthday\na@example.com,1990-01-01\nb@example.com,1990\n,1990-01-01\n\
        c@example.com,1990-01-01,more\nd@example.com,\n";
    let id = account.import(text).await;
    account.sim.settled().await;
    let (_, job) = account.job(&id).await;
    let rows: Vec<_> = job["row_errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["row"].as_u64().unwrap())
        .collect();
    assert_eq!(rows, [2, 3, 4]);
    assert_eq!(account.sim.users().len(), 2);
}

#[tokio::test]
async fn several_entities_and_json_lines_make_one_job() {
    let account = Account::plain().await;
    let lines = "{\"record_id\":\"a\",\"custom_attributes\":{\"resci\":{\"vip\":true}}}\n{]\n";
    let form = form("users", lines).part("orders", file("order_id\n1\n2\n"));
    let (status, body) = account.submit(form).await;
    assert_eq!(status, 201);
    account.sim.settled().await;
    let (_, job) = account.job(body["id"].as_str().unwrap()).await;
    assert_eq!(job["rows"], 4);
    assert_eq!(job["row_errors"][0]["row"], 2);
    assert_eq!(
        account.sim.users()[0]["custom_attributes"]["resci"]["vip"],
        true
    );
}

#[tokio::test]
async fn a_file_sent_twice_changes_nothing() {
    let account = Account::plain().await;
    account.import(CSV).await;
    account.sim.settled().await;
    let once = account.sim.users();
    account.import(CSV).await;
    account.sim.settled().await;
    assert_eq!(account.sim.users(), once);
}

#[tokio::test]
async fn what_is_no_import_is_answered_400() {
    let account = Account::plain().await;
    let settings = json!({"import_types": ["demo"], "unknown_fields": "reject",
        "required_columns": ["email"]});
    account.sim.patch_config(&settings).unwrap();
    let typed = |word: &'static str| Form::new().text("import_type", word);
    for (form, words) in [
        (Form::new().part("users", file(CSV)), "import_type"),
        (typed("other").part("users", file(CSV)), "import_type"),
        (typed("demo"), "file"),
        (form("users", ""), "empty"),
        (form("users", "Email\na@example.com\n"), "lower case"),
        (form("users", "email,colour\n"), "colour"),
        (form("users", "email,email\n"), "twice"),
        (form("users", "record_id\n"), "email"),
    ] {
        let (status, body) = account.submit(form).await;
        assert_eq!(status, 400, "{words}");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let response = account
        .request("POST", "/import_jobs")
        .header("Content-Type", "application/json")
        .body("{}");
    assert_eq!(response.send().await.unwrap().status(), 400);
    assert!(account.sim.jobs().is_empty());
}

#[tokio::test]
async fn where_the_job_id_and_the_status_stand_is_a_setting() {
    let account = Account::plain().await;
    let settings = json!({"submit_code": 202, "job_id_at": "/import_job/id",
        "job_under": "import_job", "job_path": "/jobs/{id}/status",
        "status_words": {"succeeded": "Complete"}});
    account.sim.patch_config(&settings).unwrap();
    let (status, body) = account.submit(form("users", CSV)).await;
    assert_eq!(
        (status.as_u16(), &body),
        (202, &json!({"import_job": {"id": "1"}}))
    );
    account.sim.settled().await;
    let (_, job) = account.answer("GET", "/jobs/1/status", json!({})).await;
    assert_eq!(job["import_job"]["status"], "Complete");

    account
        .sim
        .patch_config(&json!({"job_id_at": "location"}))
        .unwrap();
    let request = account
        .request("POST", "/import_jobs")
        .multipart(form("users", CSV));
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["location"], "/v3/jobs/2/status");
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn too_large_an_upload_is_answered_413() {
    let account = Account::plain().await;
    account
        .sim
        .patch_config(&json!({"max_body_bytes": 50}))
        .unwrap();
    assert_eq!(account.submit(form("users", CSV)).await.0, 413);
}

#[tokio::test]
async fn every_so_many_rows_can_be_refused() {
    let account = Account::plain().await;
    account
        .sim
        .patch_config(&json!({"row_error_every": 2}))
        .unwrap();
    let id = account.import(CSV).await;
    account.sim.settled().await;
    assert_eq!(account.job(&id).await.1["row_errors"][0]["row"], 2);
    assert_eq!(account.sim.users().len(), 1);
}

#[tokio::test]
async fn an_unknown_job_is_answered_404() {
    let account = Account::plain().await;
    assert_eq!(account.job("7").await.0, 404);
}
