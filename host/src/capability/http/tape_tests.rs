use super::*;
use crate::capability::http::{Http, PolicyRecord, Recorder, RouteGrant, Taping};
use crate::plugin::types::Body;
use crate::usage::Usage;

fn policy() -> Policy {
    let record = PolicyRecord {
        endpoint: "https://api.example.com/v3".to_owned(),
        routes: vec!["POST /users".to_owned(), "GET /jobs/*".to_owned()],
        ..PolicyRecord::default()
    };
    Policy::try_from(&record).unwrap()
}

fn request(method: &str, path: &str, body: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers: vec![],
        body: match body {
            "" => Body::None,
            body => Body::Bytes(body.into()),
        },
        extra: vec![],
    }
}

fn exchange(request: Request, status: u16) -> Exchange {
    Exchange {
        request,
        answer: Some(Ok(Response {
            status,
            headers: vec![],
            body: vec![],
            extra: vec![],
        })),
    }
}

fn asking(usage: &Usage) -> Asking<'_> {
    Asking {
        mute: None,
        staged: None,
        header_bytes: 64,
        answer_bytes: 1024,
        all_bytes: 1 << 20,
        room: None,
        at_once: 4,
        usage,
        refused: None,
    }
}

/// The statuses that requests are answered, and what the tape says of it.
async fn played(tape: &Tape, requests: Vec<Request>) -> Vec<Result<u16, Failure>> {
    let usage = Usage::default();
    let answers = tape.send_all(requests, &asking(&usage)).await;
    answers
        .into_iter()
        .map(|answer| answer.map(|answer| answer.status))
        .collect()
}

