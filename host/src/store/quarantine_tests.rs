use super::tests::{BY, append, change, deliver_all, scan, settle, store, take};
use super::*;
use crate::export::State;
use crate::plugin::flat::Kind;

/// Refuses everything that is due now; answers the numbers in quarantine.
fn refuse_all(store: &Store) -> Vec<i64> {
    let outcomes = take(store)
        .into_iter()
        .map(|change| {
            let reason = "is bad".to_owned();
            let field = Some("email".to_owned());
            (change, Outcome::Rejected { field, reason })
        })
        .collect();
    settle(store, outcomes);
    entries(store).into_iter().map(|entry| entry.id).collect()
}

fn entries(store: &Store) -> Vec<QuarantineRow> {
    let all = QuarantineFilter::default();
    store.quarantine(&all, None).unwrap()
}

fn replay(store: &Store, id: i64) -> Option<Replay> {
    let replayed = store.replay(id, &Together::default(), 9).unwrap();
    assert!(store.ledger().unwrap().counts.add_up());
    replayed
}

#[test]
fn a_row_that_is_sent_once_more_is_delivered_and_counted_once() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Exit, r#"{"a":1}"#)]);
    let [id] = refuse_all(&store)[..] else {
        panic!("not one entry")
    };
    assert_eq!(replay(&store, id), Some(Replay::Waits));
    assert_eq!(replay(&store, id), None, "it is there no more");
    let sent = deliver_all(&store);
    assert_eq!(sent, [(Kind::Exit, r#"{"a":1}"#.to_owned())]);
    let live = store.ledger().unwrap().counts.live;
    assert_eq!((live.received, live.delivered, live.quarantined), (1, 1, 0));
}

#[test]
fn a_replay_never_overtakes_what_was_delivered_since_or_waits() {
    for delivered in [true, false] {
        let (_directory, store) = store();
        append(&store, &[change("m", Kind::Update, r#"{"a":1}"#)]);
        let ids = refuse_all(&store);
        append(&store, &[change("m", Kind::Update, r#"{"a":2}"#)]);
        if delivered {
            deliver_all(&store);
        }
        assert_eq!(replay(&store, ids[0]), Some(Replay::Superseded));
        let rest = if delivered { 0 } else { 1 };
        assert_eq!(deliver_all(&store).len(), rest);
        let live = store.ledger().unwrap().counts.live;
        assert_eq!((live.delivered, live.superseded), (1, 1), "{delivered}");
    }
}

#[test]
fn two_rows_of_a_member_are_replayed_in_their_order() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Update, r#"{"a":1,"b":1}"#)]);
    refuse_all(&store);
    append(&store, &[change("m", Kind::Exit, r#"{"a":2}"#)]);
    let [older, newer] = refuse_all(&store)[..] else {
        panic!("not two entries")
    };
    assert_eq!(replay(&store, older), Some(Replay::Waits));
    assert_eq!(replay(&store, newer), Some(Replay::Waits));
    let sent = deliver_all(&store);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1], (Kind::Exit, r#"{"a":2}"#.to_owned()));
}

#[test]
fn the_older_of_two_rows_is_superseded_once_the_newer_is_delivered() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Update, r#"{"a":1}"#)]);
    refuse_all(&store);
    append(&store, &[change("m", Kind::Update, r#"{"a":2}"#)]);
    let [older, newer] = refuse_all(&store)[..] else {
        panic!("not two entries")
    };
    assert_eq!(replay(&store, newer), Some(Replay::Waits));
    assert_eq!(replay(&store, older), Some(Replay::Superseded), "it waits");
    deliver_all(&store);
    append(&store, &[change("m", Kind::Update, r#"{"a":3}"#)]);
    let third = refuse_all(&store)[0];
    assert_eq!(replay(&store, third), Some(Replay::Waits));
}

#[test]
fn a_newer_change_that_joins_a_replay_makes_it_an_ordinary_change() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Update, r#"{"a":1,"b":1}"#)]);
    refuse_all(&store);
    append(&store, &[change("m", Kind::Update, r#"{"a":2}"#)]);
    let [first, second] = refuse_all(&store)[..] else {
        panic!("not two entries")
    };
    assert_eq!(replay(&store, first), Some(Replay::Waits));
    append(&store, &[change("m", Kind::Update, r#"{"a":3}"#)]);
    assert_eq!(replay(&store, second), Some(Replay::Superseded));
    let sent = deliver_all(&store);
    assert_eq!(sent, [(Kind::Update, r#"{"a":3,"b":1}"#.to_owned())]);
}

#[test]
fn a_row_of_the_backfill_counts_for_the_backfill_when_it_is_sent_once_more() {
    let (_directory, store) = store();
    let kept = Quarantined {
        position: "members.ndjson:1".to_owned(),
        member: Some("m".to_owned()),
        kind: Some(Kind::Scan),
        reason: "is bad".to_owned(),
        payload: Some(r#"{"a":1}"#.to_owned()),
        ..Quarantined::default()
    };
    let chunk = ScanChunk {
        received: 1,
        refused: vec![RefusedRow {
            kept,
            member: Some([1; 16]),
            line: 1,
        }],
        ..ScanChunk::default()
    };
    store.commit_scan(&chunk, &State::Scanning, BY, 1).unwrap();
    let id = entries(&store)[0].id;
    assert_eq!(replay(&store, id), Some(Replay::Waits));
    assert_eq!(store.ledger().unwrap().counts.backfill.pending, 1);
    assert_eq!(deliver_all(&store)[0].0, Kind::Enter);
    let counts = store.ledger().unwrap().counts;
    assert_eq!(counts.backfill.delivered, 1);
    assert_eq!(counts.live, PhaseCounts::default());
}

#[test]
fn a_refused_row_is_overtaken_by_a_later_row_of_the_scan_and_not_by_an_earlier_one() {
    for (refused_line, overtaken) in [(1, true), (9, false)] {
        let (_directory, store) = store();
        let kept = Quarantined {
            member: Some("m".to_owned()),
            payload: Some("{}".to_owned()),
            ..Quarantined::default()
        };
        let mut appender = store.append_to(FileEnd::empty(1)).unwrap();
        appender.append(b"row", 1).unwrap();
        let chunk = ScanChunk {
            received: 2,
            rows: vec![StagedRow {
                file: 1,
                start: 0,
                end: 3,
                identities: vec![[7; 16]],
                line: 5,
            }],
            files: vec![appender.end],
            refused: vec![RefusedRow {
                kept,
                member: Some([7; 16]),
                line: refused_line,
            }],
            ..ScanChunk::default()
        };
        store.commit_scan(&chunk, &State::Scanning, BY, 1).unwrap();
        store.find_superseded().unwrap();
        assert_eq!(entries(&store)[0].overtaken, overtaken);
        assert_eq!(store.ledger().unwrap().counts.backfill.superseded, 0);
    }
}

#[test]
fn a_line_that_names_no_member_cannot_be_replayed_only_dropped() {
    let (_directory, store) = store();
    let bad = Quarantined {
        reason: "the line is no JSON".to_owned(),
        payload: Some("nonsense".to_owned()),
        ..Quarantined::default()
    };
    append(&store, &[Incoming::Bad(bad)]);
    let id = entries(&store)[0].id;
    assert_eq!(replay(&store, id), Some(Replay::NoMember));
    assert!(store.drop_quarantined(id).unwrap());
    assert!(!store.drop_quarantined(id).unwrap());
    let live = store.ledger().unwrap().counts.live;
    assert_eq!((live.received, live.quarantined, live.dropped), (1, 0, 1));
    assert!(live.add_up());
}

#[test]
fn filters_pick_what_was_meant() {
    let (_directory, store) = store();
    append(
        &store,
        &[
            change("m1", Kind::Update, r#"{"a":1}"#),
            change("m2", Kind::Update, r#"{"a":1}"#),
        ],
    );
    let ids = refuse_all(&store);
    let some = |text: &str| Some(text.to_owned());
    let none = QuarantineFilter::default;
    for (filter, found) in [
        (none(), &ids[..]),
        (
            QuarantineFilter {
                ids: vec![ids[1], 77],
                ..none()
            },
            &ids[1..],
        ),
        (
            QuarantineFilter {
                member: some("m1"),
                ..none()
            },
            &ids[..1],
        ),
        (
            QuarantineFilter {
                field: some("email"),
                ..none()
            },
            &ids[..],
        ),
        (
            QuarantineFilter {
                field: some("city"),
                ..none()
            },
            &[],
        ),
        (
            QuarantineFilter {
                reason: some("IS BAD"),
                ..none()
            },
            &ids[..],
        ),
        (
            QuarantineFilter {
                phase: some("backfill"),
                ..none()
            },
            &[],
        ),
    ] {
        let rows = store.quarantine(&filter, None).unwrap();
        let rows: Vec<_> = rows.into_iter().map(|row| row.id).collect();
        assert_eq!(rows, found, "{filter:?}");
    }
    assert_eq!(store.quarantine(&none(), Some(1)).unwrap().len(), 1);
}

#[test]
fn the_checksum_is_the_same_however_the_changes_were_put_together() {
    let changes = [
        change("m", Kind::Enter, r#"{"a":1}"#),
        change("n", Kind::Enter, r#"{"a":1}"#),
        change("m", Kind::Update, r#"{"a":2}"#),
    ];
    let (_one, at_once) = store();
    append(&at_once, &changes);
    deliver_all(&at_once);
    let (_other, one_by_one) = store();
    for change in changes.iter().rev().cycle().skip(1).take(3) {
        append(&one_by_one, std::slice::from_ref(change));
        deliver_all(&one_by_one);
    }
    let (receipt, other) = (at_once.receipt().unwrap(), one_by_one.receipt().unwrap());
    assert_eq!(receipt.checksum, other.checksum);
    assert_ne!(receipt.counts, other.counts, "one of them was superseded");

    append(&at_once, &changes[..1]);
    assert_eq!(
        at_once.receipt().unwrap().checksum,
        other.checksum,
        "it waits"
    );
    deliver_all(&at_once);
    assert_ne!(at_once.receipt().unwrap().checksum, other.checksum);
}

#[test]
fn the_checksum_tells_outcomes_apart() {
    let outcome = |refuse: bool, drop: bool| {
        let (_directory, store) = store();
        append(&store, &[change("m", Kind::Update, r#"{"a":1}"#)]);
        if refuse {
            for id in refuse_all(&store) {
                assert!(!drop || store.drop_quarantined(id).unwrap());
            }
        }
        deliver_all(&store);
        store.receipt().unwrap().checksum
    };
    let all = [
        outcome(false, false),
        outcome(true, false),
        outcome(true, true),
    ];
    assert!(
        all[0] != all[1] && all[1] != all[2] && all[0] != all[2],
        "{all:?}"
    );
}

#[test]
fn the_log_knows_its_size_as_changes_come_merge_and_go() {
    let (_directory, store) = store();
    let size = || store.log_bytes().unwrap();
    assert_eq!(size(), 0);
    append(&store, &[change("m", Kind::Update, r#"{"a":1}"#)]);
    let one = size();
    assert!(one > 7, "{one}");
    append(&store, &[change("m", Kind::Update, r#"{"a":1000}"#)]);
    assert_eq!(size(), one + 3, "merged");
    append(&store, &[change("n", Kind::Update, r#"{"a":1}"#)]);
    assert_eq!(size(), 2 * one + 3);
    deliver_all(&store);
    assert_eq!(size(), 0);
}

#[test]
fn refused_rows_of_a_file_are_found_also_behind_rows_that_were_cut_out() {
    let (_directory, store) = store();
    scan(
        &store,
        &[
            ("first;", b"a"),
            ("second;", b"b"),
            ("third;", b"a"),
            ("fourth;", b"c"),
        ],
    );
    store.find_superseded().unwrap();
    store.seal(&store.files().unwrap()[0], 2).unwrap();
    let file = &store.files().unwrap()[0];
    let found: Vec<_> = store
        .file_lines(file, &wanted(&[1, 3, 4], &[]))
        .unwrap()
        .into_iter()
        .map(|line| {
            (
                line.number,
                line.member[0],
                String::from_utf8(line.text).unwrap(),
            )
        })
        .collect();
    let expected = [
        (1, b'b', "second;".to_owned()),
        (3, b'c', "fourth;".to_owned()),
    ];
    assert_eq!(found, expected);
}

fn wanted(numbers: &[u64], identities: &[u8]) -> Wanted {
    Wanted {
        numbers: numbers.to_vec(),
        identities: identities.iter().map(|&byte| [byte; 16]).collect(),
    }
}

#[test]
fn refused_rows_of_a_file_are_found_by_what_the_destination_knows_them_by() {
    let (_directory, store) = store();
    // Of each row the first is the host's own.
    let rows: [(&str, &[u8]); 4] = [
        ("first;", b"axy"),
        ("second;", b"bz"),
        ("third;", b"cx"),
        ("fourth;", b"d"),
    ];
    scan(&store, &rows);
    store.find_superseded().unwrap();
    store.seal(&store.files().unwrap()[0], 2).unwrap();
    let file = &store.files().unwrap()[0];
    let found = |numbers: &[u64], identities: &[u8]| -> Vec<_> {
        let lines = store.file_lines(file, &wanted(numbers, identities));
        let lines = lines.unwrap().into_iter();
        let by = |line: &FileLine| line.identities.iter().map(|hash| hash[0]).collect();
        lines
            .map(|line| (line.number, line.member[0], by(&line)))
            .collect::<Vec<(u64, u8, Vec<u8>)>>()
    };
    // The first row was superseded by the third, which shares an identity with it.
    assert_eq!(found(&[], b"x"), [(2, b'c', vec![b'x'])]);
    assert_eq!(
        found(&[], b"zx"),
        [(1, b'b', vec![b'z']), (2, b'c', vec![b'x'])]
    );
    assert_eq!(
        found(&[1, 3], b"x"),
        [(1, b'b', vec![]), (2, b'c', vec![b'x']), (3, b'd', vec![])]
    );
    assert_eq!(found(&[2], b"x"), [(2, b'c', vec![b'x'])]);
    // A member's own key is none of the destination's, and what was cut out is not there.
    assert_eq!(found(&[], b"by?"), []);
}
