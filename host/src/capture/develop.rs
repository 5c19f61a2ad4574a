//! From a call that was made to one that is written down: as it was, or masked.
//!
//! A masked call is one that was really made: the plugin gets masked rows, and is answered from the
//! real call's tape, masked as well. So a masked capture holds nothing of any member, and replays.

use serde_json::Value;

use super::call::{Call, CapturedCell, CellKind, Input, Real};
use super::capturing::{Scene, Taken};
use super::digest::Digester;
use super::exchange::CapturedRequest;
use super::json;
use super::mask::Mask;
use super::memory::{CapturedChange, CapturedText, Found};
use super::replay::Again;
use super::words::{Piece, Words, pieces};
use crate::capability::http::Exchange;
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};

/// Headers of answers whose values say nothing about anybody, and decide what a plugin does.
const KEPT_HEADERS: [&str; 2] = ["content-type", "retry-after"];

/// The call as it was.
pub(super) fn revealed(taken: &Taken) -> Call {
    let exchanges: Vec<_> = taken.exchanges.iter().map(Into::into).collect();
    Call {
        digests: digests(taken, &Digester::Plain),
        input: taken.input.clone(),
        exchanges,
        state: taken.memories.state.clone(),
        remembers: taken.memories.remembers.clone(),
        outcome: taken.outcome.clone(),
        real: None,
    }
}

/// The call without anything of a member: made once more, of masked rows, from a masked tape.
pub(super) async fn masked(taken: &Taken, mask: &Mask, key: [u8; 32]) -> Call {
    let scene = &taken.scene;
    let (members, kept) = (members(&taken.input), vocabulary(scene));
    let mut known = members.clone();
    for CapturedText { found, .. } in &taken.memories.state {
        if let Found::Text(text) = found {
            add_but(text, &kept, &mut known);
        }
    }
    let blind = Blind {
        mask,
        members,
        kept,
        known,
    };
    let input = match &taken.input {
        Input::Stage { offset, rows } => Input::Stage {
            offset: *offset,
            rows: mask.rows(rows),
        },
        Input::Deliver { rows } => Input::Deliver {
            rows: mask.rows(rows),
        },
        // Names and numbers of the host's, and a job's: no member's.
        input @ (Input::Submit { .. } | Input::Poll { .. }) => input.clone(),
    };
    let again = Again {
        input: &input,
        tape: taken
            .exchanges
            .iter()
            .map(|one| blind.exchange(one))
            .collect(),
        state: (taken.memories.state.iter())
            .map(|one| blind.state(one))
            .collect(),
        any_path: true,
        ended: &taken.outcome,
    };
    let played = scene.rig.play(&scene.plugin, again).await;
    let alike = played.outcome.summary() == taken.outcome.summary()
        && played.left.is_empty()
        && played.exchanges.iter().all(|(_, of)| of.is_some())
        && made(&played.remembers).eq(made(&taken.memories.remembers));
    Call {
        input,
        exchanges: played.exchanges.into_iter().map(|(one, _)| one).collect(),
        state: played.state,
        remembers: played.remembers,
        outcome: played.outcome,
        real: Some(Real {
            ended: taken.outcome.summary(),
            alike,
        }),
        digests: digests(taken, &Digester::Keyed(key)),
    }
}

fn digests(taken: &Taken, digester: &Digester) -> super::Digests {
    let requests: Vec<CapturedRequest> = taken
        .exchanges
        .iter()
        .map(|one| (&one.request).into())
        .collect();
    digester.digests(
        &taken.input,
        requests.iter(),
        &taken.memories.remembers,
        &taken.outcome,
    )
}

/// Which changes were made, whatever they are.
fn made(all: &[CapturedChange]) -> impl Iterator<Item = (bool, bool)> {
    all.iter().map(|one| (one.value.is_some(), one.made))
}

/// Adds the words of a text but for those that stay.
fn add_but(text: &str, kept: &Words, words: &mut Words) {
    for piece in pieces(text) {
        if let Piece::Word(text) | Piece::Day(text) | Piece::Time(text) = piece
            && !kept.has(text)
        {
            words.add(text);
        }
    }
}

/// Every word of the rows.
pub(super) fn members(input: &Input) -> Words {
    let mut words = Words::default();
    for CapturedCell(kind, text) in input.rows().iter().flat_map(|row| &row.cells) {
        if *kind != CellKind::Boolean {
            words.add(text);
        }
    }
    words
}

/// Words that the plugin and the operator use themselves: routes, fields, and what options may be and are.
fn vocabulary(scene: &Scene) -> Words {
    let mut words = Words::default();
    let manifest = &scene.plugin.manifest;
    scene
        .rig
        .policy
        .routes()
        .for_each(|route| words.add_names(&route));
    manifest
        .fields
        .iter()
        .for_each(|field| words.add_names(&field.name));
    for column in &scene.rig.settings.columns {
        words.add_names(&column.destination);
    }
    for (text, all) in [
        (&scene.rig.settings.options, true),
        (&manifest.options_schema, false),
    ] {
        if let Ok(value) = serde_json::from_str(text) {
            add_values(&value, all, &mut words);
        }
    }
    words
}

