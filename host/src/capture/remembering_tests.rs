use futures_util::FutureExt;

use super::*;
use crate::capability::state::Bounds;

const BOUNDS: Bounds = Bounds {
    keys: 3,
    bytes: 1 << 20,
};

fn change(key: &str, expected: Option<&str>, value: Option<&str>) -> Change {
    Change {
        key: key.to_owned(),
        expected: expected.map(str::to_owned),
        value: value.map(str::to_owned),
        bounds: BOUNDS,
    }
}

fn text(key: &str, after: u32, found: Found) -> CapturedText {
    let key = key.to_owned();
    CapturedText { key, after, found }
}

fn holds(text: &str) -> Found {
    Found::Text(text.to_owned())
}

fn changed(key: &str, value: Option<&str>, made: bool) -> CapturedChange {
    CapturedChange {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        made,
    }
}

/// What a plugin does, and what somebody else does while it works.
enum Step<'a> {
    Get(&'a str),
    Set(&'a str, Option<&'a str>, Option<&'a str>),
    Others(&'a str, Option<&'a str>),
}

use Step::{Get, Others, Set};

/// Does all of it; the answers in words.
async fn answers(memory: &dyn Memory, others: Option<&Scratch>, steps: &[Step<'_>]) -> Vec<String> {
    let mut answers = vec![];
    for step in steps {
        answers.push(match *step {
            Get(key) => format!("{:?}", memory.get(key.to_owned()).await),
            Set(key, expected, value) => {
                let change = change(key, expected, value);
                format!("{:?}", memory.compare_and_set(change).await)
            }
            Others(key, text) => {
                if let Some(others) = others {
                    others.put(key, text);
                }
                continue;
            }
        });
    }
    answers
}

/// Writes down what these steps find and change where this stands.
async fn taped(before: &[(&str, &str)], steps: &[Step<'_>]) -> (Vec<String>, Memories) {
    let owned = |&(key, text): &(&str, &str)| (key.to_owned(), text.to_owned());
    let scratch = Arc::new(Scratch::with(before.iter().map(owned)));
    let remembering = Remembering::new(scratch.clone());
    let answers = answers(&*remembering, Some(&scratch), steps).await;
    (answers, remembering.take().unwrap())
}

#[tokio::test]
async fn what_stood_there_before_is_written_down_once_and_changes_in_their_order() {
    let steps = [
        Get("a"),
        Set("a", Some("1"), Some("2")),
        Get("a"),
        Set("b", None, Some("x")),
        Set("c", Some("x"), None),
        Set("c", Some("y"), None),
    ];
    let (_, memories) = taped(&[("a", "1"), ("c", "y")], &steps).await;
    assert_eq!(
        memories.state,
        [
            text("a", 0, holds("1")),
            text("b", 0, Found::Nothing),
            text("c", 0, holds("y")),
        ]
    );
    assert_eq!(
        memories.remembers,
        [
            changed("a", Some("2"), true),
            changed("b", Some("x"), true),
            changed("c", None, false),
            changed("c", None, true),
        ]
    );
}

#[tokio::test]
async fn the_same_steps_are_answered_the_same_whatever_others_did_meanwhile() {
    let large = "x".repeat(2 << 20);
    let large = Some(large.as_str());
    for (name, steps) in [
        (
            "claimed by another",
            vec![
                Get("list"),
                Others("list", Some("theirs")),
                Set("list", None, Some("mine")),
                Get("list"),
            ],
        ),
        (
            "changed twice by others",
            vec![
                Set("n", Some("1"), Some("2")),
                Others("n", Some("7")),
                Set("n", Some("2"), Some("3")),
                Set("n", Some("7"), Some("8")),
                Others("n", None),
                Get("n"),
                Set("n", None, Some("1")),
            ],
        ),
        (
            "there and back again, which nobody can see",
            vec![
                Get("n"),
                Others("n", Some("7")),
                Others("n", Some("1")),
                Get("n"),
            ],
        ),
        (
            "too large",
            vec![
                Set("n", Some("1"), large),
                Get("n"),
                Set("new", None, large),
                Set("new", None, Some("small")),
            ],
        ),
        (
            "too many keys, with those that it never came to",
            vec![
                Set("a", None, Some("1")),
                Set("b", None, Some("1")),
                Get("b"),
            ],
        ),
    ] {
        let (live, memories) = taped(&[("n", "1"), ("unseen", "1")], &steps).await;
        let again = Remembering::new(Recalling::new(memories.state.clone()));
        assert_eq!(answers(&*again, None, &steps).await, live, "{name}");
        assert_eq!(again.take().unwrap(), memories, "{name}");
    }
}

#[tokio::test]
async fn what_the_host_could_not_do_it_can_not_do_again() {
    let recalling = Recalling::new([
        text("a", 0, Found::Unavailable("no disk".to_owned())),
        text("a", 1, holds("1")),
        text("b", 0, Found::TooLarge("too much".to_owned())),
        text("c", 0, Found::Denied("no".to_owned())),
    ]);
    let get = |key: &str| recalling.get(key.to_owned());
    let unavailable = Failure::Unavailable("no disk".to_owned());
    assert_eq!(get("a").await, Err(unavailable));
    assert_eq!(get("a").await, Ok(Some("1".to_owned())));
    // Another version looks where this one made a change, then makes it.
    assert_eq!(get("b").await, Ok(None));
    let set = change("b", None, Some("1"));
    assert_eq!(recalling.compare_and_set(set).await, Ok(()));
    assert_eq!(get("c").await, Err(Failure::Denied("no".to_owned())));
    assert_eq!(get("unknown").await, Ok(None));
}

/// Never answers.
struct Stuck;

impl Memory for Stuck {
    fn get(&self, _: String) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        Box::pin(std::future::pending())
    }

    fn compare_and_set(&self, _: Change) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn a_call_that_ended_over_a_change_ends_there_again() {
    let remembering = Remembering::new(Arc::new(Stuck));
    let set = change("a", None, Some("1"));
    let answer = remembering.compare_and_set(set.clone()).now_or_never();
    assert!(answer.is_none());
    let memories = remembering.take().unwrap();
    assert_eq!(memories.state, [text("a", 0, Found::Never)]);
    assert_eq!(memories.remembers, [changed("a", Some("1"), false)]);

    let recalling = Recalling::new(memories.state);
    assert!(recalling.ended().now_or_never().is_none());
    assert!(recalling.compare_and_set(set).now_or_never().is_none());
    assert!(recalling.ended().now_or_never().is_some());
}

#[tokio::test]
async fn of_more_than_a_tape_holds_only_a_replay_takes_the_part_that_fits() {
    let mut takes = vec![];
    for part in [true, false] {
        let remembering = Remembering::new(Arc::<Scratch>::default());
        let mut before: Option<String> = None;
        for round in 0..=(TAPE_BYTES >> 20) {
            let value = format!("{round:02}") + &"x".repeat((1 << 20) - 2);
            let mut set = change("a", before.as_deref(), Some(&value));
            set.bounds.bytes = 2 << 20;
            assert_eq!(remembering.compare_and_set(set).await, Ok(()));
            before = Some(value);
        }
        takes.push(match part {
            true => Some(remembering.take_part().0.remembers.len()),
            false => remembering.take().map(|all| all.remembers.len()),
        });
    }
    assert_eq!(takes, [Some((TAPE_BYTES >> 20) - 1), None]);
}
