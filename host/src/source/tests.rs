use std::io::Write;
use std::sync::Arc;

use super::changes::read_file;
use super::*;
use crate::plugin::flat::Kind;
use crate::store::Incoming;

fn projection() -> Projection {
    Projection::new("id", ["mail".to_owned()])
}

fn format() -> LineFormat {
    LineFormat {
        projection: Arc::new(projection()),
        audience: "vip".to_owned(),
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.ndjson");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn kinds(changes: &Changes) -> Vec<Option<(Kind, String)>> {
    changes
        .incoming
        .iter()
        .map(|incoming| match incoming {
            Incoming::Change { kind, member, .. } => Some((*kind, member.clone())),
            Incoming::Bad(_) => None,
        })
        .collect()
}

#[test]
fn a_scan_reads_every_line_once_whatever_the_chunk() {
    let text: String = (0..25)
        .map(|n| format!("{{\"id\":{n},\"mail\":\"m{n}\"}}\n"))
        .collect::<String>()
        + "nonsense\n\n{\"id\":99}";
    let (_directory, path) = file(&text);
    for (limit, batch) in [(1, 1), (7, 3), (100, 10)] {
        let members = Members::new(path.clone());
        let (mut position, mut found, mut bad, mut lines) = (None, vec![], 0, 0);
        loop {
            let read = members
                .read(position.as_deref(), &projection(), limit, batch)
                .unwrap();
            found.extend(read.batches.iter().flat_map(|batch| batch.members.clone()));
            bad += read.bad.len();
            lines += read.lines;
            position = Some(read.position);
            if read.end {
                break;
            }
        }
        let expected: Vec<String> = (0..25).chain([99]).map(|n| n.to_string()).collect();
        assert_eq!((found, bad, lines), (expected, 1, 27), "{limit} {batch}");
    }
}

#[test]
fn a_bad_line_is_named_by_its_number_and_kept_whole() {
    let (_directory, path) = file("{\"id\":1}\n{\"id\":\n");
    let read = Members::new(path)
        .read(None, &projection(), 10, 10)
        .unwrap();
    assert_eq!(read.bad[0].position, "x.ndjson:2");
    assert_eq!(read.bad[0].payload.as_deref(), Some("{\"id\":"));
    assert!(read.bad[0].reason.contains("ends too early"));
}

#[test]
fn a_line_that_is_too_long_is_passed_over_and_reported() {
    let long = "x".repeat(5 << 20);
    let (_directory, path) = file(&format!("{{\"id\":1}}\n{long}\n{{\"id\":2}}\n"));
    let read = Members::new(path)
        .read(None, &projection(), 10, 10)
        .unwrap();
    assert_eq!(read.batches[0].members, ["1", "2"]);
    assert!(read.bad[0].reason.contains("longer than"));
}

#[test]
fn changes_are_read_up_to_the_last_whole_line_and_then_on() {
    let (_directory, path) = file(concat!(
        "{\"change\":\"enter\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":{\"id\":1}}\n",
        "{\"change\":\"exit\",\"audience\":\"other\",\"user\":{\"id\":2}}\n",
        "{\"change\":\"leave\",\"user\":{\"id\":3}}\n",
        "{\"change\":\"update\",\"user\":{\"i"
    ));
    let first = read_file(path.clone(), None, &format()).unwrap();
    assert_eq!(kinds(&first), [Some((Kind::Enter, "1".to_owned())), None]);
    assert!(first.at_end);
    let again = read_file(path.clone(), Some(&first.position), &format()).unwrap();
    assert!(again.incoming.is_empty() && again.position == first.position);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"d\":4}}\n").unwrap();
    let rest = read_file(path, Some(&first.position), &format()).unwrap();
    assert_eq!(kinds(&rest), [Some((Kind::Update, "4".to_owned()))]);
}

#[test]
fn a_changes_file_may_appear_later_but_must_not_vanish_shrink_or_be_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("changes.ndjson");
    let nothing = read_file(path.clone(), None, &format()).unwrap();
    assert!(nothing.incoming.is_empty() && nothing.at_end && nothing.position.is_empty());
    let line = "{\"change\":\"enter\",\"user\":{\"id\":1}}\n";
    std::fs::write(&path, line).unwrap();
    let position = read_file(path.clone(), None, &format()).unwrap().position;

    std::fs::write(&path, "").unwrap();
    let error = read_file(path.clone(), Some(&position), &format()).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Changed {
                what: "truncated",
                ..
            }
        ),
        "{error}"
    );

    let other = directory.path().join("other");
    std::fs::write(&other, line.repeat(2)).unwrap();
    std::fs::rename(&other, &path).unwrap();
    let error = read_file(path.clone(), Some(&position), &format()).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Changed {
                what: "replaced",
                ..
            }
        ),
        "{error}"
    );

    std::fs::remove_file(&path).unwrap();
    let error = read_file(path, Some(&position), &format()).unwrap_err();
    assert!(matches!(error, SourceError::Read { .. }), "{error}");
}
