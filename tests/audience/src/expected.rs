//! The users that the account must hold once everything is delivered.

use std::collections::HashMap;

use serde_json::Value;

use crate::rules::{self, Datum, No, Sent};

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Member lines: `received = staged + superseded + rejected + refused`.
    pub received: u64,
    /// Rows that stay in the import.
    pub staged: u64,
    /// Rows that a later one replaced.
    pub superseded: u64,
    /// Rows with a value that breaks its field's rule.
    pub rejected: u64,
    /// Lines that are no JSON object or have no user id.
    pub refused: u64,
    /// Change lines.
    pub changes: u64,
    pub changes_rejected: u64,
    pub changes_refused: u64,
    /// Changes whose id and email mean two users; the generator makes none.
    pub conflicts: u64,
    /// Users that a change created.
    pub created: u64,
    /// Users that the account must hold.
    pub users: u64,
}

/// An independent model of the whole export. Member lines first, then change lines.
#[derive(Debug, Default)]
pub struct Expected {
    users: Vec<Option<Sent>>,
    by_record_id: HashMap<Box<str>, usize>,
    by_email: HashMap<Box<str>, usize>,
    counts: Counts,
}

impl Expected {
    pub fn new() -> Self {
        Self::default()
    }

    /// The expectation for these lines.
    pub fn of(
        members: impl IntoIterator<Item = String>,
        changes: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut expected = Self::new();
        members.into_iter().for_each(|line| expected.member(&line));
        changes.into_iter().for_each(|line| expected.change(&line));
        expected
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The next line of the scan.
    ///
    /// # Panics
    /// After the first change: a scan has no end that a change could come before.
    pub fn member(&mut self, line: &str) {
        assert_eq!(self.counts.changes, 0, "members come before changes");
        self.counts.received += 1;
        match parse(line, Value::take) {
            Ok(row) => {
                self.counts.staged += 1;
                for earlier in self.matching(&row) {
                    self.remove(earlier);
                    self.counts.staged -= 1;
                    self.counts.superseded += 1;
                }
                self.insert(row);
            }
            Err(No::Refused) => self.counts.refused += 1,
            Err(No::Rejected(_)) => self.counts.rejected += 1,
        }
    }

    /// The next change. Enter, update and exit are the same here: the profile is sent.
    pub fn change(&mut self, line: &str) {
        self.counts.changes += 1;
        let row = match parse(line, |change| {
            let partial = change["change"] != "enter";
            let mut user = change.get_mut("user").map_or(Value::Null, Value::take);
            if partial && let Some(user) = user.as_object_mut() {
                whole_names_only(user);
            }
            user
        }) {
            Ok(row) => row,
            Err(No::Refused) => {
                self.counts.changes_refused += 1;
                return;
            }
            Err(No::Rejected(_)) => {
                self.counts.changes_rejected += 1;
                return;
            }
        };
        match self.matching(&row)[..] {
            [] => {
                self.counts.created += 1;
                self.insert(row);
            }
            [one] => {
                let mut user = self.remove(one);
                for (field, value) in row.0 {
                    match user.0.iter_mut().find(|(have, _)| *have == field) {
                        Some((_, old)) => *old = value,
                        None => user.0.push((field, value)),
                    }
                }
                self.insert(user);
            }
            _ => self.counts.conflicts += 1,
        }
    }

    /// The users that the row's identities mean: none, one, or two different ones.
    fn matching(&self, row: &Sent) -> Vec<usize> {
        let by_id = row
            .text("record_id")
            .and_then(|id| self.by_record_id.get(id));
        let by_email = row
            .text("email")
            .and_then(|email| self.by_email.get(email.to_lowercase().as_str()));
        let mut found: Vec<usize> = by_id.into_iter().chain(by_email).copied().collect();
        found.dedup();
        found
    }

    fn insert(&mut self, row: Sent) {
        let slot = self.users.len();
        if let Some(id) = row.text("record_id") {
            self.by_record_id.insert(id.into(), slot);
        }
        if let Some(email) = row.text("email") {
            self.by_email.insert(email.to_lowercase().into(), slot);
        }
        self.users.push(Some(row));
        self.counts.users += 1;
    }

    fn remove(&mut self, slot: usize) -> Sent {
        let row = self.users[slot].take().unwrap_or_default();
        if let Some(id) = row.text("record_id") {
            self.by_record_id.remove(id);
        }
        if let Some(email) = row.text("email") {
            self.by_email.remove(email.to_lowercase().as_str());
        }
        self.counts.users -= 1;
        row
    }

    pub(crate) fn find(&self, record_id: Option<&str>, email: Option<&str>) -> Option<usize> {
        match record_id {
            Some(id) => self.by_record_id.get(id).copied(),
            None => self.by_email.get(email?.to_lowercase().as_str()).copied(),
        }
    }

    pub(crate) fn at(&self, slot: usize) -> &[(&'static str, Datum)] {
        self.users[slot].as_ref().map_or(&[], |user| &user.0)
    }

    /// The places of all users.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        let held = self.users.iter().enumerate();
        held.filter_map(|(slot, user)| user.as_ref().map(|_| slot))
    }
}

fn parse(line: &str, user: impl Fn(&mut Value) -> Value) -> Result<Sent, No> {
    let mut value: Value = serde_json::from_str(line).map_err(|_| No::Refused)?;
    let user = user(&mut value);
    rules::sent(user.as_object().ok_or(No::Refused)?)
}

/// Half of a name in an update leaves the whole name alone.
fn whole_names_only(user: &mut serde_json::Map<String, Value>) {
    let names = ["first_name", "last_name"];
    if !names.iter().all(|name| user.contains_key(*name)) {
        user.retain(|name, _| !names.contains(&name.as_str()));
    }
}
