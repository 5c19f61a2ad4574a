//! What differs between a captured call and the same call made again. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::call::{Call, Input};
use super::develop::members;
use super::exchange::{Answer, CapturedPart, CapturedRequest, PartContent, RequestBody};
use super::file::Header;
use super::memory::CapturedChange;
use super::outcome::{CapturedReport, Decision, Outcome, Rejected};
use super::replay::Replayed;
use super::words::{Piece, Words, pieces};

/// Changes of one request or outcome that are listed; a person who has seen so many has seen enough.
const LISTED: usize = 40;

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
        members: members(&call.input),
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
        ended: (call.outcome.summary(), replayed.outcome.summary()),
    }
}

fn requests(call: &Call, replayed: &Replayed, shown: &Shown<'_>) -> Vec<RequestDifference> {
    let mut found = vec![];
    let mut last = None;
    let mut in_order = true;
    for (exchange, of) in &replayed.exchanges {
        let now = &exchange.request;
        let denied = match &exchange.answer {
            Answer::Denied(why) => Some(why.clone()),
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

fn both(then: &CapturedRequest, now: &CapturedRequest, shown: &Shown<'_>, changes: &mut Changes) {
    if then.path != now.path {
        changes.text("path", Some(shown.path(then)), Some(shown.path(now)));
    }
    for (what, then, now) in [
        ("query", &then.query, &now.query),
        ("header", &then.headers, &now.headers),
        ("extra", &then.extra, &now.extra),
    ] {
        pairs(what, then, now, shown, changes);
    }
    match (&then.body, &now.body) {
        (RequestBody::Bytes(then), RequestBody::Bytes(now)) => {
            bytes("body", &then.0, &now.0, shown, changes);
        }
        (RequestBody::Multipart(then), RequestBody::Multipart(now)) => {
            parts(then, now, shown, changes);
        }
        (then, now) if then != now => {
            changes.text("body", Some(kind(then)), Some(kind(now)));
        }
        _ => {}
    }
}

fn kind(body: &RequestBody) -> String {
    match body {
        RequestBody::None => "none".to_owned(),
        RequestBody::Bytes(bytes) => format!("{} bytes", bytes.0.len()),
        RequestBody::Multipart(parts) => format!("a form of {} parts", parts.len()),
    }
}

type Pairs = [(String, String)];

fn pairs(what: &str, then: &Pairs, now: &Pairs, shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    let before = changes.all.len();
    let has = |all: &Pairs, pair: &(String, String)| all.contains(pair);
    let gone = then.iter().filter(|pair| !has(now, pair));
    let mut new: Vec<_> = now.iter().filter(|pair| !has(then, pair)).collect();
    for (name, value) in gone {
        let is = new
            .iter()
            .position(|(other, _)| other == name)
            .map(|at| new.remove(at));
        let at = format!("{what} {}", shown.name(name));
        changes.text(
            &at,
            Some(shown.value(value)),
            is.map(|(_, value)| shown.value(value)),
        );
    }
    for (name, value) in new {
        let at = format!("{what} {}", shown.name(name));
        changes.text(&at, None, Some(shown.value(value)));
    }
    if changes.all.len() == before {
        changes.text(&format!("{what}: in another order or number"), None, None);
    }
}

fn parts(then: &[CapturedPart], now: &[CapturedPart], shown: &Shown<'_>, changes: &mut Changes) {
    for index in 0..then.len().max(now.len()) {
        let (was, is) = (then.get(index), now.get(index));
        if was == is {
            continue;
        }
        let name = is
            .or(was)
            .map_or(String::new(), |part| shown.name(&part.name));
        let at = format!("part {} {name}", index + 1);
        if let (Some(was), Some(is)) = (was, is)
            && let (PartContent::Bytes(was_bytes), PartContent::Bytes(is_bytes)) =
                (&was.content, &is.content)
        {
            bytes(&at, &was_bytes.0, &is_bytes.0, shown, changes);
            let rest = |part: &CapturedPart| {
                let file = part.file_name.as_deref().unwrap_or("none");
                let kind = part.content_type.as_deref().unwrap_or("none");
                shown.value(&format!("{}, file {file}, type {kind}", part.name))
            };
            if (&was.name, &was.file_name, &was.content_type)
                != (&is.name, &is.file_name, &is.content_type)
            {
                changes.text(&at, Some(rest(was)), Some(rest(is)));
            }
            continue;
        }
        let whole = |part: &CapturedPart| {
            let content = match &part.content {
                PartContent::Bytes(bytes) => shown.value(&bytes.text()),
                PartContent::Staged(_) => "the staged file".to_owned(),
            };
            format!("{}: {content}", shown.name(&part.name))
        };
        changes.text(&at, was.map(whole), is.map(whole));
    }
}

/// JSON is compared as JSON, anything else line by line.
fn bytes(at: &str, then: &[u8], now: &[u8], shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    let before = changes.all.len();
    if let (Ok(then), Ok(now)) = (serde_json::from_slice(then), serde_json::from_slice(now)) {
        values(at, Some(&then), Some(&now), shown, changes);
    } else {
        let (then, now) = (String::from_utf8_lossy(then), String::from_utf8_lossy(now));
        lines(at, &then, &now, shown, changes);
    }
    if changes.all.len() == before {
        changes.text(&format!("{at}: written in another way"), None, None);
    }
}

fn values(
    at: &str,
    then: Option<&Value>,
    now: Option<&Value>,
    shown: &Shown<'_>,
    changes: &mut Changes,
) {
    match (then, now) {
        (Some(Value::Object(then)), Some(Value::Object(now))) => {
            let gone = then.keys().filter(|name| !now.contains_key(*name));
            for name in now.keys().chain(gone) {
                let at = format!("{at}/{}", shown.name(name));
                values(&at, then.get(name), now.get(name), shown, changes);
            }
        }
        (Some(Value::Array(then)), Some(Value::Array(now))) => {
            for index in 0..then.len().max(now.len()) {
                let at = format!("{at}/{index}");
                values(&at, then.get(index), now.get(index), shown, changes);
            }
        }
        (then, now) if then == now => {}
        (then, now) => {
            let text = |value: &Value| shown.json(value);
            changes.text(at, then.map(text), now.map(text));
        }
    }
}

fn lines(at: &str, then: &str, now: &str, shown: &Shown<'_>, changes: &mut Changes) {
    let (then, now): (Vec<_>, Vec<_>) = (then.lines().collect(), now.lines().collect());
    for index in 0..then.len().max(now.len()) {
        let (was, is) = (then.get(index), now.get(index));
        if was != is {
            let text = |line: &&str| shown.value(line);
            changes.text(
                &format!("{at} line {}", index + 1),
                was.map(text),
                is.map(text),
            );
        }
    }
}

fn outcomes(then: &Outcome, now: &Outcome, shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    match (then, now) {
        (
            Outcome::Delivered {
                rejected: then_rejected,
                retry: then_retry,
                why: then_why,
            },
            Outcome::Delivered {
                rejected,
                retry,
                why,
            },
        ) => {
            rows(then_rejected, rejected, shown, changes);
            let list = |rows: &[u32]| match rows {
                [] => "none".to_owned(),
                rows => rows
                    .iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            changes.if_different("rows to retry", list(then_retry), list(retry));
            let decided = |why: &Option<Decision>| {
                why.as_ref()
                    .map_or("nothing".to_owned(), |why| decision(why, shown))
            };
            changes.if_different("why", decided(then_why), decided(why));
        }
        (
            Outcome::Staged {
                bytes: then_bytes,
                start: then_start,
                ends: then_ends,
                rejected: then_rejected,
                identities: then_identities,
            },
            Outcome::Staged {
                bytes: now_bytes,
                start,
                ends,
                rejected,
                identities,
            },
        ) => {
            rows(then_rejected, rejected, shown, changes);
            bytes("staged", &then_bytes.0, &now_bytes.0, shown, changes);
            if then_bytes == now_bytes && (then_start, then_ends) != (start, ends) {
                changes.text("where rows begin and end", None, None);
            }
            let all = |identities: &[(u32, String)]| {
                let one = |(row, text): &(u32, String)| format!("row {row} {text}\n");
                identities.iter().map(one).collect::<String>()
            };
            let (then, now) = (all(then_identities), all(identities));
            lines("identities", &then, &now, shown, changes);
        }
        (Outcome::Submitted { token: then }, Outcome::Submitted { token }) => {
            changes.text("token", Some(shown.name(then)), Some(shown.name(token)));
        }
        (then, now) => {
            let all = |outcome: &Outcome| told(outcome, shown);
            changes.text("outcome", Some(all(then)), Some(all(now)));
        }
    }
    if changes.all.is_empty() {
        changes.text("outcome: differs in what is masked", None, None);
    }
}

fn rows(then: &[Rejected], now: &[Rejected], shown: &Shown<'_>, changes: &mut Changes) {
    let of = |all: &[Rejected], row: u32| {
        let found = all.iter().find(|rejected| rejected.row == row);
        found.map(|rejected| {
            let field = rejected
                .field
                .as_ref()
                .map_or(String::new(), |field| format!("{field}: "));
            format!("rejected: {}", shown.name(&(field + &rejected.reason)))
        })
    };
    let all = then.iter().chain(now).map(|rejected| rejected.row);
    let all: BTreeSet<u32> = all.collect();
    for row in all {
        let (was, is) = (of(then, row), of(now, row));
        if was != is {
            changes.text(&format!("row {row}"), was, is);
        }
    }
}

fn decision(decision: &Decision, shown: &Shown<'_>) -> String {
    let said = match decision {
        Decision::InvalidSettings(all) => all.join("; "),
        Decision::Unauthorized(message)
        | Decision::Transient(message)
        | Decision::Fatal(message)
        | Decision::Throttled { message, .. } => message.clone(),
    };
    let wait = match decision {
        Decision::Throttled {
            retry_after_ms: Some(ms),
            ..
        } => format!(" (after {ms} ms)"),
        _ => String::new(),
    };
    format!("{}: {}{wait}", decision.name(), shown.name(&said))
}

/// An outcome with what the plugin says of it.
fn told(outcome: &Outcome, shown: &Shown<'_>) -> String {
    let report = |report: &CapturedReport| {
        let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
        let rows = report.rows.iter();
        let rows: String = rows
            .map(|row| {
                let which = match (row.row, &row.identity) {
                    (Some(row), _) => row.to_string(),
                    (None, Some(identity)) => shown.name(identity),
                    (None, None) => "?".to_owned(),
                };
                format!("; row {which}: {}", shown.name(&row.reason))
            })
            .collect();
        format!(
            "{} accepted ({} created, {} updated, {} unchanged), {} refused, says `{}`{rows}",
            number(report.accepted),
            number(report.created),
            number(report.updated),
            number(report.unchanged),
            number(report.refused),
            shown.name(&report.message)
        )
    };
    match outcome {
        Outcome::Problem(problem) => decision(problem, shown),
        Outcome::Pending {
            message,
            done,
            total,
        } => {
            let number = |n: &Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
            let (done, total) = (number(done), number(total));
            format!(
                "import job pending: {done} of {total}, says `{}`",
                shown.name(message)
            )
        }
        Outcome::Succeeded(ended) => format!("import job succeeded: {}", report(ended)),
        Outcome::Failed(ended) => format!("import job failed: {}", report(ended)),
        Outcome::Submitted { token } => format!("import job started, token {}", shown.name(token)),
        outcome => outcome.summary(),
    }
}

#[derive(Default)]
struct Changes {
    all: Vec<Change>,
    more: usize,
}

impl Changes {
    fn text(&mut self, at: &str, was: Option<String>, is: Option<String>) {
        if self.all.len() >= LISTED {
            self.more += 1;
            return;
        }
        let at = at.to_owned();
        // What is left of both when values are masked may look the same.
        let at = match was.is_some() && was == is {
            true => format!("{at} (differs in what is masked)"),
            false => at,
        };
        self.all.push(Change { at, was, is });
    }

    fn if_different(&mut self, at: &str, was: String, is: String) {
        if was != is {
            self.text(at, Some(was), Some(is));
        }
    }

    fn end(mut self) -> Vec<Change> {
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

struct Shown<'a> {
    show: Show,
    members: Words,
    routes: &'a [String],
}

impl Shown<'_> {
    /// A value: of every word only its shape.
    fn value(&self, text: &str) -> String {
        self.without(text, |_| true)
    }

    /// A name, or what a plugin says: words of the call's members are not shown.
    fn name(&self, text: &str) -> String {
        self.without(text, |word| self.members.has(word))
    }

    fn change(&self, change: &CapturedChange) -> String {
        let value = change.value.as_ref();
        let value = value.map_or("taken out".to_owned(), |value| {
            format!("`{}`", self.value(value))
        });
        match change.made {
            true => value,
            false => format!("{value}, which is not made"),
        }
    }

    fn json(&self, value: &Value) -> String {
        match value {
            Value::String(text) => Value::String(self.value(text)).to_string(),
            Value::Array(items) => format!("a list of {}", items.len()),
            Value::Object(object) => format!("an object of {}", object.len()),
            Value::Null => "null".to_owned(),
            // Its length would tell which.
            Value::Bool(_) if self.show == Show::Masked => "xxxx".to_owned(),
            plain => self.value(&plain.to_string()),
        }
    }

    fn request(&self, request: &CapturedRequest) -> String {
        format!("{} {}", self.name(&request.method), self.path(request))
    }

    /// A path: what a route leaves open is not shown.
    fn path(&self, request: &CapturedRequest) -> String {
        let segments: Vec<_> = request.path.split('/').collect();
        let fits = |route: &&String| {
            let pattern: Vec<_> = match route.split_once(' ') {
                Some((method, path)) if method == request.method => path.split('/').collect(),
                _ => return false,
            };
            let mut pairs = pattern.iter().zip(&segments);
            pattern.len() == segments.len()
                && pairs.all(|(fixed, found)| *fixed == "*" || fixed == found)
        };
        let Some(route) = self.routes.iter().find(fits) else {
            return self.name(&request.path);
        };
        let fixed = route
            .split_once(' ')
            .map_or("", |(_, path)| path)
            .split('/');
        let shown = fixed.zip(&segments).map(|(fixed, found)| match fixed {
            "*" => self.value(found),
            fixed => fixed.to_owned(),
        });
        shown.collect::<Vec<_>>().join("/")
    }

    fn without(&self, text: &str, goes: impl Fn(&str) -> bool) -> String {
        if self.show == Show::All {
            return text.to_owned();
        }
        let hide = |text: &str| -> String {
            let one = |c: char| match c {
                c if c.is_numeric() => '0',
                c if c.is_ascii_punctuation() => c,
                _ => 'x',
            };
            text.chars().map(one).collect()
        };
        let one = |piece: Piece<'_>| match piece {
            Piece::Word(text) | Piece::Day(text) | Piece::Time(text) if goes(text) => hide(text),
            Piece::Word(text) | Piece::Day(text) | Piece::Time(text) | Piece::Between(text) => {
                text.to_owned()
            }
        };
        pieces(text).into_iter().map(one).collect()
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
