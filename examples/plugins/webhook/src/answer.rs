//! How answers are judged: one table for every request. Pure.
//!
//! Nothing that the receiver says is passed on but numbers: it may quote a member.

use serde_json::Value;
use sluice_guest::http::{Failure, Response};
use sluice_guest::{Finding, Place, Problem, Throttle};

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It was done; the body may say more.
    Done(Value),
    /// What was sent can not be taken as it is.
    Refused(u16),
    /// It was not done; the host decides by this what to do next.
    Problem(Problem),
}

/// Judges an answer to a request whose path is the option `path`.
pub fn judge(answer: &Result<Response, Failure>, path: &str) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => return Verdict::Problem(no_answer(failure)),
    };
    let status = answer.status;
    let said = format!("the receiver answered {status}");
    Verdict::Problem(match status {
        200..=299 => return Verdict::Done(json(answer)),
        401 | 403 => Problem::Unauthorized(said),
        429 => Problem::Throttled(Throttle {
            message: said,
            retry_after_ms: retry_after_ms(answer),
        }),
        // It asks for patience in another way.
        503 if retry_after_ms(answer).is_some() => Problem::Throttled(Throttle {
            message: said,
            retry_after_ms: retry_after_ms(answer),
        }),
        404 | 405 | 410 => Problem::InvalidSettings(vec![Finding {
            place: Place::Option(path.to_owned()),
            message: format!("{said}: it does not take this at option `{path}`"),
        }]),
        408 | 425 => Problem::Transient(said),
        300..=399 => Problem::InvalidSettings(vec![Finding {
            place: Place::Whole,
            message: format!("{said}: it redirects, which is not followed; set its new endpoint"),
        }]),
        // Only these may be a single row's fault; any other would set every row apart.
        400 | 409 | 413 | 422 => return Verdict::Refused(status),
        400..=499 => Problem::Fatal(format!("{said}, which is no row's fault")),
        // A server error, or nothing that HTTP knows: it may pass.
        _ => Problem::Transient(said),
    })
}

/// What the host says names keys of the configuration and no member, so it is shown as it is.
fn no_answer(failure: &Failure) -> Problem {
    match failure {
        Failure::Denied(why) => Problem::Fatal(format!("the host denied the request: {why}")),
        Failure::Unreachable(why) => Problem::Transient(format!("no connection: {why}")),
        // It has acted, and nobody can read how: again, it would act and answer so for ever.
        Failure::TooLarge(why) => Problem::Fatal(format!(
            "the receiver answers more than can be taken: {why}; let it answer less"
        )),
        // Text of these may have come over the wire.
        Failure::Interrupted(_) => Problem::Transient("the connection ended early".to_owned()),
        Failure::Other(_) => Problem::Transient("no answer".to_owned()),
    }
}

fn json(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// `Retry-After` in seconds; a date means little where there is no clock.
fn retry_after_ms(answer: &Response) -> Option<u32> {
    let header = answer
        .headers
        .iter()
        .find(|(name, _)| name == "retry-after");
    let seconds: u32 = header?.1.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Result<Response, Failure> {
        Ok(Response {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            body: b"no, ada@example.com".to_vec(),
            extra: vec![],
        })
    }

    fn shape(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Done(_) => "done",
            Verdict::Refused(_) => "refused",
            Verdict::Problem(Problem::InvalidSettings(_)) => "invalid settings",
            Verdict::Problem(Problem::Unauthorized(_)) => "unauthorized",
            Verdict::Problem(Problem::Throttled(_)) => "throttled",
            Verdict::Problem(Problem::Transient(_)) => "transient",
            Verdict::Problem(Problem::Fatal(_)) => "fatal",
        }
    }

    #[test]
    fn every_status_is_judged_as_the_readme_says() {
        for (statuses, expected) in [
            (&[200, 201, 202, 204, 299][..], "done"),
            (&[400, 409, 413, 422], "refused"),
            (&[402, 406, 407, 415, 431, 451, 499], "fatal"),
            (&[401, 403], "unauthorized"),
            (&[404, 405, 410, 301, 302, 307], "invalid settings"),
            (&[429], "throttled"),
            (&[408, 425, 500, 502, 503, 599, 0, 100, 999], "transient"),
        ] {
            for &status in statuses {
                let verdict = judge(&answer(status, &[]), "members_path");
                assert_eq!(shape(&verdict), expected, "{status}");
                assert!(!format!("{verdict:?}").contains("ada@"), "{verdict:?}");
            }
        }
    }

    #[test]
    fn the_delay_that_was_asked_for_is_handed_on() {
        for (status, value, expected) in [
            (429, "7", Some(7_000)),
            (429, "soon", None),
            (429, "9999999", Some(u32::MAX)),
            (503, "7", Some(7_000)),
        ] {
            let verdict = judge(&answer(status, &[("retry-after", value)]), "members_path");
            let Verdict::Problem(Problem::Throttled(throttle)) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!(throttle.retry_after_ms, expected, "{value}");
        }
    }

    #[test]
    fn no_answer_is_transient_and_what_would_be_so_for_ever_is_fatal() {
        let why = || "why".to_owned();
        for (failure, expected) in [
            (Failure::Denied(why()), "fatal"),
            (Failure::Unreachable(why()), "transient"),
            (Failure::Interrupted(why()), "transient"),
            (Failure::TooLarge(why()), "fatal"),
            (Failure::Other(why()), "transient"),
        ] {
            assert_eq!(shape(&judge(&Err(failure), "members_path")), expected);
        }
    }
}
