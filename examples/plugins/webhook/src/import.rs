//! The backfill: lines of the staged file, the request that starts the import, and what became of it.

use serde_json::{Value, json};
use sluice_guest::http::{Body, Content, Failure, Part, Request, Response};
use sluice_guest::{
    Batch, Ended, File, ImportStatus, Problem, Progress, Refused, Report, Rows, Staged, Staging,
};

use crate::answer::{Verdict, judge};
use crate::member::{KEY, Plan};
use crate::options::Options;
use crate::request;

/// One line of JSON for each row. There is no header, so the offset does not matter.
pub fn stage(batch: &Batch, plan: &Plan) -> Staged {
    let mut staging = Staging::default();
    staging.begin();
    let mut line = String::new();
    for row in Rows::new(batch, plan.columns()).iter() {
        match plan.key(&row) {
            Ok(key) => {
                line.clear();
                plan.write(&row, &mut line);
                line.push('\n');
                staging.bytes.extend(line.as_bytes());
                // Of rows with the same identity the host keeps the newest.
                staging.accept([format!("{KEY}:{key}").as_str()]);
            }
            Err(refusal) => staging.reject(Some(KEY), &format!("`{KEY}` {}", refusal.0)),
        }
    }
    staging.finish()
}

/// The request that hands the file over. The host streams it from the disk.
pub fn submission(file: &File, options: &Options) -> Request {
    Request {
        body: Body::Multipart(vec![Part {
            name: "file".to_owned(),
            file_name: Some(format!("members-{}.ndjson", file.id)),
            content_type: Some("application/x-ndjson".to_owned()),
            content: Content::Staged(file.id.clone()),
        }]),
        ..request("POST", &options.import_path)
    }
}

/// The token by which a later version of this plugin, too, finds the import again.
pub fn token(answer: &Result<Response, Failure>) -> Result<String, Problem> {
    match judge(answer, "import_path") {
        Verdict::Problem(problem) => Err(problem),
        Verdict::Refused(status) => Err(Problem::Fatal(format!(
            "the receiver refused the file: it answered {status}"
        ))),
        Verdict::Done(body) => match job_id(&body["id"]) {
            Some(id) => Ok(json!({"v": 1, "id": id}).to_string()),
            None => Err(Problem::Fatal(
                "the receiver took the file, and its answer has no usable `id`".to_owned(),
            )),
        },
    }
}

/// An id that can stand as one segment of a path.
fn job_id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    ((1..=128).contains(&id.len()) && id.chars().all(fine)).then_some(id)
}

/// The request that asks for the import of a token.
pub fn question(token: &str, options: &Options) -> Result<Request, Problem> {
    let token: Value = serde_json::from_str(token).unwrap_or_default();
    match (token["v"].as_u64(), job_id(&token["id"])) {
        (Some(1), Some(id)) => Ok(request("GET", &options.job_path.replace("{id}", &id))),
        _ => Err(Problem::Fatal(
            "the job token is of another plugin, or of a newer version of this one".to_owned(),
        )),
    }
}

/// What became of the import. A state that is not known is one that is not done, and an import that the
/// receiver does not know has failed: whoever looks into it has the file sent again.
pub fn status(answer: &Result<Response, Failure>) -> Result<ImportStatus, Problem> {
    if let Ok(Response {
        status: status @ (404 | 410),
        ..
    }) = answer
    {
        let message =
            format!("the receiver answered {status}: it does not know the import any more");
        return Ok(ImportStatus::Failed(report(&Value::Null, &message)));
    }
    let body = match judge(answer, "job_path") {
        Verdict::Problem(problem) => return Err(problem),
        Verdict::Refused(status) => {
            return Err(Problem::Fatal(format!(
                "the receiver does not say what became of the import: it answered {status}"
            )));
        }
        Verdict::Done(body) => body,
    };
    Ok(match body["status"].as_str() {
        Some("succeeded") => ImportStatus::Succeeded(report(&body, "")),
        Some("failed") => ImportStatus::Failed(report(&body, "the receiver says that it failed")),
        _ => ImportStatus::Pending(Progress {
            message: String::new(),
            done: count(&body["done"]),
            total: count(&body["total"]),
        }),
    })
}

fn report(body: &Value, message: &str) -> Report {
    let rows = body["rejected"].as_array().into_iter().flatten();
    Report::from(Ended {
        message: message.to_owned(),
        accepted: count(&body["accepted"]),
        refused: count(&body["refused"]),
        rows: rows
            .filter_map(|row| count(&row["row"]))
            .map(|row| Refused {
                row: Some(row),
                reason: "the receiver refused it".to_owned(),
                ..Refused::default()
            })
            .collect(),
        ..Ended::default()
    })
}

/// A number that every guest language can hold.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|&count| count < 1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<Response, Failure> {
        Ok(Response {
            status: 200,
            headers: vec![],
            body: body.into(),
            extra: vec![],
        })
    }

    #[test]
    fn an_import_is_found_again_by_its_token() {
        for (body, path) in [
            (r#"{"id": 17}"#, "/imports/17"),
            (r#"{"id": "a-b_c"}"#, "/imports/a-b_c"),
        ] {
            let token = token(&answer(body)).unwrap();
            let question = question(&token, &Options::default()).unwrap();
            assert_eq!(
                (question.method.as_str(), question.path.as_str()),
                ("GET", path)
            );
        }
        for body in ["", "<html>", "{}", r#"{"id": ""}"#, r#"{"id": "../users"}"#] {
            assert!(
                matches!(token(&answer(body)), Err(Problem::Fatal(_))),
                "{body}"
            );
        }
        assert!(question("17", &Options::default()).is_err());
    }

    #[test]
    fn an_import_is_pending_until_the_receiver_says_otherwise() {
        let pending = |body| matches!(status(&answer(body)), Ok(ImportStatus::Pending(_)));
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"status": "running"}"#,
            r#"{"status": "succ"#,
        ] {
            assert!(pending(body), "{body}");
        }
        for (status_code, lost) in [(404, true), (410, true), (405, false)] {
            let mut answer = answer("");
            answer.as_mut().unwrap().status = status_code;
            let failed = matches!(status(&answer), Ok(ImportStatus::Failed(_)));
            assert_eq!(failed, lost, "{status_code}");
        }
        let body =
            r#"{"status": "succeeded", "accepted": 2, "refused": 1, "rejected": [{"row": 2}]}"#;
        let Ok(ImportStatus::Succeeded(report)) = status(&answer(body)) else {
            panic!("it is done");
        };
        assert_eq!(
            (report.counts.accepted, report.counts.refused),
            (Some(2), Some(1))
        );
        assert_eq!(report.rows[0].row, Some(2));
    }
}
