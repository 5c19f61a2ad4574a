use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::changes::read_file;
use super::*;
use crate::store::Incoming;

/// A folder with a file of changes, and how far it was accepted.
struct Folder {
    directory: tempfile::TempDir,
    accepted: Option<String>,
}

impl Folder {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            accepted: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Appends changes of members, and says when that was.
    fn write(&self, name: &str, members: std::ops::Range<u32>, second: u64) {
        let lines: String = members.map(line).collect();
        self.append(name, &lines, second);
    }

    fn append(&self, name: &str, text: &str, second: u64) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.touch(name, second);
    }

    fn touch(&self, name: &str, second: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000 + second);
        let file = File::options().append(true).open(self.path(name)).unwrap();
        file.set_modified(time).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// Reads all there is.
    fn read(&mut self) -> Result<Vec<String>, SourceError> {
        let format = LineFormat {
            projection: Arc::new(Projection::new("id", ["mail".to_owned()])),
            audience: "vip".to_owned(),
        };
        let mut found = vec![];
        loop {
            let read = read_file(&self.path(LIVE), self.accepted.as_deref(), &format)?;
            found.extend(read.incoming.iter().map(|incoming| match incoming {
                Incoming::Change { member, .. } => member.clone(),
                Incoming::Bad(row) => row.position.clone(),
            }));
            if !read.position.is_empty() {
                self.accepted = Some(read.position);
            }
            if read.at_end {
                return Ok(found);
            }
        }
    }

    fn fails(&mut self) -> String {
        let before = self.accepted.clone();
        let error = self.read().unwrap_err().to_string();
        assert_eq!(self.accepted, before, "an error moves nothing");
        assert!(error.contains("`sluice source accept EXPORT`"), "{error}");
        error
    }
}

const LIVE: &str = "changes.ndjson";

fn line(member: u32) -> String {
    format!("{{\"change\":\"enter\",\"user\":{{\"id\":{member}}}}}\n")
}

