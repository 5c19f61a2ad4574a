//! The users: matching, merging, creating, updating. Pure: no clock, no I/O.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::fields::{CUSTOM, Catalogue, Datum, Definition, FieldId, UNSUBSCRIBED};
use crate::row::Row;

/// More distinct names than this are not remembered, so that a confused sender costs no memory.
const MAX_NAMES_SEEN: usize = 10_000;

pub(crate) struct Account {
    catalogue: Arc<Catalogue>,
    users: Vec<Option<User>>,
    by_record_id: HashMap<Box<str>, usize>,
    by_email: HashMap<Box<str>, usize>,
    names_seen: BTreeSet<String>,
    unsubscribed_field: FieldId,
    pub(crate) counts: Counts,
}

/// What has happened to the account so far.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub users: u64,
    pub creates: u64,
    pub updates: u64,
    pub merges: u64,
    pub conflicts: u64,
    pub mails: u64,
    /// Values of custom attributes that were not defined.
    pub undefined_attributes: u64,
    /// Values of columns or keys that the account does not know.
    pub unknown_fields: u64,
    /// Users and rows that took effect; its value at a request orders the effects.
    pub effects: u64,
}

#[derive(Clone, Debug)]
struct User {
    record_id: Option<Box<str>>,
    email: Option<Box<str>>,
    values: Vec<(FieldId, Datum)>,
    unsubscribed: bool,
    welcomed: bool,
    source: Source,
}

/// By which way a user came into the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Import,
    Live,
}

/// How a row is to be taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub source: Source,
    /// Whether an unknown user is created; otherwise it is refused.
    pub create: bool,
    pub merge: bool,
    pub welcome: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Created(usize),
    Updated(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Invalid(String),
    Unknown(String),
    Conflict(String),
}

impl Refusal {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Invalid(text) | Self::Unknown(text) | Self::Conflict(text) => text,
        }
    }
}

impl Account {
    pub(crate) fn new(definitions: &[Definition]) -> Self {
        let catalogue = Catalogue::new(definitions);
        let unsubscribed_field = match catalogue.target(UNSUBSCRIBED) {
            crate::fields::Target::Field(id, _) => id,
            _ => FieldId::MAX,
        };
        Self {
            catalogue: Arc::new(catalogue),
            users: Vec::new(),
            by_record_id: HashMap::new(),
            by_email: HashMap::new(),
            names_seen: BTreeSet::new(),
            unsubscribed_field,
            counts: Counts::default(),
        }
    }

    pub(crate) fn define(&mut self, definitions: &[Definition]) {
        Arc::make_mut(&mut self.catalogue).define(definitions);
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.clone()
    }

    /// Remembers the name of a field that arrived, whatever became of its value.
    pub(crate) fn saw(&mut self, name: &str) {
        if !self.names_seen.contains(name) && self.names_seen.len() < MAX_NAMES_SEEN {
            self.names_seen.insert(name.to_owned());
        }
    }

    pub(crate) fn names_seen(&self) -> Vec<String> {
        self.names_seen.iter().cloned().collect()
    }

    pub(crate) fn upsert(&mut self, row: Row, manner: Manner) -> Result<Done, Refusal> {
        let slot = self.find(&row, manner.merge)?;
        if slot.is_none() && !manner.create {
            return Err(Refusal::Unknown("there is no such user".into()));
        }
        self.counts.undefined_attributes += u64::from(row.undefined);
        self.counts.unknown_fields += u64::from(row.unknown);
        self.counts.effects += 1;
        match slot {
            Some(slot) => {
                self.counts.updates += 1;
                self.apply(slot, row);
                Ok(Done::Updated(slot + 1))
            }
            None => {
                let slot = self.users.len();
                let welcomed = manner.welcome && manner.source == Source::Live;
                self.users.push(Some(User {
                    record_id: None,
                    email: None,
                    values: Vec::with_capacity(row.values.len()),
                    unsubscribed: false,
                    welcomed,
                    source: manner.source,
                }));
                self.counts.users += 1;
                self.counts.creates += 1;
                self.counts.mails += u64::from(welcomed);
                self.apply(slot, row);
                Ok(Done::Created(slot + 1))
            }
        }
    }