/// The texts of options; of a schema those that are values, not its own prose.
fn add_values(value: &Value, all: bool, words: &mut Words) {
    match value {
        Value::String(text) if all => words.add_names(text),
        Value::Array(items) => items.iter().for_each(|item| add_values(item, all, words)),
        Value::Object(object) => {
            for (name, value) in object {
                let values = all || matches!(name.as_str(), "default" | "enum" | "const");
                add_values(value, values, words);
            }
        }
        _ => {}
    }
}

/// What must not be seen of an exchange, and what may.
struct Blind<'a> {
    mask: &'a Mask,
    members: Words,
    kept: Words,
    /// Of members, or of what the plugin remembered: what it puts into requests itself.
    known: Words,
}

impl Blind<'_> {
    fn exchange(&self, exchange: &Exchange) -> Exchange {
        Exchange {
            request: self.request(&exchange.request),
            answer: exchange.answer.as_ref().map(|answer| match answer {
                Ok(response) => Ok(self.response(response)),
                Err(failure) => Err(self.failure(failure)),
            }),
        }
    }

    /// As the plugin will ask for it with masked rows, as far as that can be told: only so that the
    /// tape knows it. What is written down is what the plugin asks for.
    fn request(&self, request: &Request) -> Request {
        let only = |text: &str| self.mask.only(text, &self.known);
        let bytes = |bytes: &[u8]| only(&String::from_utf8_lossy(bytes)).into_bytes();
        let pairs = |pairs: &[(String, String)]| -> Vec<_> {
            let one = |(name, value): &(String, String)| (only(name), only(value));
            pairs.iter().map(one).collect()
        };
        let part = |part: &Part| Part {
            content: match &part.content {
                Content::Bytes(content) => Content::Bytes(bytes(content)),
                staged @ Content::Staged(_) => staged.clone(),
            },
            ..part.clone()
        };
        Request {
            path: only(&request.path),
            query: pairs(&request.query),
            headers: pairs(&request.headers),
            body: match &request.body {
                Body::None => Body::None,
                Body::Bytes(content) => Body::Bytes(bytes(content)),
                Body::Multipart(parts) => Body::Multipart(parts.iter().map(part).collect()),
            },
            ..request.clone()
        }
    }

    fn response(&self, response: &Response) -> Response {
        let header = |(name, value): &(String, String)| {
            let value = match KEPT_HEADERS.contains(&name.as_str()) {
                true => value.clone(),
                false => self.hide(value),
            };
            (name.clone(), value)
        };
        Response {
            status: response.status,
            headers: response.headers.iter().map(header).collect(),
            body: self.body(&response.body),
            extra: response
                .extra
                .iter()
                .map(|(name, value)| (name.clone(), self.hide(value)))
                .collect(),
        }
    }

    /// A key is a name, and stays; what stands there may be anything.
    fn state(&self, text: &CapturedText) -> CapturedText {
        let only = |why: &str| self.mask.only(why, &self.members);
        CapturedText {
            key: only(&text.key),
            after: text.after,
            found: match &text.found {
                Found::Nothing => Found::Nothing,
                Found::Text(text) => Found::Text(self.text(text)),
                Found::Denied(why) => Found::Denied(only(why)),
                Found::TooLarge(why) => Found::TooLarge(only(why)),
                Found::Unavailable(why) => Found::Unavailable(only(why)),
                Found::Never => Found::Never,
            },
        }
    }

    fn body(&self, body: &[u8]) -> Vec<u8> {
        self.text(&String::from_utf8_lossy(body)).into_bytes()
    }

    fn text(&self, text: &str) -> String {
        let changed = json::changed(
            text,
            &json::Change {
                name: &|name| self.name(name),
                text: &|text| self.hide(text),
                number: &|number| self.mask.number(number),
                // One bit of nobody known; and what a plugin decides by.
                boolean: &|value| value,
            },
        );
        changed.unwrap_or_else(|| self.hide(text))
    }

    /// A name in an answer: it stays if it looks like one and is no member's.
    fn name(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.');
        match name.chars().all(plain) {
            true => self.mask.only(name, &self.members),
            false => self.hide(name),
        }
    }

    fn hide(&self, text: &str) -> String {
        self.mask.but(text, &self.kept, &self.members)
    }

    /// The host's own words, which quote at most what came over the wire.
    fn failure(&self, failure: &Failure) -> Failure {
        let only = |why: &String| self.mask.only(why, &self.members);
        match failure {
            Failure::Denied(why) => Failure::Denied(only(why)),
            Failure::Unreachable(why) => Failure::Unreachable(only(why)),
            Failure::Interrupted(why) => Failure::Interrupted(only(why)),
            Failure::TooLarge(why) => Failure::TooLarge(only(why)),
            Failure::Other(why) => Failure::Other(only(why)),
        }
    }
}
