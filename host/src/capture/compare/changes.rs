//! The list of what differs, cut where a person has seen enough.

use super::Change;
use super::shown::line;

/// Changes of one request or outcome that are listed; a person who has seen so many has seen enough.
pub(super) const LISTED: usize = 40;

#[derive(Default)]
pub(super) struct Changes {
    pub(super) all: Vec<Change>,
    more: usize,
}

impl Changes {
    pub(super) fn text(&mut self, at: &str, was: Option<String>, is: Option<String>) {
        if self.all.len() >= LISTED {
            self.more += 1;
            return;
        }
        // Whatever it is made of.
        let (at, was, is) = (line(at), was.as_deref().map(line), is.as_deref().map(line));
        // What is left of both when values are masked may look the same.
        let at = match was.is_some() && was == is {
            true => format!("{at} (differs in what is masked)"),
            false => at,
        };
        self.all.push(Change { at, was, is });
    }

    pub(super) fn if_different(&mut self, at: &str, was: String, is: String) {
        if was != is {
            self.text(at, Some(was), Some(is));
        }
    }

    pub(super) fn end(mut self) -> Vec<Change> {
        if self.more > 0 {
            self.all.push(Change {
                at: format!("and {} more", self.more),
                was: None,
                is: None,
            });
        }
        self.all
    }
}
