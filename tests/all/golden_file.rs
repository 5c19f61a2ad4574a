//! Files in `golden/` that say what must come out.

use std::path::{Path, PathBuf};

/// Compares with a file in `golden/`. With `GOLDEN=write` in the environment it writes the file
/// instead, to be read by a person before it is committed.
///
/// # Panics
/// They differ.
pub fn golden(name: &str, found: &str) {
    let path = folder().join(name);
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::create_dir_all(path.parent().unwrap_or(&path)).expect("the folder can be made");
        std::fs::write(&path, found).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{name} differs from the golden file, first in line {}. Found:\n{found}",
        expected
            .lines()
            .zip(found.lines())
            .take_while(|(expected, found)| expected == found)
            .count()
            + 1
    );
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/all/golden")
}

/// A text without what differs from one run to the next.
pub struct Normal(String);

impl Normal {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Everywhere `what` stands as `name`.
    pub fn hide(self, what: &str, name: &str) -> Self {
        Self(self.0.replace(what, name))
    }

    /// What stands between `before` and `after` becomes `name`, everywhere.
    pub fn between(self, before: &str, after: &str, name: &str) -> Self {
        let mut text = String::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find(before) {
            let (head, tail) = rest.split_at(at + before.len());
            text.push_str(head);
            rest = tail;
            if let Some(end) = rest.find(after) {
                text.push_str(name);
                rest = &rest[end..];
            }
        }
        Self(text + rest)
    }

    /// A day and a time as file names have them become `TIME`.
    pub fn times(self) -> Self {
        let shape = |text: &[u8]| {
            text.iter().enumerate().all(|(at, byte)| match at {
                8 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            })
        };
        let (mut text, mut at) = (self.0, 0);
        while let Some(found) = text.as_bytes()[at..].windows(15).position(shape) {
            at += found;
            text.replace_range(at..at + 15, "TIME");
        }
        Self(text)
    }

    pub fn text(self) -> String {
        self.0
    }
}
