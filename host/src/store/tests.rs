use super::*;
use crate::export::State;
use crate::plugin::flat::Kind;
use crate::source::Payload;

pub(super) const BY: (&str, &str) = ("test", "1.0.0");

pub(super) fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

pub(super) fn change(member: &str, kind: Kind, json: &str) -> Incoming {
    Incoming::Change {
        member: member.to_owned(),
        kind,
        at: None,
        payload: serde_json::from_str::<Payload>(json).unwrap(),
        position: "changes.ndjson:1".to_owned(),
    }
}

pub(super) fn append(store: &Store, changes: &[Incoming]) {
    let together = Together::new(vec![vec!["first".to_owned(), "last".to_owned()]]);
    store
        .append(changes, &together, Some(("changes", "p")), BY, 1)
        .unwrap();
}

pub(super) fn take(store: &Store) -> Vec<Pending> {
    store.take(0, 1, 100, 1_000, 1_000_000).unwrap()
}

pub(super) fn settle(store: &Store, outcomes: Vec<(Pending, Outcome)>) {
    store.settle(&outcomes, BY, 2).unwrap();
    assert!(
        store.ledger().unwrap().counts.add_up(),
        "{:?}",
        store.ledger().unwrap()
    );
}

pub(super) fn deliver_all(store: &Store) -> Vec<(Kind, String)> {
    let mut sent = vec![];
    loop {
        let taken = take(store);
        if taken.is_empty() {
            return sent;
        }
        sent.extend(
            taken
                .iter()
                .map(|change| (change.kind, change.payload.clone())),
        );
        settle(
            store,
            taken
                .into_iter()
                .map(|change| (change, Outcome::Delivered))
                .collect(),
        );
    }
}

