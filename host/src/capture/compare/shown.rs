//! What may be shown of what differs.

use serde_json::Value;

use super::super::exchange::CapturedRequest;
use super::super::memory::CapturedChange;
use super::super::words::{Piece, Words, pieces};
use super::Show;
use crate::plugin::tidy;

/// Bytes of one text that is shown: a capture may be a stranger's, and a value as long as it likes.
const SHOWN_BYTES: usize = 4096;

pub(super) struct Shown<'a> {
    pub(super) show: Show,
    /// Words that may be a member's.
    pub(super) members: Words,
    pub(super) routes: &'a [String],
}

impl Shown<'_> {
    /// A value: of every word only its shape.
    pub(super) fn value(&self, text: &str) -> String {
        self.without(text, |_| true)
    }

    /// A name, or what a plugin says: no word is shown that the call's rows have, or that somebody else has
    /// told the plugin.
    pub(super) fn name(&self, text: &str) -> String {
        self.without(text, |word| {
            self.members.are_in(word)
                || word.chars().filter(|c| c.is_numeric()).count() >= TELLING_DIGITS
        })
    }

    pub(super) fn change(&self, change: &CapturedChange) -> String {
        let value = change.value.as_ref();
        let value = value.map_or("taken out".to_owned(), |value| {
            format!("`{}`", self.value(value))
        });
        match change.made {
            true => value,
            false => format!("{value}, which is not made"),
        }
    }

    pub(super) fn json(&self, value: &Value) -> String {
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

    pub(super) fn request(&self, request: &CapturedRequest) -> String {
        format!("{} {}", self.name(&request.method), self.path(request))
    }

    /// A path: what a route leaves open is not shown.
    pub(super) fn path(&self, request: &CapturedRequest) -> String {
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
            let shown = segments.iter().map(|segment| self.segment(segment));
            return shown.collect::<Vec<_>>().join("/");
        };
        let fixed = route
            .split_once(' ')
            .map_or("", |(_, path)| path)
            .split('/');
        let shown = fixed.zip(&segments).map(|(fixed, found)| match fixed {
            "*" => self.value(found),
            fixed => fixed.to_owned(),
        });
        line(&shown.collect::<Vec<_>>().join("/"))
    }

    /// A part of a path that no route describes: shown if it looks like a name.
    fn segment(&self, segment: &str) -> String {
        let named = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-' | '.' | ':');
        let version = segment
            .strip_prefix('v')
            .is_some_and(|number| number.len() < 3 && number.chars().all(|c| c.is_ascii_digit()));
        match version || segment.chars().all(named) {
            true => self.name(segment),
            false => self.value(segment),
        }
    }

    fn without(&self, text: &str, goes: impl Fn(&str) -> bool) -> String {
        if self.show == Show::All {
            return line(text);
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
        line(&pieces(text).into_iter().map(one).collect::<String>())
    }
}

/// So many digits are a number of somebody's, in whatever way a plugin writes it.
const TELLING_DIGITS: usize = 4;

/// On one line, without anything that a terminal obeys.
pub(super) fn line(text: &str) -> String {
    tidy::line(text, SHOWN_BYTES)
}
