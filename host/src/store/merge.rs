//! Which changes of one member may be sent as one. Pure.

use crate::plugin::flat::Kind;
use crate::source::Payload;

/// Attributes that make up one value at the destination, like the parts of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together(Vec<Vec<String>>);

impl Together {
    /// The groups: source names that are mapped to one destination.
    pub fn new(groups: Vec<Vec<String>>) -> Self {
        Self(groups)
    }

    /// What both changes come to if the newer one may be laid over the older one, attribute by
    /// attribute, and lead to the same as if both were sent; else they are sent one after the
    /// other. An exit says something of its own. A blank may mean "leave it alone" to a
    /// destination, and then an older value that it covers up would never arrive. And parts of one
    /// value from two changes make a value that nobody ever said.
    pub(super) fn merge(&self, older: &Said, newer: &Said) -> Option<Said> {
        let names = |payload: &Payload, name: &String| payload.contains_key(name);
        let covers = newer.payload.iter().all(|(name, value)| {
            let older = older.payload.get(name);
            // Of two kinds of blank one may be a value to the destination and the other not.
            !blank(value.get()) || older.is_none_or(|older| older.get() == value.get())
        });
        let says_all = older.payload.keys().all(|name| names(&newer.payload, name));
        let fits = match (older.kind, newer.kind) {
            (Kind::Exit, Kind::Exit) => self.whole(older, newer, false),
            (_, Kind::Exit) => false,
            (Kind::Enter, Kind::Update) => self.whole(older, newer, true),
            (older_kind, newer_kind) if older_kind == newer_kind => self.whole(older, newer, false),
            _ => says_all,
        };
        let kind = match (older.kind, newer.kind) {
            (Kind::Enter, Kind::Update) => Kind::Enter,
            (_, kind) => kind,
        };
        (covers && fits).then(|| {
            let mut payload = older.payload.clone();
            payload.extend(newer.payload.clone());
            Said { kind, payload }
        })
    }

    /// Whether the newer change says all or nothing of each group: all that the older one said, or
    /// all that there is.
    fn whole(&self, older: &Said, newer: &Said, all: bool) -> bool {
        self.0.iter().all(|group| {
            !group.iter().any(|name| newer.payload.contains_key(name))
                || group.iter().all(|name| {
                    newer.payload.contains_key(name) || !(all || older.payload.contains_key(name))
                })
        })
    }
}

/// What one change says, or several that were merged.
pub(super) struct Said {
    pub kind: Kind,
    pub payload: Payload,
}

/// Null, or a text, list or object that holds nothing but white space, nulls and punctuation.
fn blank(json: &str) -> bool {
    json == "null"
        || (json.starts_with(['"', '[', '{'])
            && !json
                .replace("null", "")
                .chars()
                .any(|c| c.is_alphanumeric() || !c.is_ascii()))
}
