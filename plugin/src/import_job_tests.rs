//! Tests of `import_job`.

use super::*;
use crate::fixture::{golden, response};

fn file() -> File {
    File {
        id: "f7-2".to_owned(),
        bytes: 1_234,
        rows: 10,
        number: 2,
        created_at: "2026-11-23T10:15:00Z".to_owned(),
        extra: Vec::new(),
    }
}

fn options() -> Options {
    Options {
        import_type: "sluice_csv".to_owned(),
        ..Options::default()
    }
}

/// A request as a person reads it.
fn show(request: &Request) -> String {
    let query: Vec<_> = request
        .query
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let mut text = format!("{} {}?{}\n", request.method, request.path, query.join("&"));
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\n");
    }
    let Body::Multipart(parts) = &request.body else {
        panic!("no form")
    };
    for part in parts {
        let content = match &part.content {
            Content::Bytes(bytes) => format!("{:?}", str::from_utf8(bytes).unwrap()),
            Content::Staged(id) => format!("the staged file {id}"),
        };
        text += &format!(
            "- name {:?}, file name {:?}, content type {:?}: {content}\n",
            part.name, part.file_name, part.content_type
        );
    }
    text
}

#[test]
fn submissions_are_the_golden_forms() {
    let mut text = String::new();
    for (what, options) in [
        ("defaults", options()),
        (
            "welcome mail and merging",
            Options {
                welcome_mail: true,
                merge: true,
                ..options()
            },
        ),
        (
            "everything elsewhere",
            Options {
                entity: "people".to_owned(),
                import_path: "/imports/new".to_owned(),
                flags_in: FlagsIn::Query,
                merge: true,
                ..options()
            },
        ),
        (
            "no flags",
            Options {
                flags_in: FlagsIn::None,
                merge: true,
                ..options()
            },
        ),
    ] {
        text += &format!("## {what}\n{}", show(&submission(&file(), &options)));
    }
    golden("submissions.txt", text.as_bytes());
}

#[test]
fn a_file_is_named_after_entity_moment_and_id_whatever_the_moment_looks_like() {
    for (created_at, expected) in [
        ("2026-11-23T10:15:00Z", "users-20261123-101500-f7-2.csv"),
        (
            "2026-11-23T10:15:00.123456Z",
            "users-20261123-101500-f7-2.csv",
        ),
        ("2026-11-23", "users-f7-2.csv"),
        ("", "users-f7-2.csv"),
        ("späterspäterspäter", "users-f7-2.csv"),
    ] {
        let file = File {
            created_at: created_at.to_owned(),
            ..file()
        };
        assert_eq!(file_name(&file, "users"), expected);
    }
}