    /// The one user that the identities of the row mean, if there is one.
    fn find(&mut self, row: &Row, merge: bool) -> Result<Option<usize>, Refusal> {
        let by_record_id = row
            .record_id
            .as_ref()
            .and_then(|id| self.by_record_id.get(id));
        let by_email = row
            .email
            .as_ref()
            .and_then(|email| self.by_email.get(&fold(email)));
        match (by_record_id.copied(), by_email.copied()) {
            (Some(one), Some(other)) if one != other => {
                if !merge {
                    self.counts.conflicts += 1;
                    return Err(Refusal::Conflict(format!(
                        "record_id {:?} and email {:?} belong to two different users",
                        row.record_id.as_deref().unwrap_or_default(),
                        row.email.as_deref().unwrap_or_default(),
                    )));
                }
                self.merge(one, other);
                Ok(Some(one))
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    /// What the first has stays; what only the second has is added; the second is gone.
    fn merge(&mut self, into: usize, from: usize) {
        let Some(gone) = self.users[from].take() else {
            return;
        };
        if let Some(id) = &gone.record_id {
            self.by_record_id.remove(id);
        }
        if let Some(email) = &gone.email {
            self.by_email.remove(&fold(email));
        }
        self.counts.users -= 1;
        self.counts.merges += 1;
        let Some(user) = self.users[into].as_mut() else {
            return;
        };
        user.unsubscribed |= gone.unsubscribed;
        for (field, value) in gone.values {
            if !user.values.iter().any(|(have, _)| *have == field) {
                user.values.push((field, value));
            }
        }
    }

    fn apply(&mut self, slot: usize, row: Row) {
        let Some(user) = self.users[slot].as_mut() else {
            return;
        };
        if let Some(id) = row.record_id
            && user.record_id.as_ref() != Some(&id)
        {
            if let Some(old) = user.record_id.replace(id.clone()) {
                self.by_record_id.remove(&old);
            }
            self.by_record_id.insert(id, slot);
        }
        if let Some(email) = row.email
            && user.email.as_ref() != Some(&email)
        {
            let folded = fold(&email);
            if let Some(old) = user.email.replace(email) {
                self.by_email.remove(&fold(&old));
            }
            self.by_email.insert(folded, slot);
        }
        for (field, value) in row.values {
            // Any date unsubscribes; taking the date away does not subscribe again.
            user.unsubscribed |= field == self.unsubscribed_field && value.is_some();
            let place = user.values.iter().position(|(have, _)| *have == field);
            match (value, place) {
                (Some(value), Some(place)) => user.values[place].1 = value,
                (Some(value), None) => user.values.push((field, value)),
                (None, Some(place)) => {
                    user.values.remove(place);
                }
                (None, None) => {}
            }
        }
    }

    /// The places of all users, sorted by record id and then by email.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.users.len())
            .filter(|slot| self.users[*slot].is_some())
            .collect();
        order.sort_by_key(|slot| {
            let user = self.users[*slot].as_ref();
            user.map(|user| (user.record_id.as_deref(), user.email.as_deref()))
        });
        order
    }

    /// The user as it is shown, custom attributes nested by their group.
    pub(crate) fn show(&self, slot: usize) -> Option<Value> {
        let user = self.users.get(slot)?.as_ref()?;
        let mut shown = Map::new();
        shown.insert("id".into(), json!((slot + 1).to_string()));
        shown.insert("record_id".into(), json!(user.record_id));
        shown.insert("email".into(), json!(user.email));
        let mut custom = Map::new();
        for (field, value) in &user.values {
            let name = self.catalogue.name(*field);
            let nested = name
                .strip_prefix(CUSTOM)
                .and_then(|rest| rest.strip_prefix('.'))
                .and_then(|rest| rest.split_once('.'));
            match nested {
                None => {
                    shown.insert(name.into(), value.to_json());
                }
                Some((group, name)) => {
                    let group = custom.entry(group).or_insert_with(|| json!({}));
                    group[name] = value.to_json();
                }
            }
        }
        shown.insert(CUSTOM.into(), Value::Object(custom));
        shown.insert("unsubscribed".into(), json!(user.unsubscribed));
        shown.insert("welcomed".into(), json!(user.welcomed));
        let source = match user.source {
            Source::Import => "import",
            Source::Live => "live",
        };
        shown.insert("source".into(), json!(source));
        Some(Value::Object(shown))
    }

    pub(crate) fn by_record_id(&self, record_id: &str) -> Option<Value> {
        self.show(*self.by_record_id.get(record_id)?)
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Value> {
        self.order()
            .into_iter()
            .filter_map(|slot| self.show(slot))
            .collect()
    }
}

/// Emails are compared without regard to letter case.
fn fold(email: &str) -> Box<str> {
    if email.bytes().any(|b| b.is_ascii_uppercase() || b >= 0x80) {
        email.to_lowercase().into()
    } else {
        email.into()
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