fn members(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn the_rest_of_a_renamed_file_is_read_before_the_new_one() {
    for name in ["changes.ndjson.1", "changes-20261123.ndjson", "old"] {
        let mut folder = Folder::new();
        folder.write(LIVE, 0..3, 1);
        assert_eq!(folder.read().unwrap(), members(0..3));
        folder.write(LIVE, 3..6, 2);
        folder.rename(LIVE, name);
        folder.write(LIVE, 6..9, 3);
        assert_eq!(folder.read().unwrap(), members(3..9), "{name}");
        folder.write(LIVE, 9..10, 4);
        assert_eq!(folder.read().unwrap(), members(9..10), "{name}");
    }
}

#[test]
fn a_renamed_file_may_grow_until_the_new_one_holds_something() {
    let mut folder = Folder::new();
    folder.write(LIVE, 0..2, 1);
    folder.read().unwrap();
    folder.rename(LIVE, "changes.ndjson.1");
    assert!(folder.read().unwrap().is_empty());
    folder.append(LIVE, "", 2);
    assert!(folder.read().unwrap().is_empty());
    // The writer has not heard of it yet.
    folder.write("changes.ndjson.1", 2..4, 3);
    assert_eq!(folder.read().unwrap(), members(2..4));
    folder.append("changes.ndjson.1", line(4).trim_end(), 4);
    assert!(folder.read().unwrap().is_empty(), "half a line, as yet");
    // Now it has: what it left behind is whole, with or without a line break.
    folder.write(LIVE, 5..6, 5);
    assert_eq!(folder.read().unwrap(), members(4..6));
}

#[test]
fn half_a_line_at_the_end_of_a_renamed_file_is_kept_as_a_line_that_cannot_be_read() {
    let mut folder = Folder::new();
    folder.write(LIVE, 0..1, 1);
    folder.append(LIVE, "{\"change\":\"ent", 1);
    folder.rename(LIVE, "changes.ndjson.1");
    folder.write(LIVE, 1..2, 2);
    // Not read before: then only the present file is known.
    assert_eq!(folder.read().unwrap(), members(1..2));

    let mut folder = Folder::new();
    folder.write(LIVE, 0..1, 1);
    folder.append(LIVE, "{\"change\":\"ent", 1);
    assert_eq!(folder.read().unwrap(), members(0..1));
    folder.rename(LIVE, "changes.ndjson.1");
    folder.write(LIVE, 1..2, 2);
    assert_eq!(folder.read().unwrap(), ["changes.ndjson.1:2", "1"]);
}

#[test]
fn several_rotations_are_followed_from_the_accepted_file_on() {
    for names in [
        [
            "changes.ndjson.4",
            "changes.ndjson.3",
            "changes.ndjson.2",
            "changes.ndjson.1",
        ],
        [
            "changes-1.ndjson",
            "changes-2.ndjson",
            "changes-9.ndjson",
            "changes-10.ndjson",
        ],
    ] {
        let mut folder = Folder::new();
        // Older than what is read: not read at all.
        folder.write(names[0], 90..95, 1);
        folder.write(LIVE, 0..2, 2);
        folder.read().unwrap();
        folder.write(LIVE, 2..4, 3);
        folder.rename(LIVE, names[1]);
        folder.write(names[2], 4..6, 4);
        folder.write(names[3], 6..8, 5);
        folder.append("changes.ndjson.bak", "older than all of these", 1);
        folder.append("another.ndjson", "and this is newer", 9);
        assert_eq!(folder.read().unwrap(), members(2..8), "{names:?}");
        folder.write(LIVE, 8..9, 6);
        assert_eq!(folder.read().unwrap(), members(8..9), "{names:?}");
    }
}

#[test]
fn an_order_that_cannot_be_told_is_an_error_and_no_guess() {
    let rotated = || {
        let mut folder = Folder::new();
        folder.write(LIVE, 0..2, 2);
        folder.read().unwrap();
        folder.write(LIVE, 2..4, 3);
        folder.rename(LIVE, "changes.ndjson.3");
        folder.write("changes.ndjson.2", 4..6, 4);
        folder.write("changes.ndjson.1", 6..8, 5);
        folder.write(LIVE, 8..9, 6);
        folder
    };
    let mut folder = rotated();
    folder.touch("changes.ndjson.2", 3);
    let error = folder.fails();
    assert!(error.contains("changed at the same time"), "{error}");
    folder.touch("changes.ndjson.2", 5);
    let error = folder.fails();
    assert!(error.contains("changed at the same time"), "{error}");
    folder.touch("changes.ndjson.2", 4);
    assert_eq!(folder.read().unwrap(), members(2..9));

    let mut folder = rotated();
    folder.append("changes.ndjson.2.gz", "not to be read", 7);
    let error = folder.fails();
    assert!(
        error.contains("changes.ndjson.2.gz") && error.contains("another way"),
        "{error}"
    );
    folder.remove("changes.ndjson.2.gz");
    assert_eq!(folder.read().unwrap(), members(2..9));
}

#[test]
fn a_file_that_was_made_before_but_changed_after_the_accepted_one_is_no_successor() {
    let mut folder = Folder::new();
    let made = |folder: &Folder, name: &str| {
        let metadata = std::fs::metadata(folder.path(name)).unwrap();
        metadata.created().ok()
    };
    folder.write("changes.ndjson.2", 90..95, 1);
    let Some(first) = made(&folder, "changes.ndjson.2") else {
        return; // This file system does not know.
    };
    // Its clock may be coarse.
    loop {
        folder.write(LIVE, 0..2, 2);
        if made(&folder, LIVE).unwrap() > first {
            break;
        }
        folder.remove(LIVE);
    }
    folder.read().unwrap();
    folder.rename(LIVE, "changes.ndjson.1");
    folder.write(LIVE, 2..4, 4);
    // Somebody has edited it.
    folder.touch("changes.ndjson.2", 3);
    let error = folder.fails();
    assert!(error.contains("changed later, but made earlier"), "{error}");
    folder.touch("changes.ndjson.2", 1);
    assert_eq!(folder.read().unwrap(), members(2..4));
}

#[test]
fn what_was_truncated_overwritten_or_replaced_is_named_and_nothing_is_reset() {
    let mut folder = Folder::new();
    folder.write(LIVE, 10..14, 1);
    folder.read().unwrap();
    let text = std::fs::read(folder.path(LIVE)).unwrap();
    let write = |folder: &Folder, text: &[u8]| std::fs::write(folder.path(LIVE), text).unwrap();

    write(&folder, &text[..50]);
    let error = folder.fails();
    let accepted = format!("{} bytes of the file that was read", text.len());
    assert!(error.contains("has only 50 bytes"), "{error}");
    assert!(error.contains(&accepted), "{error}");

    // Longer than it was: its length does not tell.
    write(&folder, &b" ".repeat(5_000));
    let error = folder.fails();
    assert!(error.contains("has another text"), "{error}");

    folder.remove(LIVE);
    let error = folder.fails();
    assert!(error.contains("is not there any more"), "{error}");

    // Another file may well be given the number of the one that was removed.
    folder.append("in-between", "x", 1);
    folder.write(LIVE, 20..40, 2);
    let error = folder.fails();
    assert!(
        error.contains("was replaced by another file") || error.contains("has another text"),
        "{error}"
    );

    // The old one is put back, and has grown.
    write(&folder, &[&text[..], line(14).as_bytes()].concat());
    assert_eq!(folder.read().unwrap(), members(14..15));
}

#[test]
fn a_file_with_the_number_of_the_old_one_but_another_text_is_not_taken_for_it() {
    let mut folder = Folder::new();
    folder.write(LIVE, 10..14, 1);
    folder.read().unwrap();
    folder.rename(LIVE, "changes.ndjson.1");
    let other: String = (20..30).map(line).collect();
    std::fs::write(folder.path("changes.ndjson.1"), other).unwrap();
    folder.write(LIVE, 14..15, 2);
    let error = folder.fails();
    assert!(error.contains("was replaced by another file"), "{error}");

    // Nothing of it is known; then its name must speak for it.
    let mut folder = Folder::new();
    folder.append(LIVE, "", 1);
    folder.read().unwrap();
    folder.rename(LIVE, "old");
    folder.write("old", 0..1, 1);
    folder.write(LIVE, 1..2, 2);
    folder.fails();
    folder.rename("old", "changes.ndjson.1");
    assert_eq!(folder.read().unwrap(), members(0..2));
}

#[test]
fn a_position_of_an_older_version_is_read_and_followed() {
    let mut folder = Folder::new();
    folder.write(LIVE, 0..2, 1);
    folder.read().unwrap();
    let mut position: serde_json::Value =
        serde_json::from_str(folder.accepted.as_ref().unwrap()).unwrap();
    position.as_object_mut().unwrap().remove("seen").unwrap();
    folder.accepted = Some(position.to_string());
    folder.write(LIVE, 2..3, 2);
    folder.rename(LIVE, "changes.ndjson.1");
    folder.write(LIVE, 3..4, 3);
    assert_eq!(folder.read().unwrap(), members(2..4));
    assert!(folder.accepted.unwrap().contains("seen"));
}

#[test]
fn a_person_may_accept_the_present_file_but_only_where_something_is_wrong() {
    let mut folder = Folder::new();
    folder.write(LIVE, 0..4, 1);
    folder.read().unwrap();
    let path = folder.path(LIVE);
    let accepted = folder.accepted.clone().unwrap();
    assert!(anew(&path, &accepted).unwrap().is_none());
    std::fs::write(&path, line(7)).unwrap();
    folder.fails();
    let found = anew(&path, &accepted).unwrap().unwrap();
    let bytes = (0..4).map(|n| line(n).len() as u64).sum();
    assert_eq!(found.accepted, Some((bytes, 4)));
    folder.accepted = found.position;
    assert_eq!(folder.read().unwrap(), members(7..8));

    folder.remove(LIVE);
    let accepted = folder.accepted.clone().unwrap();
    let found = anew(&path, &accepted).unwrap().unwrap();
    assert_eq!(found.position, None);
    folder.accepted = None;
    folder.write(LIVE, 8..9, 1);
    assert_eq!(folder.read().unwrap(), members(8..9));
}
