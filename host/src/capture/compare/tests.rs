use super::super::exchange::{CapturedRequest, RequestBody};
use super::super::outcome::{CapturedRefusal, CapturedReport, Decision, Outcome, Rejected};
use super::super::words::Words;
use super::changes::LISTED;
use super::content::bytes;
use super::*;
use crate::capability::http::PolicyRecord;
use crate::capture::{
    Bytes, CapturedCell, CapturedChange, CapturedExchange, CapturedRow, CapturedText, CellKind,
    Digests, Found, Input, Version,
};
use crate::plugin::flat::Kind;
use crate::usage::Used;

fn header() -> Header {
    Header {
        format: 1,
        sluice: String::new(),
        export: "acme/vip".to_owned(),
        plugin: Version {
            name: String::new(),
            version: String::new(),
            sha256: String::new(),
            contract: String::new(),
        },
        masked: false,
        wanted: 1,
        calls: 1,
        columns: vec![("name".to_owned(), "name".to_owned())],
        options: serde_json::Map::new(),
        extra: vec![],
        limits: Default::default(),
        policy: PolicyRecord {
            routes: vec!["POST /users/*".to_owned()],
            ..PolicyRecord::default()
        },
    }
}

fn exchange(path: &str, body: &str, answer: Answer) -> CapturedExchange {
    CapturedExchange {
        request: CapturedRequest {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: vec![],
            headers: vec![("accept".to_owned(), "text/plain".to_owned())],
            body: RequestBody::Bytes(Bytes(body.into())),
            extra: vec![],
        },
        answer,
    }
}

fn fine() -> Answer {
    Answer::Response {
        status: 200,
        headers: vec![],
        body: Bytes(vec![]),
        extra: vec![],
    }
}

fn delivered(rejected: &[(u32, &str)]) -> Outcome {
    let one = |(row, reason): &(u32, &str)| Rejected {
        row: *row,
        field: Some("name".to_owned()),
        reason: (*reason).to_owned(),
    };
    Outcome::Delivered {
        rejected: rejected.iter().map(one).collect(),
        retry: vec![],
        why: None,
    }
}

fn call(exchanges: Vec<CapturedExchange>) -> Call {
    Call {
        input: Input::Deliver {
            rows: vec![CapturedRow {
                change: Kind::Update,
                cells: vec![CapturedCell(CellKind::Text, "Lovelace".to_owned())],
            }],
        },
        began: None,
        exchanges,
        state: vec![],
        remembers: vec![],
        outcome: delivered(&[]),
        real: None,
        digests: Digests::default(),
    }
}

fn replayed(exchanges: Vec<(CapturedExchange, Option<usize>)>, left: Vec<usize>) -> Replayed {
    Replayed {
        exchanges,
        left,
        state: vec![],
        remembers: vec![],
        outcome: delivered(&[]),
        used: Used::default(),
    }
}

fn found(call: &Call, replayed: &Replayed, show: Show) -> CallDifference {
    compare(&header(), 1, call, replayed, show)
}

