//! How answers are judged: one table, for every kind of request.

use sluice_guest::http::{Failure, Response};
use sluice_guest::{Place, Problem, Throttle};

use crate::options::{Method, finding};
use crate::{answer, mask};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To take a user.
    User(Method),
    /// To start an import job.
    Submit,
    /// How an import job is.
    Poll,
    /// Anything at all, to see whether the credential is refused.
    Check,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It was done; the body may say more.
    Accepted,
    /// The job is gone for good, with what was said.
    Gone(String),
    /// The row can never be sent as it is, with the reason.
    Rejected(String),
    /// It was not done.
    Problem(Problem),
}

/// Judges an answer. `values` are the row's own, to be masked in what the destination says.
pub fn judge(call: Call, answer: &Result<Response, Failure>, values: &[&str]) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Verdict::Problem(no_answer(failure)),
    };
    let status = answer.status;
    let said = || {
        let message = mask::message(&answer::message(answer), values);
        let colon = if message.is_empty() { "" } else { ": " };
        format!("the destination answered {status}{colon}{message}")
    };
    let setting = |option: &str, what: &str| {
        Verdict::Problem(Problem::InvalidSettings(vec![finding(
            Place::Option(option.to_owned()),
            format!("{what}: {}", said()),
        )]))
    };
    let problem = Verdict::Problem;
    match (call, status) {
        (_, 200..=299) => Verdict::Accepted,
        (_, 300..=399) => problem(Problem::InvalidSettings(vec![finding(
            Place::Whole,
            format!(
                "the endpoint redirects ({status}), and redirects are not followed. Set the \
                 endpoint, or the path in question, to where it leads"
            ),
        )])),
        (_, 401 | 403) => problem(Problem::Unauthorized(said())),
        (Call::Check, 400..=499) => Verdict::Accepted,
        (_, 408 | 425) => problem(Problem::Transient(said())),
        (_, 429) => problem(Problem::Throttled(Throttle {
            message: said(),
            retry_after_ms: answer::retry_after_ms(answer),
        })),
        (Call::User(Method::Patch), 404) => Verdict::Rejected(said()),
        (Call::User(_), 404) => setting("users_path", "users are not taken at this path"),
        (Call::User(_), 405) => setting("users_method", "users are not taken with this method"),
        (Call::User(_), 413) => Verdict::Rejected(format!("the user is too large: {}", said())),
        (Call::User(_), 400..=499) => Verdict::Rejected(said()),
        (Call::Submit, 404 | 405) => {
            setting("import_path", "no import jobs are taken at this path")
        }
        (Call::Submit, 413) => problem(Problem::Fatal(format!(
            "the file is too large for the destination. Let the host make smaller files \
             (its limit on the bytes of a staged file), then start the backfill again: {}",
            said()
        ))),
        // Often enough (`unknown`): perhaps the path is wrong. `sluice resume` asks once more before the file is
        // sent again. Pending, it would be waited for in vain.
        (Call::Poll, 404) => problem(Problem::Fatal(format!("the job is not known: {}", said()))),
        (Call::Poll, 410) => Verdict::Gone(format!("the job is gone: {}", said())),
        (Call::Poll, 405) => setting("job_path", "no job can be read at this path"),
        (Call::Submit | Call::Poll, 400..=499) => problem(Problem::Fatal(said())),
        (_, _) => problem(Problem::Transient(said())),
    }
}