#[tokio::test]
async fn the_same_request_gets_its_answer_whatever_the_order() {
    let user = |body: &str| request("POST", "/users", body);
    let tape = Tape::new(
        policy(),
        vec![
            exchange(user("a"), 201),
            exchange(user("b"), 202),
            exchange(user("a"), 203),
        ],
        false,
    );
    let all = vec![user("b"), user("a"), user("a")];
    assert_eq!(played(&tape, all).await, [Ok(202), Ok(201), Ok(203)]);
    let (played, left) = tape.take();
    assert_eq!(
        played.iter().map(|one| one.of).collect::<Vec<_>>(),
        [Some(1), Some(0), Some(2)]
    );
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_changed_request_gets_the_answer_of_its_place_and_takes_none_from_an_unchanged_one() {
    let user = |body: &str| request("POST", "/users", body);
    let tape = Tape::new(
        policy(),
        vec![exchange(user("a"), 201), exchange(user("b"), 202)],
        false,
    );
    assert_eq!(
        played(&tape, vec![user("new"), user("a")]).await,
        [Ok(202), Ok(201)]
    );
    let unknown = Failure::Unreachable(NOT_ON_THE_TAPE.to_owned());
    assert_eq!(played(&tape, vec![user("a")]).await, [Err(unknown)]);
}

#[tokio::test]
async fn another_path_gets_an_answer_only_where_that_is_wanted() {
    let job = |id: &str| request("GET", &format!("/jobs/{id}"), "");
    for (any_path, fits) in [(false, false), (true, true)] {
        let tape = Tape::new(policy(), vec![exchange(job("17"), 200)], any_path);
        let answers = played(&tape, vec![job("18")]).await;
        assert_eq!(answers[0].is_ok(), fits);
        assert_eq!(tape.take().1, if fits { vec![] } else { vec![0] });
    }
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_denied_as_by_the_gate() {
    let tape = Tape::new(
        policy(),
        vec![exchange(request("GET", "/admin", ""), 200)],
        true,
    );
    let too_large = request("GET", &format!("/jobs/{}", "x".repeat(64)), "");
    for (request, says) in [
        (request("GET", "/admin", ""), "no route of the manifest"),
        (
            request("POST", "/users/../admin", ""),
            "the path must begin with",
        ),
        (too_large, "limit `header_bytes` = 64"),
    ] {
        match &played(&tape, vec![request]).await[..] {
            [Err(Failure::Denied(why))] => assert!(why.contains(says), "{why}"),
            other => panic!("{says}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn where_the_tape_has_no_answer_it_ends() {
    let cut = Exchange {
        answer: None,
        ..exchange(request("POST", "/users", "a"), 0)
    };
    let tape = Tape::new(policy(), vec![cut], false);
    let usage = Usage::default();
    let asking = asking(&usage);
    tokio::select! {
        biased;
        _ = tape.send_all(vec![request("POST", "/users", "a")], &asking) => panic!("it was answered"),
        () = tape.ended() => {}
    }
}

#[tokio::test]
async fn a_request_that_was_given_up_ends_no_tape_that_goes_on() {
    let given_up = Exchange {
        answer: None,
        ..exchange(request("POST", "/users", "a"), 0)
    };
    let next = request("GET", "/jobs/1", "");
    let tape = Tape::new(policy(), vec![given_up, exchange(next.clone(), 200)], false);
    let usage = Usage::default();
    let asking = asking(&usage);
    tokio::select! {
        biased;
        _ = tape.send_all(vec![request("POST", "/users", "a")], &asking) => panic!("it was answered"),
        () = tape.ended() => panic!("it goes on"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(played(&tape, vec![next]).await, [Ok(200)]);
}

#[tokio::test]
async fn a_taped_call_is_written_down_in_the_order_of_its_requests() {
    let taping = Taping::new(Http::Recorder(Arc::new(Recorder::new(policy()))));
    let http = Http::Taping(taping.clone());
    let usage = Usage::default();
    let asking = asking(&usage);
    let all = vec![
        request("POST", "/users", "a"),
        request("GET", "/admin", ""),
        request("GET", "/jobs/1", ""),
    ];
    let answers = http.send_all(all.clone(), &asking).await;
    let again = http.send(all[0].clone(), &asking).await;
    let (exchanges, _) = taping.take().unwrap();
    let requests: Vec<_> = exchanges.iter().map(|one| one.request.clone()).collect();
    assert_eq!(requests, [&all[..], &all[..1]].concat());
    let written: Vec<_> = exchanges
        .into_iter()
        .map(|one| one.answer.unwrap())
        .collect();
    assert_eq!(written, [answers, vec![again]].concat());
}

#[tokio::test]
async fn of_a_call_that_asks_for_more_than_was_taped_no_more_is_kept() {
    let tape = Tape::new(policy(), vec![], true);
    for _ in 0..40 {
        let large = request("POST", "/users", &"x".repeat(1 << 20));
        assert!(matches!(
            played(&tape, vec![large]).await[0],
            Err(Failure::Unreachable(_))
        ));
    }
    let (played, _) = tape.take();
    let kept: usize = played.iter().map(|one| request_bytes(&one.request)).sum();
    assert!(kept <= TAPE_BYTES, "{kept}");
    // That there was more shows.
    assert_eq!(played.len(), 16);
    assert_eq!(
        (&played[15].request.body, played[15].of),
        (&Body::None, None)
    );
}

#[tokio::test]
async fn what_goes_to_another_host_is_on_the_tape_counted_and_denied_again() {
    let elsewhere = "https://evil.test/users?to=ada".parse().unwrap();
    let below = "https://api.example.com/v3/users".parse().unwrap();
    let usage = Usage::default();
    let taping = Taping::new(Http::Recorder(Arc::new(Recorder::new(policy()))));
    let http = Http::Taping(taping.clone());
    let post = || request("POST", "", "a");
    let denied = http
        .send_to(&elsewhere, post(), &asking(&usage))
        .await
        .unwrap_err();
    assert!(
        matches!(&denied, Failure::Denied(why) if why.contains("not below the endpoint")),
        "{denied:?}"
    );
    assert!(http.send_to(&below, post(), &asking(&usage)).await.is_ok());
    let (exchanges, _) = taping.take().unwrap();
    assert_eq!(exchanges[0].answer, Some(Err(denied.clone())));
    assert_eq!(exchanges[1].request.path, "/users");

    let tape = Tape::new(policy(), exchanges, false);
    let http = Http::Tape(tape.clone());
    for uri in [&elsewhere, &below] {
        let _ = http.send_to(uri, post(), &asking(&usage)).await;
    }
    let (played, left) = tape.take();
    assert_eq!((played[0].of, played[1].of), (Some(0), Some(1)));
    assert_eq!(played[0].answer, Some(Err(denied)));
    assert!(left.is_empty());
    // Once by whoever was taped, once by the tape.
    let counted = usage.take().used;
    assert_eq!(counted.denied.iter().sum::<u64>(), 2, "{counted:?}");
}

#[tokio::test]
async fn a_tape_that_is_too_long_is_given_up_and_the_call_goes_on() {
    let taping = Taping::new(Http::Recorder(Arc::new(Recorder::new(policy()))));
    let http = Http::Taping(taping.clone());
    let usage = Usage::default();
    for _ in 0..17 {
        let large = request("POST", "/users", &"x".repeat(1 << 20));
        assert!(http.send(large, &asking(&usage)).await.is_ok());
    }
    assert_eq!(taping.take(), None);
}

#[test]
fn a_policy_that_was_written_down_judges_the_same() {
    let grants = vec![RouteGrant::parse("GET /jobs/*").unwrap()];
    for policy in [policy(), policy().narrowed(grants)] {
        let record = policy.record();
        let read = Policy::try_from(&record).unwrap();
        for (method, path) in [
            ("POST", "/users"),
            ("GET", "/jobs/1"),
            ("GET", "/x"),
            ("PUT", "/users"),
        ] {
            let request = request(method, path, "");
            assert_eq!(read.judge(&request, None), policy.judge(&request, None));
        }
        assert_eq!(read.record(), record);
    }
}