#[test]
fn the_job_id_is_found_in_the_body_or_the_location() {
    let long = "9".repeat(MAX_ID + 1);
    for (body, location, expected) in [
        (r#"{"id": "j-1"}"#, None, Some("j-1")),
        (r#"{"id": 17}"#, None, Some("17")),
        (
            r#"{"id": 9007199254740993}"#,
            None,
            Some("9007199254740993"),
        ),
        (
            r#"{"import_job": {"id": 5, "status": "queued"}}"#,
            None,
            Some("5"),
        ),
        (r#"{"job_id": "x", "extra": []}"#, None, Some("x")),
        (r#"{"id": null, "job_id": "x"}"#, None, Some("x")),
        (r#"{"id": "a/b", "job_id": "x"}"#, None, Some("x")),
        (r#"{"id": "..", "job_id": ""}"#, None, None),
        (r#"{"id": true}"#, None, None),
        (
            r#"{"id": "in body"}"#,
            Some("/import_jobs/in-header"),
            Some("in body"),
        ),
        (
            "",
            Some("https://example.com/v3/import_jobs/77"),
            Some("77"),
        ),
        ("<html>", Some("/import_jobs/77/?a=b#c"), Some("77")),
        ("", Some("/"), None),
        ("", Some(""), None),
        ("\u{0}", None, None),
        (&format!(r#"{{"id": "{long}"}}"#), None, None),
    ] {
        let headers: Vec<_> = location.map(|to| ("location", to)).into_iter().collect();
        for status in [200, 201, 202] {
            let answer = Ok(response(status, &headers, body.as_bytes()));
            let token = token(&answer, &options());
            match expected {
                Some(id) => {
                    let token: Value = serde_json::from_str(&token.unwrap()).unwrap();
                    assert_eq!(token, serde_json::json!({"v": 1, "id": id}), "{body}");
                }
                None => assert!(matches!(token, Err(Problem::Fatal(_))), "{body}"),
            }
        }
    }
    let hostile = Ok(response(201, &[], b"\xff\xfe{\"id\": 1}"));
    assert!(matches!(
        token(&hostile, &options()),
        Err(Problem::Fatal(_))
    ));
    let refused = Ok(response(401, &[], b"{\"id\": 1}"));
    assert!(matches!(
        token(&refused, &options()),
        Err(Problem::Unauthorized(_))
    ));
}

#[test]
fn a_token_leads_back_to_its_job() {
    for (token, expected) in [
        (r#"{"v":1,"id":"j-1"}"#, Some("/import_jobs/j-1")),
        (
            r#"{"id":"j 1","v":1,"added":{"later":true}}"#,
            Some("/import_jobs/j 1"),
        ),
        (r#"{"v":2,"id":"j-1"}"#, None),
        (r#"{"v":1,"id":"a/../b"}"#, None),
        (r#"{"v":1,"id":".."}"#, None),
        (r#"{"v":1,"id":7}"#, None),
        (r#"{"id":"j-1"}"#, None),
        ("j-1", None),
        ("", None),
        ("\u{0}{", None),
    ] {
        match (question(token, &options()), expected) {
            (Ok(request), Some(path)) => {
                assert_eq!(
                    (request.method.as_str(), request.path.as_str()),
                    ("GET", path)
                );
            }
            (Err(Problem::Fatal(_)), None) => {}
            (other, _) => panic!("{token}: {other:?}"),
        }
    }
    let awkward = Ok(response(201, &[], br#"{"id": "q\"uo te"}"#));
    let token = token(&awkward, &options()).unwrap();
    let elsewhere = Options {
        job_path: "/jobs/{id}/status".to_owned(),
        ..options()
    };
    assert_eq!(
        question(&token, &elsewhere).unwrap().path,
        "/jobs/q\"uo te/status"
    );
}

fn polled(status_code: u16, body: &str, options: &Options) -> ImportStatus {
    status(&Ok(response(status_code, &[], body.as_bytes())), options).unwrap()
}

#[test]
fn status_words_decide_and_unknown_ones_are_pending() {
    for (body, expected) in [
        (r#"{"status": "succeeded"}"#, "succeeded"),
        (r#"{"status": " DONE "}"#, "succeeded"),
        (r#"{"import_job": {"status": "Completed"}}"#, "succeeded"),
        (r#"{"state": "failed"}"#, "failed"),
        (r#"{"status": "Cancelled"}"#, "failed"),
        (r#"{"status": "queued"}"#, "pending queued"),
        (
            r#"{"status": "succeeded_partly"}"#,
            "pending succeeded_partly",
        ),
        (r#"{"status": 3}"#, "pending 3"),
        (r#"{"status": {"a": 1}, "state": "done"}"#, "succeeded"),
        (r#"{"status": null}"#, "pending the answer holds no status"),
        ("{}", "pending the answer holds no status"),
        ("[]", "pending the answer holds no status"),
        ("", "pending the answer is not JSON"),
        ("<html>done</html>", "pending the answer is not JSON"),
    ] {
        let shown = match polled(200, body, &options()) {
            ImportStatus::Pending(progress) => format!("pending {}", progress.message),
            ImportStatus::Succeeded(_) => "succeeded".to_owned(),
            ImportStatus::Failed(_) => "failed".to_owned(),
        };
        assert_eq!(shown, expected, "{body}");
    }
    let own = Options {
        status_succeeded: vec!["3".to_owned()],
        job_status_pointers: vec!["/job/0/code".to_owned()],
        ..options()
    };
    let done = polled(200, r#"{"job": [{"code": 3}], "status": "failed"}"#, &own);
    assert!(matches!(done, ImportStatus::Succeeded(_)));
}

#[test]
fn a_job_that_is_gone_has_failed_and_one_that_is_not_known_is_not_waited_for() {
    let ImportStatus::Failed(report) = polled(410, r#"{"message": "of a@b.co"}"#, &options())
    else {
        panic!("not failed");
    };
    assert_eq!(
        report.message,
        "the job is gone: the destination answered 410: of ***"
    );
    let unknown = status(&Ok(response(404, &[], b"")), &options());
    assert!(matches!(unknown, Err(Problem::Fatal(_))), "{unknown:?}");
}

#[test]
fn progress_counts_and_refused_rows_are_read_as_far_as_they_are_told() {
    let ImportStatus::Pending(progress) = polled(
        200,
        r#"{"status": "running", "processed": 10, "rows": 40}"#,
        &options(),
    ) else {
        panic!("not pending");
    };
    assert_eq!((progress.done, progress.total), (Some(10), Some(40)));

    let body = r#"{"import_job": {"status": "done", "accepted": 8, "created": 5, "rows_updated": 2,
        "unchanged_rows": 1, "row_errors": [
        {"row": 3, "message": "email a@b.co is taken"},
        {"line": "5", "reason": "zip 'XYZ' is odd", "field": "zip"},
        {"row": 6, "error": {"message": "bad"}, "field": "a@b.co"},
        {"row": 7},
        {"row": 0, "message": "no such row"},
        {"row": -1}, {"row": 1.5}, {"row": 1e300}, {"message": "no row"}, "text", null
    ]}}"#;
    let ImportStatus::Succeeded(report) = polled(200, body, &options()) else {
        panic!("not succeeded");
    };
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.row.unwrap(), row.field.as_deref(), row.reason.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            (3, None, "email *** is taken"),
            (5, Some("zip"), "zip '***' is odd"),
            (6, None, "bad"),
            (7, None, "the destination gave no reason")
        ]
    );
    let counts = &report.counts;
    assert_eq!((counts.accepted, counts.refused), (Some(8), Some(4)));
    let did = (counts.created, counts.updated, counts.unchanged);
    assert_eq!(did, (Some(5), Some(2), Some(1)));
    assert_eq!(report.message, "done");

    let body = r#"{"status": "failed", "message": "user a@b.co broke it", "rows_refused": 2}"#;
    let ImportStatus::Failed(report) = polled(200, body, &options()) else {
        panic!("not failed");
    };
    assert_eq!(report.message, "user *** broke it");
    assert_eq!((report.counts.refused, report.rows.len()), (Some(2), 0));
}

#[test]
fn the_check_reads_and_proves_only_that_the_key_is_not_refused() {
    let request = check_request(&options());
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/users")
    );
    for (status, fine) in [
        (200, true),
        (404, true),
        (429, true),
        (401, false),
        (403, false),
        (500, false),
        (302, false),
    ] {
        assert_eq!(
            check_answer(&Ok(response(status, &[], b""))).is_ok(),
            fine,
            "{status}"
        );
    }
}