/// What the host says in its own words names keys and values of the configuration, and no member:
/// masked, it would hide the remedy. Only what came over a connection may quote one.
fn no_answer(failure: &Failure) -> Problem {
    let quoted = |detail: &str| mask::message(detail, &[]);
    let (what, detail) = match failure {
        Failure::Denied(detail) => {
            return Problem::Fatal(format!("the host denied the request: {detail}"));
        }
        Failure::Unreachable(detail) => ("the destination can not be reached", detail.clone()),
        Failure::Interrupted(detail) => ("the connection ended before the answer", quoted(detail)),
        // It has acted, and would act again and answer so for ever.
        Failure::TooLarge(detail) => {
            return Problem::Fatal(format!(
                "the answer is larger than the host takes: {detail}"
            ));
        }
        Failure::Other(detail) => ("no answer", quoted(detail)),
    };
    Problem::Transient(format!("{what}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::response;

    /// The shape of a verdict, as the README's table puts it.
    fn shape(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Gone(_) => "failed".to_owned(),
            Verdict::Rejected(_) => "rejected".to_owned(),
            Verdict::Problem(Problem::InvalidSettings(found)) => match &found[0].place {
                Place::Option(name) => format!("invalid {name}"),
                place => format!("invalid {place:?}"),
            },
            Verdict::Problem(Problem::Unauthorized(_)) => "unauthorized".to_owned(),
            Verdict::Problem(Problem::Throttled(_)) => "throttled".to_owned(),
            Verdict::Problem(Problem::Transient(_)) => "transient".to_owned(),
            Verdict::Problem(Problem::Fatal(_)) => "fatal".to_owned(),
        }
    }

    #[test]
    fn every_row_of_the_table_is_judged_as_the_readme_says() {
        let whole = "invalid Place::Whole";
        let (path, method) = ("invalid users_path", "invalid users_method");
        for (statuses, post, patch, submit, poll, check) in [
            (
                &[200, 201, 202, 204, 299][..],
                "accepted",
                "accepted",
                "accepted",
                "accepted",
                "accepted",
            ),
            (
                &[400, 402, 409, 415, 418, 422, 431, 499],
                "rejected",
                "rejected",
                "fatal",
                "fatal",
                "accepted",
            ),
            (
                &[410],
                "rejected",
                "rejected",
                "fatal",
                "failed",
                "accepted",
            ),
            (
                &[401, 403],
                "unauthorized",
                "unauthorized",
                "unauthorized",
                "unauthorized",
                "unauthorized",
            ),
            (
                &[404],
                path,
                "rejected",
                "invalid import_path",
                "fatal",
                "accepted",
            ),
            (
                &[405],
                method,
                method,
                "invalid import_path",
                "invalid job_path",
                "accepted",
            ),
            (
                &[408, 425],
                "transient",
                "transient",
                "transient",
                "transient",
                "accepted",
            ),
            (
                &[500, 502, 503, 504, 599],
                "transient",
                "transient",
                "transient",
                "transient",
                "transient",
            ),
            (&[413], "rejected", "rejected", "fatal", "fatal", "accepted"),
            (
                &[429],
                "throttled",
                "throttled",
                "throttled",
                "throttled",
                "accepted",
            ),
            (
                &[300, 301, 302, 304, 307, 308, 399],
                whole,
                whole,
                whole,
                whole,
                whole,
            ),
            (
                &[0, 100, 199, 600, 999, 65535],
                "transient",
                "transient",
                "transient",
                "transient",
                "transient",
            ),
        ] {
            for &status in statuses {
                let answer = Ok(response(status, &[], b"{\"message\": \"no\"}"));
                for (call, expected) in [
                    (Call::User(Method::Post), post),
                    (Call::User(Method::Put), post),
                    (Call::User(Method::Patch), patch),
                    (Call::Submit, submit),
                    (Call::Poll, poll),
                    (Call::Check, check),
                ] {
                    let verdict = judge(call, &answer, &[]);
                    assert_eq!(shape(&verdict), expected, "{call:?} {status}");
                }
            }
        }
    }

    #[test]
    fn the_hosts_own_remedy_is_shown_and_what_came_over_a_connection_is_masked() {
        let says = "grant it with `allow_addresses = [\"10.0.0.0/8\"]`".to_owned();
        for (failure, shown) in [
            (Failure::Denied(says.clone()), true),
            (Failure::Unreachable(says.clone()), true),
            (Failure::TooLarge(says.clone()), true),
            (Failure::Interrupted(says.clone()), false),
            (Failure::Other(says.clone()), false),
        ] {
            let (Problem::Fatal(message) | Problem::Transient(message)) = no_answer(&failure)
            else {
                panic!("another problem");
            };
            assert_eq!(message.contains(&says), shown, "{message}");
        }
    }

    #[test]
    fn no_answer_is_transient_and_what_would_be_so_for_ever_is_fatal() {
        let text = || "why".to_owned();
        for (failure, expected) in [
            (Failure::Denied(text()), "fatal"),
            (Failure::Unreachable(text()), "transient"),
            (Failure::Interrupted(text()), "transient"),
            (Failure::TooLarge(text()), "fatal"),
            (Failure::Other(text()), "transient"),
        ] {
            for call in [
                Call::User(Method::Post),
                Call::Submit,
                Call::Poll,
                Call::Check,
            ] {
                let verdict = judge(call, &Err(failure.clone()), &[]);
                assert_eq!(shape(&verdict), expected, "{call:?} {failure:?}");
            }
        }
    }

    #[test]
    fn a_throttled_answer_keeps_its_delay() {
        let answer = Ok(response(429, &[("retry-after", "3")], b""));
        let Verdict::Problem(Problem::Throttled(throttle)) = judge(Call::Poll, &answer, &[]) else {
            panic!("not throttled");
        };
        assert_eq!(throttle.retry_after_ms, Some(3_000));
        assert_eq!(throttle.message, "the destination answered 429");
    }

    #[test]
    fn a_reason_holds_the_message_but_not_the_rows_values() {
        let body = br#"{"message": "Ann Example <ann@example.com> has no zip"}"#;
        let answer = Ok(response(422, &[], body));
        let verdict = judge(Call::User(Method::Post), &answer, &["Ann Example"]);
        let expected = "the destination answered 422: *** *** has no zip";
        assert_eq!(verdict, Verdict::Rejected(expected.to_owned()));
    }

    #[test]
    fn a_file_that_is_too_large_names_the_remedy() {
        let verdict = judge(Call::Submit, &Ok(response(413, &[], b"")), &[]);
        let Verdict::Problem(Problem::Fatal(message)) = verdict else {
            panic!("not fatal")
        };
        assert!(message.contains("smaller files"), "{message}");
    }
}
