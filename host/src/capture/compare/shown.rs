//! What may be shown of what differs.

use serde_json::Value;

use super::super::exchange::CapturedRequest;
use super::super::memory::CapturedChange;
use super::super::words::{Piece, Words, pieces};
use super::Show;

pub(super) struct Shown<'a> {
    pub(super) show: Show,
    pub(super) members: Words,
    pub(super) routes: &'a [String],
}

impl Shown<'_> {
    /// A value: of every word only its shape.
    pub(super) fn value(&self, text: &str) -> String {
        self.without(text, |_| true)
    }

    /// A name, or what a plugin says: words of the call's members are not shown.
    pub(super) fn name(&self, text: &str) -> String {
        self.without(text, |word| self.members.has(word))
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
