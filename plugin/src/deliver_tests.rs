//! Tests of `deliver`.

use super::*;
use crate::fixture::{batch, batch_of, response, session};
use proptest::prelude::*;
use sluice_guest::http::Body;
use sluice_guest::{Kind, Throttle};

type Answer = Result<Response, Failure>;

fn row<'a>(email: &'a str, record_id: &'a str) -> Vec<(Kind, &'a str)> {
    vec![(Kind::Text, email), (Kind::Text, record_id)]
}

fn status(status: u16) -> Answer {
    Ok(response(status, &[], br#"{"message": "no"}"#))
}

fn wait(seconds: &str) -> Answer {
    Ok(response(429, &[("retry-after", seconds)], b""))
}

/// Delivers rows of email and record id. `judge` answers for a body; the second value are the
/// bodies, wave by wave.
fn run(
    rows: &[Vec<(Kind, &str)>],
    options: &str,
    judge: impl Fn(&str) -> Answer,
) -> (Delivery, Vec<Vec<String>>) {
    let session = session(&["email", "record_id"], options);
    let mut waves = Vec::new();
    let delivery = deliver(&batch(rows), &session, |requests: &[Request]| {
        let bodies: Vec<_> = requests
            .iter()
            .map(|request| match &request.body {
                Body::Bytes(body) => String::from_utf8(body.clone()).unwrap(),
                _ => panic!("no bytes"),
            })
            .collect();
        let answers = bodies.iter().map(|body| judge(body)).collect();
        waves.push(bodies);
        answers
    });
    (delivery.unwrap(), waves)
}

fn sizes(waves: &[Vec<String>]) -> Vec<usize> {
    waves.iter().map(Vec::len).collect()
}

#[test]
fn rows_of_different_users_go_out_at_once() {
    let rows = [row("a@x.co", "1"), row("b@x.co", "2"), row("c@x.co", "")];
    let (delivery, waves) = run(&rows, "{}", |_| status(201));
    assert_eq!(sizes(&waves), [3]);
    assert!(delivery.rejected.is_empty() && delivery.retry.is_empty() && delivery.why.is_none());
}

#[test]
fn rows_that_share_an_identity_go_out_in_their_order() {
    // The second shares the first's email, the third the second's record id.
    let rows = [
        row("A@x.co", "1"),
        row("a@X.co", "2"),
        row("c@x.co", "2"),
        row("d@x.co", "3"),
    ];
    let (_, waves) = run(&rows, "{}", |_| status(201));
    assert_eq!(sizes(&waves), [2, 1, 1]);
    assert!(waves[0][0].contains("A@x.co") && waves[0][1].contains("d@x.co"));
    assert!(waves[1][0].contains("a@X.co") && waves[2][0].contains("c@x.co"));
    // Record ids are compared exactly.
    let (_, waves) = run(&[row("", "k"), row("", "K")], "{}", |_| status(201));
    assert_eq!(sizes(&waves), [2]);
}

#[test]
fn a_row_waits_for_an_earlier_one_of_its_user_that_must_be_retried() {
    let rows = [
        row("a@x.co", "1"),
        row("a@x.co", "2"),
        row("", "2"),
        row("d@x.co", ""),
    ];
    let judge = |body: &str| status(if body.contains("\"1\"") { 500 } else { 201 });
    let (delivery, waves) = run(&rows, "{}", judge);
    assert_eq!(sizes(&waves), [2]);
    assert_eq!(delivery.retry, [0, 1, 2]);
    assert!(matches!(delivery.why, Some(Problem::Transient(_))));
}

#[test]
fn a_row_does_not_wait_for_an_earlier_one_that_was_rejected() {
    let rows = [row("a@x.co", "1"), row("a@x.co", "2")];
    let judge = |body: &str| status(if body.contains("\"1\"") { 422 } else { 201 });
    let (delivery, waves) = run(&rows, "{}", judge);
    assert_eq!(sizes(&waves), [1, 1]);
    assert_eq!((delivery.rejected[0].row, delivery.rejected.len()), (0, 1));
    assert_eq!(
        delivery.rejected[0].reason,
        "the destination answered 422: no"
    );
    assert!(delivery.retry.is_empty() && delivery.why.is_none());
}

#[test]
fn rows_that_can_not_be_sent_are_rejected_and_the_others_go_out() {
    let rows = [row("", " "), row("b@x.co", ""), row("no address", "3")];
    let (delivery, waves) = run(&rows, "{}", |_| status(200));
    assert_eq!(sizes(&waves), [1]);
    assert_eq!(
        delivery.rejected.iter().map(|r| r.row).collect::<Vec<_>>(),
        [0, 2]
    );
}

#[test]
fn the_gravest_problem_is_the_reason_and_what_was_accepted_stays_so() {
    let unauthorized = |why: &Problem| matches!(why, Problem::Unauthorized(_));
    let settings = |why: &Problem| matches!(why, Problem::InvalidSettings(_));
    let fatal = |why: &Problem| matches!(why, Problem::Fatal(_));
    let transient = |why: &Problem| matches!(why, Problem::Transient(_));
    let waits = |ms: Option<u32>| move |why: &Problem| matches!(why, Problem::Throttled(Throttle { retry_after_ms, .. }) if *retry_after_ms == ms);
    let denied = || Err(Failure::Denied("no such route".to_owned()));
    let cut = || Err(Failure::Interrupted("reset".to_owned()));
    type Is<'a> = &'a dyn Fn(&Problem) -> bool;
    let cases: [(Answer, Answer, Is<'_>); 8] = [
        (status(500), status(401), &unauthorized),
        (status(401), status(404), &unauthorized),
        (denied(), status(403), &unauthorized),
        (wait("9"), status(404), &settings),
        (denied(), wait("9"), &fatal),
        (wait("2"), wait("7"), &waits(Some(7_000))),
        (status(429), wait("0"), &waits(Some(0))),
        (cut(), status(503), &transient),
    ];
    for (first, second, expected) in cases {
        for (one, two) in [(&first, &second), (&second, &first)] {
            let rows = [row("a@x.co", ""), row("b@x.co", ""), row("c@x.co", "")];
            let (delivery, _) = run(&rows, "{}", |body| match body {
                body if body.contains("a@x.co") => one.clone(),
                body if body.contains("c@x.co") => two.clone(),
                _ => status(201),
            });
            assert_eq!(delivery.retry, [0, 2]);
            let why = delivery.why.unwrap();
            // Settings and fatal are equally grave: the first stays.
            let equal = settings(&why) && fatal(&Problem::Fatal(String::new()));
            assert!(
                expected(&why) || (one == &second && equal),
                "{one:?} {two:?}: {why:?}"
            );
        }
    }
}

#[test]
fn of_two_equally_grave_problems_the_first_is_the_reason() {
    let rows = [row("a@x.co", ""), row("b@x.co", "")];
    let (delivery, _) = run(&rows, "{}", |body| match body {
        body if body.contains("a@x.co") => Err(Failure::Denied("no such route".to_owned())),
        _ => status(404),
    });
    assert!(matches!(delivery.why, Some(Problem::Fatal(_))));
}

#[test]
fn nothing_more_is_sent_once_the_destination_refuses_the_whole_batch() {
    let rows = [row("a@x.co", ""), row("b@x.co", ""), row("b@x.co", "2")];
    for refusal in [401, 404, 429] {
        let judge = |body: &str| {
            status(if body.contains("a@x.co") {
                refusal
            } else {
                201
            })
        };
        let (delivery, waves) = run(&rows, "{}", judge);
        assert_eq!(
            (sizes(&waves), delivery.retry.as_slice()),
            (vec![2], [0, 2].as_slice())
        );
    }
    let judge = |body: &str| status(if body.contains("a@x.co") { 503 } else { 201 });
    let (delivery, waves) = run(&rows, "{}", judge);
    assert_eq!(
        (sizes(&waves), delivery.retry.as_slice()),
        (vec![2, 1], [0].as_slice())
    );
}

#[test]
fn an_exit_is_sent_or_ignored_as_the_option_says() {
    for (options, sent) in [
        (
            "{}",
            Some(r#"{"email":"a@x.co","send_transactional_welcome":false}"#),
        ),
        (
            r#"{"exit": "attribute", "flags_in": "none"}"#,
            Some(r#"{"email":"a@x.co","custom_attributes":{"resci":{"in_audience":false}}}"#),
        ),
        (r#"{"exit": "ignore"}"#, None),
    ] {
        let session = session(&["email"], options);
        let batch = batch_of(Change::Exited, &[vec![(Kind::Text, "a@x.co")]]);
        let mut bodies = Vec::new();
        let delivery = deliver(&batch, &session, |requests: &[Request]| {
            bodies.extend(requests.iter().map(|request| request.body.clone()));
            vec![status(200); requests.len()]
        })
        .unwrap();
        let expected: Vec<_> = sent
            .map(|body| Body::Bytes(body.into()))
            .into_iter()
            .collect();
        assert_eq!(bodies, expected, "{options}");
        assert!(delivery.retry.is_empty() && delivery.rejected.is_empty());
    }
}

#[test]
fn a_missing_answer_is_retried() {
    let session = session(&["email"], "{}");
    let batch = batch(&[vec![(Kind::Text, "a@x.co")]]);
    let delivery = deliver(&batch, &session, |_: &[Request]| Vec::new()).unwrap();
    assert_eq!(delivery.retry, [0]);
    assert!(matches!(delivery.why, Some(Problem::Transient(_))));
}

#[test]
fn a_reason_never_shows_what_the_row_held() {
    let session = session(&["email", "full_name"], "{}");
    let batch = batch(&[vec![(Kind::Text, "a@x.co"), (Kind::Text, "Ann Example")]]);
    let delivery = deliver(&batch, &session, |_: &[Request]| {
        vec![Ok(response(
            400,
            &[],
            b"{\"message\": \"ann example (a@x.co) is odd\"}",
        ))]
    })
    .unwrap();
    assert_eq!(
        delivery.rejected[0].reason,
        "the destination answered 400: *** *** is odd"
    );
}

proptest! {
    #[test]
    fn every_row_is_accounted_for_and_no_user_overtakes_itself(
        rows in prop::collection::vec(("[ab]?", "[12]?"), 0..12),
        answers in prop::collection::vec(
            prop::sample::select(vec![200_u16, 201, 401, 404, 422, 429, 500]), 12),
    ) {
        let emails: Vec<_> = rows
            .iter()
            .map(|(email, _)| if email.is_empty() { String::new() } else { format!("{email}@x.co") })
            .collect();
        let session = session(&["email", "record_id", "zip"], "{}");
        let numbers: Vec<_> = (0..rows.len()).map(|number| format!("n{number}.")).collect();
        let cells: Vec<_> = (0..rows.len())
            .map(|at| vec![
                (Kind::Text, emails[at].as_str()),
                (Kind::Text, rows[at].1.as_str()),
                (Kind::Text, numbers[at].as_str()),
            ])
            .collect();
        let mut sent = Vec::new();
        let delivery = deliver(&batch(&cells), &session, |requests: &[Request]| {
            requests.iter().map(|request| {
                let Body::Bytes(body) = &request.body else { panic!("no bytes") };
                let body = str::from_utf8(body).unwrap();
                let at = numbers.iter().position(|n| body.contains(n.as_str())).unwrap();
                sent.push(at);
                status(answers[at])
            }).collect()
        }).unwrap();
        let rejected: Vec<_> = delivery.rejected.iter().map(|r| r.row as usize).collect();
        let retried: Vec<_> = delivery.retry.iter().map(|row| *row as usize).collect();
        prop_assert!(delivery.retry.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(delivery.why.is_some(), !retried.is_empty());
        for at in 0..rows.len() {
            let done = sent.contains(&at) && answers[at] < 300;
            let outcomes = [done, rejected.contains(&at), retried.contains(&at)];
            prop_assert_eq!(outcomes.iter().filter(|is| **is).count(), 1, "row {}", at);
            for before in 0..at {
                let same = (!emails[at].is_empty() && emails[at] == emails[before])
                    || (!rows[at].1.is_empty() && rows[at].1 == rows[before].1);
                if same && retried.contains(&before) && !rejected.contains(&at) {
                    prop_assert!(retried.contains(&at), "row {} overtook {}", at, before);
                }
            }
        }
    }
}