#[test]
fn waiting_changes_of_a_member_are_sent_as_one_only_if_that_leads_to_the_same() {
    let e = Kind::Enter;
    let u = Kind::Update;
    let x = Kind::Exit;
    for (name, changes, sent) in [
        (
            "a newer value takes the older one's place",
            vec![(e, r#"{"a":1}"#), (u, r#"{"a":2}"#)],
            vec![(e, r#"{"a":2}"#)],
        ),
        (
            "what is not named keeps its value",
            vec![(e, r#"{"a":1,"b":2}"#), (u, r#"{"b":3}"#)],
            vec![(e, r#"{"a":1,"b":3}"#)],
        ),
        (
            "a null may mean leave it alone",
            vec![(e, r#"{"a":"x"}"#), (u, r#"{"a":null}"#)],
            vec![(e, r#"{"a":"x"}"#), (u, r#"{"a":null}"#)],
        ),
        (
            "and so may an empty text",
            vec![(e, r#"{"a":"x"}"#), (u, r#"{"a":"  "}"#)],
            vec![(e, r#"{"a":"x"}"#), (u, r#"{"a":"  "}"#)],
        ),
        (
            "and an empty list",
            vec![(e, r#"{"a":["x"]}"#), (u, r#"{"a":[null]}"#)],
            vec![(e, r#"{"a":["x"]}"#), (u, r#"{"a":[null]}"#)],
        ),
        (
            "a blank over the same blank covers nothing up",
            vec![(e, r#"{"a":null,"b":1}"#), (u, r#"{"a":null,"b":2}"#)],
            vec![(e, r#"{"a":null,"b":2}"#)],
        ),
        (
            "an empty object may be a text to a destination, and a null mean leave it alone",
            vec![(e, r#"{"a":{}}"#), (u, r#"{"a":null}"#)],
            vec![(e, r#"{"a":{}}"#), (u, r#"{"a":null}"#)],
        ),
        (
            "a null may clear, and an empty text mean leave it alone",
            vec![(e, r#"{"a":null}"#), (u, r#"{"a":""}"#)],
            vec![(e, r#"{"a":null}"#), (u, r#"{"a":""}"#)],
        ),
        (
            "a value over a blank does not either",
            vec![(e, r#"{"a":null}"#), (u, r#"{"a":"x"}"#)],
            vec![(e, r#"{"a":"x"}"#)],
        ),
        (
            "half a name is no name",
            vec![(e, r#"{"first":"A","last":"B"}"#), (u, r#"{"last":"C"}"#)],
            vec![(e, r#"{"first":"A","last":"B"}"#), (u, r#"{"last":"C"}"#)],
        ),
        (
            "a whole name is",
            vec![(e, r#"{"first":"A"}"#), (u, r#"{"first":"D","last":"C"}"#)],
            vec![(e, r#"{"first":"D","last":"C"}"#)],
        ),
        (
            "what kept two apart may be gone",
            vec![
                (e, r#"{"a":"x"}"#),
                (u, r#"{"a":null,"b":1}"#),
                (u, r#"{"a":"y"}"#),
            ],
            vec![(e, r#"{"a":"y","b":1}"#)],
        ),
        (
            "an exit says something of its own",
            vec![(e, r#"{"a":1}"#), (x, r#"{"a":2}"#)],
            vec![(e, r#"{"a":1}"#), (x, r#"{"a":2}"#)],
        ),
        (
            "a return that says as much makes exit and entry void",
            vec![(e, r#"{"a":1}"#), (x, r#"{"a":2}"#), (e, r#"{"a":3}"#)],
            vec![(e, r#"{"a":3}"#)],
        ),
        (
            "half a name is none for a member who enters, either",
            vec![(e, r#"{"a":1}"#), (u, r#"{"last":"C"}"#)],
            vec![(e, r#"{"a":1}"#), (u, r#"{"last":"C"}"#)],
        ),
    ] {
        let (_directory, store) = store();
        let changes: Vec<_> = changes
            .iter()
            .map(|(kind, json)| change("m", *kind, json))
            .collect();
        append(&store, &changes);
        let sent: Vec<_> = sent
            .into_iter()
            .map(|(kind, json)| (kind, json.to_owned()))
            .collect();
        assert_eq!(deliver_all(&store), sent, "{name}");
        let live = store.ledger().unwrap().counts.live;
        assert_eq!(live.delivered, sent.len() as u64, "{name}");
        assert_eq!(
            live.superseded,
            (changes.len() - sent.len()) as u64,
            "{name}"
        );
    }
}

#[test]
fn an_answer_to_an_older_version_does_not_settle_a_newer_one() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Enter, r#"{"a":1}"#)]);
    let in_flight = take(&store);
    append(&store, &[change("m", Kind::Exit, r#"{"a":2}"#)]);
    settle(
        &store,
        in_flight
            .into_iter()
            .map(|change| (change, Outcome::Delivered))
            .collect(),
    );
    assert_eq!(deliver_all(&store), [(Kind::Exit, r#"{"a":2}"#.to_owned())]);
    assert_eq!(store.ledger().unwrap().counts.live.delivered, 2);
}

#[test]
fn only_the_first_of_a_members_changes_is_due_also_when_it_is_put_off() {
    let (_directory, store) = store();
    append(
        &store,
        &[
            change("m", Kind::Enter, r#"{"a":"x"}"#),
            change("m", Kind::Update, r#"{"a":null}"#),
            change("other", Kind::Enter, r#"{"a":1}"#),
        ],
    );
    let taken = take(&store);
    let members: Vec<_> = taken.iter().map(|change| change.member.as_str()).collect();
    assert_eq!(members, ["m", "other"]);
    let retry = (
        taken[0].clone(),
        Outcome::Retry {
            not_before_ms: 5_000,
            asked: false,
        },
    );
    settle(&store, vec![retry, (taken[1].clone(), Outcome::Delivered)]);
    assert!(take(&store).is_empty(), "the newer one must not overtake");
    assert_eq!(store.next_due_ms(0, 1).unwrap(), Some(5_000));
    let due = store.take(0, 1, 100, 5_000, 1_000_000).unwrap();
    assert_eq!((due[0].kind, due[0].attempt), (Kind::Enter, 1));
}

#[test]
fn what_was_put_off_is_sent_by_another_version_at_once_unless_the_destination_asked_to_wait() {
    let (_directory, store) = store();
    let members = ["put off", "asked"];
    append(
        &store,
        &members.map(|member| change(member, Kind::Enter, r#"{"a":1}"#)),
    );
    let retry = take(&store).into_iter().map(|pending| {
        let asked = pending.member == "asked";
        (
            pending,
            Outcome::Retry {
                not_before_ms: 5_000,
                asked,
            },
        )
    });
    settle(&store, retry.collect());
    assert!(take(&store).is_empty());
    store.put_off_no_longer().unwrap();
    let taken = take(&store);
    let again = |pending: &Pending| (pending.member.clone(), pending.attempt);
    assert_eq!(
        taken.iter().map(again).collect::<Vec<_>>(),
        [("put off".to_owned(), 1)]
    );
}

#[test]
fn a_time_far_ahead_was_written_by_a_wrong_clock_and_does_not_hold_a_change_up() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Enter, r#"{"a":1}"#)]);
    let taken = take(&store);
    settle(
        &store,
        vec![(
            taken[0].clone(),
            Outcome::Retry {
                not_before_ms: i64::MAX / 2,
                asked: false,
            },
        )],
    );
    assert_eq!(take(&store).len(), 1);
}

#[test]
fn rejected_changes_and_bad_lines_are_kept_with_their_reason() {
    let (_directory, store) = store();
    let bad = Quarantined {
        position: "changes.ndjson:2".to_owned(),
        member: None,
        kind: None,
        field: None,
        reason: "the line is no JSON".to_owned(),
        payload: Some("nonsense".to_owned()),
        ..Quarantined::default()
    };
    append(
        &store,
        &[change("m", Kind::Enter, r#"{"a":1}"#), Incoming::Bad(bad)],
    );
    let taken = take(&store);
    let reason = "is not a date".to_owned();
    let rejected = Outcome::Rejected {
        field: Some("birthday".to_owned()),
        reason,
    };
    settle(&store, vec![(taken[0].clone(), rejected)]);
    let reasons: Vec<_> = store
        .quarantine(&QuarantineFilter::default(), None)
        .unwrap()
        .into_iter()
        .map(|row| (row.position, row.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (
                "changes.ndjson:2".to_owned(),
                "the line is no JSON".to_owned()
            ),
            ("changes.ndjson:1".to_owned(), "is not a date".to_owned()),
        ]
    );
    assert_eq!(store.ledger().unwrap().counts.live.quarantined, 2);
}

#[test]
fn every_commit_is_on_disk_when_it_returns() {
    let (_directory, store) = store();
    let (mode, synchronous): (String, i64) = store
        .read(|db| {
            let mode = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
            Ok((
                mode,
                db.query_row("PRAGMA synchronous", [], |row| row.get(0))?,
            ))
        })
        .unwrap();
    // 2 is FULL: with a write-ahead log, that log is synced with every commit.
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

#[test]
fn every_member_is_in_one_lane_whatever_their_number() {
    let (_directory, store) = store();
    let members: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    let changes: Vec<_> = members
        .iter()
        .map(|m| change(m, Kind::Enter, r#"{"a":1}"#))
        .collect();
    append(&store, &changes);
    for lanes in [1, 3, 4, 64] {
        let mut found: Vec<String> = (0..lanes)
            .flat_map(|lane| store.take(lane, lanes, 1_000, 1, 1).unwrap())
            .map(|change| change.member)
            .collect();
        found.sort();
        let mut all = members.clone();
        all.sort();
        assert_eq!(found, all, "{lanes} lanes");
    }
}

/// Writes rows to a staged file as a scan does, and commits them.
pub(super) fn scan(store: &Store, rows: &[(&str, &[u8])]) {
    let file = store.files().unwrap().pop();
    let end = file.map_or(FileEnd::empty(1), |file| file.end());
    let mut appender = store.append_to(end).unwrap();
    let mut chunk = ScanChunk {
        received: rows.len() as u64,
        ..ScanChunk::default()
    };
    for (text, identities) in rows {
        let start = appender.end.bytes;
        appender.append(text.as_bytes(), 1).unwrap();
        chunk.rows.push(StagedRow {
            file: appender.end.number,
            start,
            end: appender.end.bytes,
            identities: identities.iter().map(|&byte| [byte; 16]).collect(),
            line: 0,
        });
    }
    appender.sync().unwrap();
    chunk.files = vec![appender.end];
    store.commit_scan(&chunk, &State::Scanning, BY, 1).unwrap();
    assert!(store.ledger().unwrap().counts.add_up());
}

#[test]
fn of_rows_that_share_an_identity_the_newest_is_left_in_the_file() {
    let (_directory, store) = store();
    scan(
        &store,
        &[("a\n", &[1, 10]), ("bb\n", &[2, 20]), ("ccc\n", &[3])],
    );
    scan(
        &store,
        &[("dddd\n", &[2, 21]), ("e\n", &[4, 10]), ("ff\n", &[4])],
    );
    // Twice, as after a crash in between.
    for _ in 0..2 {
        store.find_superseded().unwrap();
        let counts = store.ledger().unwrap().counts;
        assert!(
            counts.add_up() && counts.backfill.superseded == 3,
            "{counts:?}"
        );
    }
    let file = store.files().unwrap().remove(0);
    store.seal(&file, 5).unwrap();
    let sealed = store.files().unwrap().remove(0);
    let text = std::fs::read_to_string(store.staged_path(&sealed.name)).unwrap();
    assert_eq!(text, "ccc\ndddd\nff\n");
    assert_eq!((sealed.rows, sealed.bytes), (3, text.len() as u64));
    assert!(!store.staged_path(&file.name).exists());
    store.finish_scan(&State::Sealing, 6).unwrap();
    let counts = store.ledger().unwrap().counts;
    assert!(
        counts.add_up() && counts.backfill.pending == 3,
        "{counts:?}"
    );
}

#[test]
fn what_a_crash_left_behind_the_durable_length_is_cut_off() {
    let (_directory, store) = store();
    scan(&store, &[("whole\n", &[1])]);
    let path = store.staged_path("1.staged");
    let mut torn = std::fs::read(&path).unwrap();
    torn.extend(b"half a ro");
    std::fs::write(&path, torn).unwrap();
    scan(&store, &[("next\n", &[2])]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole\nnext\n");
}

#[test]
fn a_staged_file_that_lost_bytes_is_an_error_and_not_a_hole() {
    let (_directory, store) = store();
    scan(&store, &[("whole\n", &[1])]);
    let end = store.files().unwrap()[0].end();
    let path = store.staged_path("1.staged");
    std::fs::write(&path, "who").unwrap();
    let error = store.append_to(end).err().unwrap().to_string();
    assert!(
        error.contains("has only 3 bytes; 6 bytes were staged"),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    let error = store.append_to(end).err().unwrap().to_string();
    assert!(
        error.contains("is not there; 6 bytes were staged"),
        "{error}"
    );
    assert!(!path.exists(), "an empty one is no help");
}

#[test]
fn a_staged_file_with_another_byte_is_noticed_when_it_is_sealed_and_before_it_is_sent() {
    let (_directory, store) = store();
    // In several pieces: the sum goes on from the durable one.
    scan(&store, &[("a\n", &[1]), ("bb\n", &[2])]);
    scan(&store, &[("ccc\n", &[3]), ("d\n", &[1])]);
    let damage = |name: &str, at: usize, byte: u8| {
        let path = store.staged_path(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let before = std::mem::replace(&mut bytes[at], byte);
        std::fs::write(&path, bytes).unwrap();
        before
    };
    let file = store.files().unwrap().remove(0);
    store.verify(&file).unwrap();
    store.find_superseded().unwrap();
    // In a row that stays, and in the one that is cut out.
    for at in [5, 0] {
        let before = damage("1.staged", at, b'x');
        for error in [
            store.verify(&file).unwrap_err(),
            store.seal(&file, 5).unwrap_err(),
        ] {
            let error = error.to_string();
            for part in ["1.staged", "its CRC-32 differs", "Put it back"] {
                assert!(error.contains(part), "{error}");
            }
        }
        assert_eq!(store.files().unwrap()[0], file);
        damage("1.staged", at, before);
    }
    store.seal(&file, 5).unwrap();
    let sealed = store.files().unwrap().remove(0);
    assert_eq!(sealed.name, "1.sealed");
    store.verify(&sealed).unwrap();
    let before = damage("1.sealed", 4, b'x');
    assert!(store.verify(&sealed).is_err());
    damage("1.sealed", 4, before);
    store.verify(&sealed).unwrap();
    std::fs::remove_file(store.staged_path("1.sealed")).unwrap();
    let error = store.verify(&sealed).unwrap_err().to_string();
    assert!(error.contains("is not there"), "{error}");
}

#[test]
fn a_store_has_one_owner() {
    let (directory, store) = store();
    let error = Store::open(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(Store::open_read_only(directory.path()).is_ok());
    drop(store);
    assert!(Store::open(directory.path()).is_ok());
}

/// What is left by a process that was killed just before the tables were there.
#[test]
fn a_store_that_is_being_made_is_none_yet_and_the_next_start_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    assert!(!Store::exists(directory.path()));
    let database = directory.path().join("export.db");
    std::fs::write(&database, []).unwrap();
    assert!(!Store::exists(directory.path()));
    let connection = Connection::open(&database).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    assert!(!Store::exists(directory.path()));
    drop(connection);
    assert!(!Store::exists(directory.path()));
    drop(Store::open(directory.path()).unwrap());
    assert!(Store::exists(directory.path()));
}

/// What is left by a process that was killed in the very first transaction of a store.
#[test]
fn a_store_that_must_be_rolled_back_first_is_none_yet_and_the_next_start_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("export.db");
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch("CREATE TABLE half (made)")
        .unwrap();
    drop(connection);
    // The header of a journal that says: no page was there before.
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for number in [0_u32, 1, 0, 512, 4096] {
        journal.extend(number.to_be_bytes());
    }
    journal.resize(512, 0);
    std::fs::write(directory.path().join("export.db-journal"), journal).unwrap();
    assert!(Store::open_read_only(directory.path()).is_err());
    assert!(!Store::exists(directory.path()));
    drop(Store::open(directory.path()).unwrap());
    assert!(Store::exists(directory.path()));
}

#[test]
fn a_damaged_or_foreign_database_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("export.db");
    let garbage = b"this is no database, and it is long enough to be read as one".repeat(40);
    std::fs::write(&database, &garbage).unwrap();
    let error = Store::open(directory.path()).err().unwrap().to_string();
    assert!(error.contains("damaged and nothing was changed"), "{error}");
    assert_eq!(std::fs::read(&database).unwrap(), garbage);

    let (other, store) = store();
    drop(store);
    for format in [1, 99] {
        let connection = Connection::open(other.path().join("export.db")).unwrap();
        connection
            .pragma_update(None, "user_version", format)
            .unwrap();
        drop(connection);
        let error = Store::open(other.path()).err().unwrap();
        assert!(
            matches!(error, StoreError::Format { found, .. } if found == format),
            "{error}"
        );
    }
}

#[test]
fn a_state_that_nobody_wrote_is_damage_and_no_reset() {
    let (_directory, store) = store();
    store.record(&State::Live, 1).unwrap();
    store
        .write(|tx| tx.execute("UPDATE machine SET state = '{\"phase\":\"x\"}'", []))
        .unwrap();
    assert!(matches!(store.recorded(), Err(StoreError::Damaged { .. })));
}

#[test]
fn changes_and_their_position_are_there_together_or_not_at_all() {
    let (_directory, store) = store();
    append(&store, &[change("m", Kind::Enter, r#"{"a":1}"#)]);
    assert_eq!(store.position("changes").unwrap().as_deref(), Some("p"));
    let failed: Result<(), _> = store.write(|tx| {
        scan::set_position(tx, "changes", "q")?;
        Err(rusqlite::Error::InvalidQuery)
    });
    assert!(failed.is_err());
    assert_eq!(store.position("changes").unwrap().as_deref(), Some("p"));
}
