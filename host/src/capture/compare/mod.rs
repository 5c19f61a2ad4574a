//! What differs between a captured call and the same call made again. Pure.

mod aligned;
mod changes;
mod content;
mod outcomes;
mod shown;

use std::collections::BTreeSet;

use serde::Serialize;

use super::call::{Call, Input};
use super::exchange::Answer;
use super::file::Header;
use super::memory::{CapturedChange, Found};
use super::plain::plain;
use super::replay::Replayed;
use super::vocabulary::{members, settled};
use super::words::Words;
use changes::Changes;
use content::both;
use outcomes::outcomes;
use shown::{Shown, line};

/// What differs in one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallDifference {
    /// Which call of the capture, from 1.
    pub number: usize,
    /// The function.
    pub call: &'static str,
    /// How many rows it had.
    pub rows: usize,
    /// What differs in its requests.
    pub requests: Vec<RequestDifference>,
    /// What differs in what the plugin remembers, by key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remembers: Vec<Change>,
    /// What differs in how it ended.
    pub outcome: Vec<Change>,
    /// How it ended, in the host's words: then and now.
    pub ended: (String, String),
}

/// What differs in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestDifference {
    /// It was made then, and not now.
    Gone {
        /// Method and path.
        request: String,
    },
    /// It is made now, and was not then. The tape has no answer for it.
    New {
        /// Method and path.
        request: String,
        /// Why the gate would not let it through, if so.
        #[serde(skip_serializing_if = "Option::is_none")]
        denied: Option<String>,
    },
    /// Another one is made in its place.
    Changed {
        /// Method and path.
        request: String,
        /// What is different.
        changes: Vec<Change>,
        /// Why the gate would not let it through, if so.
        #[serde(skip_serializing_if = "Option::is_none")]
        denied: Option<String>,
    },
    /// The same requests, in another order.
    Order,
}

/// A place and what stands there, then and now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The place.
    pub at: String,
    /// What stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// What of a capture may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// All of it: it is masked anyway, or was asked for.
    All,
    /// Nothing that may be a member's.
    Masked,
}

impl CallDifference {
    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        self.requests.is_empty() && self.remembers.is_empty() && self.outcome.is_empty()
    }
}

impl RequestDifference {
    /// Why the gate would not let the request through, if so.
    pub fn denied(&self) -> Option<&str> {
        match self {
            Self::New { denied, .. } | Self::Changed { denied, .. } => denied.as_deref(),
            Self::Gone { .. } | Self::Order => None,
        }
    }
}

/// Compares a call of a capture with what came of it now.
pub fn compare(
    header: &Header,
    number: usize,
    call: &Call,
    replayed: &Replayed,
    show: Show,
) -> CallDifference {
    let shown = Shown {
        show,
        members: match show {
            Show::All => Words::default(),
            Show::Masked => told(header, call),
        },
        routes: &header.policy.routes,
    };
    let mut changes = Changes::default();
    outcomes(&call.outcome, &replayed.outcome, &shown, &mut changes);
    CallDifference {
        number,
        call: call.input.kind().name(),
        rows: match &call.input {
            Input::Submit { file } => file.rows as usize,
            input => input.rows().len(),
        },
        requests: requests(call, replayed, &shown),
        remembers: remembers(call, replayed, &shown),
        outcome: changes.end(),
        ended: (
            line(&call.outcome.summary()),
            line(&replayed.outcome.summary()),
        ),
    }
}

/// Words that may be a member's: of the rows, and of whatever else the plugin was told by others, but for those
/// that are nobody's.
fn told(header: &Header, call: &Call) -> Words {
    let routes = header.policy.routes.iter().map(String::as_str);
    let fields = header.columns.iter().map(|(_, field)| field.as_str());
    let options = serde_json::Value::Object(header.options.clone());
    let mut names = settled(routes, fields, &options);
    names.extend(plain());
    let mut words = members(&call.input);
    if let Input::Poll { token } = &call.input {
        words.add_but(token, &names);
    }
    for text in &call.state {
        if let Found::Text(text) = &text.found {
            words.add_but(text, &names);
        }
    }
    for exchange in &call.exchanges {
        if let Answer::Response { headers, body, .. } = &exchange.answer {
            words.add_but(&body.text(), &names);
            headers
                .iter()
                .for_each(|(_, value)| words.add_but(value, &names));
        }
    }
    words
}

fn requests(call: &Call, replayed: &Replayed, shown: &Shown<'_>) -> Vec<RequestDifference> {
    let mut found = vec![];
    let mut last = None;
    let mut in_order = true;
    for (exchange, of) in &replayed.exchanges {
        let now = &exchange.request;
        let denied = match &exchange.answer {
            Answer::Denied(why) => Some(shown.name(why)),
            _ => None,
        };
        let then = of.and_then(|of| call.exchanges.get(of));
        let Some(then) = then else {
            let request = shown.request(now);
            found.push(RequestDifference::New { request, denied });
            continue;
        };
        in_order &= last <= *of;
        last = *of;
        let was_denied = matches!(then.answer, Answer::Denied(_));
        let denied = denied.filter(|_| !was_denied);
        if then.request != *now || denied.is_some() {
            let mut changes = Changes::default();
            both(&then.request, now, shown, &mut changes);
            found.push(RequestDifference::Changed {
                request: shown.request(&then.request),
                changes: changes.end(),
                denied,
            });
        }
    }
    let gone = replayed
        .left
        .iter()
        .filter_map(|left| call.exchanges.get(*left));
    found.extend(gone.map(|gone| RequestDifference::Gone {
        request: shown.request(&gone.request),
    }));
    if !in_order {
        found.push(RequestDifference::Order);
    }
    found
}

/// What is changed under each key, in order, and where the plugin looks that it did not.
fn remembers(call: &Call, replayed: &Replayed, shown: &Shown<'_>) -> Vec<Change> {
    let (then, now) = (&call.remembers, &replayed.remembers);
    let mut changes = Changes::default();
    let known: BTreeSet<_> = call.state.iter().map(|text| &text.key).collect();
    for text in &replayed.state {
        if !known.contains(&text.key) {
            let at = format!(
                "{}: looked at, and the capture does not know it",
                shown.name(&text.key)
            );
            changes.text(&at, None, None);
        }
    }
    let of = |all: &[CapturedChange], key: &str| -> Vec<CapturedChange> {
        let of_it = all.iter().filter(|change| change.key == key);
        of_it.cloned().collect()
    };
    let keys: BTreeSet<_> = then.iter().chain(now).map(|change| &change.key).collect();
    for key in keys {
        let (was, is) = (of(then, key), of(now, key));
        for index in 0..was.len().max(is.len()) {
            let (was, is) = (was.get(index), is.get(index));
            if was != is {
                let text = |change: &CapturedChange| shown.change(change);
                changes.text(&shown.name(key), was.map(text), is.map(text));
            }
        }
    }
    if changes.all.is_empty() && then != now {
        changes.text("in another order", None, None);
    }
    changes.end()
}

#[cfg(test)]
mod tests;