#[test]
fn the_same_is_no_difference() {
    let one = exchange("/users/17", r#"{"a":1}"#, fine());
    let call = call(vec![one.clone()]);
    for show in [Show::All, Show::Masked] {
        assert!(found(&call, &replayed(vec![(one.clone(), Some(0))], vec![]), show).is_none());
    }
}

#[test]
fn json_is_compared_by_its_places_and_anything_else_by_its_lines() {
    let changes = |then: &str, now: &str| {
        let mut changes = Changes::default();
        let header = header();
        let shown = Shown {
            show: Show::All,
            members: Words::default(),
            routes: &header.policy.routes,
        };
        bytes(
            "body",
            then.as_bytes(),
            now.as_bytes(),
            &shown,
            &mut changes,
        );
        let one = |change: Change| {
            let text = |text: Option<String>| text.unwrap_or("-".to_owned());
            format!("{}|{}|{}", change.at, text(change.was), text(change.is))
        };
        changes.end().into_iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(
        changes(
            r#"{"a":{"b":1,"c":[1,2]},"d":true}"#,
            r#"{"a":{"b":"1","c":[1]},"e":null}"#
        ),
        [
            "body/a/b|1|\"1\"",
            "body/a/c/1|2|-",
            "body/e|-|null",
            "body/d|true|-"
        ]
    );
    assert_eq!(
        changes(r#"{"a":1}"#, r#"{ "a": 1 }"#),
        ["body: written in another way|-|-"]
    );
    assert_eq!(
        changes("h\na\nb", "h\nx"),
        ["body line 2|a|x", "body line 3|b|-"]
    );
    let many: Vec<_> = (0..100).collect();
    let all = changes(&format!("{many:?}"), "[]");
    assert_eq!(
        (all.len(), all[LISTED].as_str()),
        (LISTED + 1, "and 60 more|-|-")
    );
}

#[test]
fn requests_are_new_gone_changed_or_in_another_order() {
    let (a, b) = (
        exchange("/users/1", "a", fine()),
        exchange("/users/2", "b", fine()),
    );
    let call = call(vec![a.clone(), b.clone()]);
    let swapped = replayed(vec![(b.clone(), Some(1)), (a.clone(), Some(0))], vec![]);
    assert_eq!(
        found(&call, &swapped, Show::All).requests,
        [RequestDifference::Order]
    );

    let denied = exchange("/admin", "", Answer::Denied("no route".to_owned()));
    let other = exchange("/users/1", "x", fine());
    let changed = replayed(vec![(other, Some(0)), (denied, None)], vec![1]);
    assert_eq!(
        found(&call, &changed, Show::All).requests,
        [
            RequestDifference::Changed {
                request: "POST /users/1".to_owned(),
                changes: vec![Change {
                    at: "body line 1".to_owned(),
                    was: Some("a".to_owned()),
                    is: Some("x".to_owned()),
                }],
                denied: None,
            },
            RequestDifference::New {
                request: "POST /admin".to_owned(),
                denied: Some("no route".to_owned()),
            },
            RequestDifference::Gone {
                request: "POST /users/2".to_owned()
            },
        ]
    );
}

#[test]
fn outcomes_are_compared_row_by_row() {
    let call = call(vec![]);
    let mut now = replayed(vec![], vec![]);
    now.outcome = delivered(&[(0, "too long")]);
    let difference = found(&call, &now, Show::All);
    assert_eq!(
        difference.outcome,
        [Change {
            at: "row 0".to_owned(),
            was: None,
            is: Some("rejected: name: too long".to_owned()),
        }]
    );
    now.outcome = Outcome::Problem(Decision::Fatal("no".to_owned()));
    assert_eq!(found(&call, &now, Show::All).outcome[0].at, "outcome");
}

#[test]
fn what_is_a_members_is_not_shown_unless_asked_for() {
    let body = |name: &str| format!(r#"{{"name":"{name}","id":17}}"#);
    let then = exchange("/users/lovelace", &body("Lovelace"), fine());
    let now = exchange("/users/lovelace", &body("LOVELACE"), fine());
    let call = call(vec![then]);
    let mut replayed = replayed(vec![(now, Some(0))], vec![]);
    replayed.outcome = delivered(&[(0, "Lovelace is too long")]);
    let masked = serde_json::to_string(&found(&call, &replayed, Show::Masked)).unwrap();
    assert!(!masked.to_lowercase().contains("lovelace"), "{masked}");
    assert!(
        masked.contains("POST /users/xxxxxxxx") && masked.contains("is too long"),
        "{masked}"
    );
    assert!(masked.contains("differs in what is masked"), "{masked}");
    let revealed = serde_json::to_string(&found(&call, &replayed, Show::All)).unwrap();
    assert!(revealed.contains("LOVELACE"), "{revealed}");
}

#[test]
fn changes_of_what_a_plugin_remembers_are_compared_by_their_keys() {
    let text = |key: &str| CapturedText {
        key: key.to_owned(),
        after: 0,
        found: Found::Nothing,
    };
    let change = |key: &str, value: Option<&str>, made| CapturedChange {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        made,
    };
    let mut then = call(vec![]);
    then.state = vec![text("list"), text("job")];
    then.remembers = vec![
        change("list", Some("Lovelace-17"), true),
        change("job", None, true),
    ];
    let mut now = replayed(vec![], vec![]);
    now.state = then.state.clone();
    now.remembers = then.remembers.clone();
    assert!(found(&then, &now, Show::Masked).is_none());

    now.remembers.reverse();
    let difference = found(&then, &now, Show::Masked);
    assert_eq!(difference.remembers[0].at, "in another order");
    assert!(!difference.is_none());

    now.state.push(text("lovelace-lists"));
    now.remembers = vec![
        change("list", Some("Lovelace-18"), false),
        change("list", Some("x"), true),
    ];
    let texts = |show| {
        let one = |change: Change| {
            let text = |text: Option<String>| text.unwrap_or("-".to_owned());
            format!("{}|{}|{}", change.at, text(change.was), text(change.is))
        };
        let changes = found(&then, &now, show).remembers.into_iter();
        changes.map(one).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(Show::All),
        [
            "lovelace-lists: looked at, and the capture does not know it|-|-",
            "job|taken out|-",
            "list|`Lovelace-17`|`Lovelace-18`, which is not made",
            "list|-|`x`",
        ]
    );
    let masked = texts(Show::Masked);
    assert!(masked[0].starts_with("xxxxxxxx-lists: "), "{masked:?}");
    assert_eq!(
        masked[2],
        "list|`xxxxxxxx-00`|`xxxxxxxx-00`, which is not made"
    );
}

#[test]
fn of_a_job_nobody_is_shown_though_no_row_says_who_it_may_be() {
    let report = |reason: &str| {
        Outcome::Failed(CapturedReport {
            message: "one row of Lovelace was refused by 17".to_owned(),
            accepted: Some(1),
            created: None,
            updated: None,
            unchanged: None,
            refused: Some(1),
            rows: vec![CapturedRefusal {
                row: None,
                identity: Some("ada".to_owned()),
                field: None,
                reason: reason.to_owned(),
            }],
        })
    };
    let answer = Answer::Response {
        status: 200,
        headers: vec![],
        body: Bytes(r#"{"Lovelace":"Countess","id":17}"#.into()),
        extra: vec![],
    };
    let one = exchange("/else/Lovelace/a17/v2", "", answer);
    let call = Call {
        input: Input::Poll {
            token: "job-Byron".to_owned(),
        },
        outcome: report("the Countess of Byron is no mailbox"),
        ..call(vec![one.clone()])
    };
    let now = Replayed {
        outcome: report("another"),
        ..replayed(vec![(one, None)], vec![0])
    };
    let shown = found(&call, &now, Show::Masked);
    let text = serde_json::to_string(&shown).unwrap();
    for hidden in ["Lovelace", "Countess", "Byron", "ada", "17"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    for kept in [
        "is no mailbox",
        "one row of xxxxxxxx was refused by 00",
        "/else/xxxxxxxx/x00/v2",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

#[test]
fn nothing_that_a_terminal_obeys_is_shown_even_if_all_is() {
    let one = exchange("/users/17", "a\u{1b}[31m\u{202e}b", fine());
    let call = call(vec![exchange("/users/17", "plain", fine())]);
    let shown = found(&call, &replayed(vec![(one, Some(0))], vec![]), Show::All);
    let [RequestDifference::Changed { changes, .. }] = shown.requests.as_slice() else {
        panic!("{shown:?}");
    };
    assert_eq!(changes[0].is.as_deref(), Some("a [31m b"));
}
