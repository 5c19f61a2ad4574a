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
    let first = read_file(&path, None, &format()).unwrap();
    assert_eq!(kinds(&first), [Some((Kind::Enter, "1".to_owned())), None]);
    assert!(first.at_end);
    let again = read_file(&path, Some(&first.position), &format()).unwrap();
    assert!(again.incoming.is_empty() && again.position == first.position);
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    file.write_all(b"d\":4}}\n").unwrap();
    let rest = read_file(&path, Some(&first.position), &format()).unwrap();
    assert_eq!(kinds(&rest), [Some((Kind::Update, "4".to_owned()))]);
}

#[test]
fn a_changes_file_may_appear_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("changes.ndjson");
    let nothing = read_file(&path, None, &format()).unwrap();
    assert!(nothing.incoming.is_empty() && nothing.at_end && nothing.position.is_empty());
    std::fs::write(&path, "{\"change\":\"enter\",\"user\":{\"id\":1}}\n").unwrap();
    let some = read_file(&path, None, &format()).unwrap();
    assert_eq!(kinds(&some), [Some((Kind::Enter, "1".to_owned()))]);
}

#[test]
fn a_chunk_of_changes_is_bounded_by_its_bytes_too() {
    let line = format!(
        "{{\"change\":\"enter\",\"user\":{{\"id\":1,\"mail\":\"{}\"}}}}\n",
        "x".repeat(3 << 20)
    );
    let (_directory, path) = file(&line.repeat(7));
    let (mut chunks, mut position) = (vec![], None);
    loop {
        let read = read_file(&path, position.as_deref(), &format()).unwrap();
        chunks.push(read.incoming.len());
        position = Some(read.position);
        if read.at_end {
            break;
        }
    }
    assert_eq!(chunks, [3, 3, 1]);
}

#[test]
fn a_members_file_that_is_another_now_is_named_and_the_old_one_put_back_goes_on() {
    let text: String = (0..9).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    let (_directory, path) = file(&text);
    let members = Members::new(path.clone());
    let read = |position: Option<&str>| members.read(position, &projection(), 4, 10);
    let position = read(None).unwrap().position;
    for (other, says) in [
        (&text[..9], "has only 9 bytes"),
        (
            &text.replace("{\"id\":0}", "{\"id\":7}"),
            "has another text",
        ),
        (
            &text.replace("{\"id\":3}", "{\"id\":7}"),
            "has another text",
        ),
    ] {
        std::fs::write(&path, other).unwrap();
        let error = read(Some(&position)).unwrap_err().to_string();
        for part in [
            says,
            "36 bytes of the old file are staged",
            "Put that file back",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    let error = read(Some(&position)).unwrap_err().to_string();
    assert!(error.contains("is not there any more"), "{error}");
    // A copy of it is another file with the same text.
    std::fs::write(&path, &text).unwrap();
    let rest = read(Some(&position)).unwrap();
    assert_eq!(rest.batches[0].members, ["4", "5", "6", "7"]);
}
