//! Reading one TOML table key by key, so that every mistake in it is found and none hides another.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Source, nearest};

/// Where mistakes are collected.
pub(super) struct Collector {
    pub source: Arc<Source>,
    pub mistakes: RefCell<Vec<Mistake>>,
}

impl Collector {
    pub fn add(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    pub fn at(&self, span: Range<usize>, title: impl Into<String>) -> Mistake {
        Mistake::new(&self.source, span, title)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// One table that is being read.
pub(super) struct Section<'a> {
    pub collector: &'a Collector,
    /// What the operator calls it, like `[exports.vip]`.
    pub name: String,
    pub span: Range<usize>,
    table: &'a DeTable<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub fn new(
        collector: &'a Collector,
        name: String,
        span: Range<usize>,
        table: &'a DeTable<'a>,
    ) -> Self {
        Self {
            collector,
            name,
            span,
            table,
            known: RefCell::default(),
        }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    fn expected(&self, key: &str, what: &str, found: &Spanned<DeValue<'_>>) {
        self.collector.add(
            self.collector
                .at(
                    found.span(),
                    format!("`{key}` in {} is no {what}", self.name),
                )
                .label(format!(
                    "expected {what}, found {}",
                    found.get_ref().type_str()
                )),
        );
    }

    pub fn text(&self, key: &'static str) -> Option<At<String>> {
        let found = self.get(key)?;
        match found.get_ref().as_str() {
            Some(text) => Some(At {
                value: text.to_owned(),
                span: found.span(),
            }),
            None => {
                self.expected(key, "text in quotes", found);
                None
            }
        }
    }

    /// A list of texts, each with its place. Anything else in it is a mistake.
    pub fn texts(&self, key: &'static str) -> Option<Vec<At<String>>> {
        let found = self.get(key)?;
        let Some(items) = found.get_ref().as_array() else {
            self.expected(key, "list of texts in brackets", found);
            return None;
        };
        let mut texts = vec![];
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => texts.push(At {
                    value: text.to_owned(),
                    span: item.span(),
                }),
                None => self.expected(key, "list of texts", item),
            }
        }
        Some(texts)
    }

    /// A text that must be there and not be empty.
    pub fn required(&self, key: &'static str, example: &str) -> At<String> {
        let missing = |span, title| {
            self.collector.add(
                self.collector
                    .at(span, title)
                    .help(format!("write `{key} = {example}`")),
            );
            At {
                value: String::new(),
                span: self.span.clone(),
            }
        };
        if !self.table.contains_key(key) {
            self.known.borrow_mut().push(key);
            return missing(self.span.clone(), format!("{} has no `{key}`", self.name));
        }
        match self.text(key) {
            Some(text) if text.value.trim().is_empty() => {
                missing(text.span, format!("`{key}` in {} is empty", self.name))
            }
            Some(text) => text,
            None => At {
                value: String::new(),
                span: self.span.clone(),
            },
        }
    }

    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let found = self.get(key)?;
        let value = found.get_ref().as_bool();
        if value.is_none() {
            self.expected(key, "`true` or `false`", found);
        }
        value
    }

    /// A whole number in a range.
    pub fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let found = self.get(key)?;
        let number = found
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            let what = match most {
                u64::MAX => format!("whole number from {least}"),
                most => format!("whole number from {least} to {most}"),
            };
            self.expected(key, &what, found);
        }
        number
    }

    /// Whether a key holds a table, where it may hold text as well.
    pub fn is_table(&self, key: &str) -> bool {
        let found = self.table.get(key);
        found.is_some_and(|found| found.get_ref().as_table().is_some())
    }

    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let found = self.get(key)?;
        let Some(table) = found.get_ref().as_table() else {
            self.expected(key, "table", found);
            return None;
        };
        let name = format!("{}.{key}]", self.name.trim_end_matches(']'));
        let span = self.key_span(key).unwrap_or_else(|| found.span());
        Some(Section::new(self.collector, name, span, table))
    }

    /// Where a key itself stands.
    pub fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table
            .keys()
            .find(|name| name.get_ref() == key)
            .map(Spanned::span)
    }

    /// Every entry, for tables whose keys are names that the operator chose.
    pub fn entries(
        &self,
    ) -> impl Iterator<Item = (At<String>, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.table.iter().map(|(key, value)| {
            (
                At {
                    value: key.get_ref().to_string(),
                    span: key.span(),
                },
                value,
            )
        })
    }

    /// Ends the reading: a key that nobody asked for is a mistake. Answers whether there was none.
    pub fn finish(self) -> bool {
        let known = self.known.borrow();
        let mut understood = true;
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            understood = false;
            let mistake = self
                .collector
                .at(key.span(), format!("unknown key `{name}` in {}", self.name));
            self.collector
                .add(match nearest(name, known.iter().copied()) {
                    Some(near) => mistake.help(format!("did you mean `{near}`?")),
                    None => mistake.help(format!("known here: {}", known.join(", "))),
                });
        }
        understood
    }
}

/// A TOML value as JSON, for the plugin's options.
pub(super) fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref())))
                .collect::<Map<_, _>>(),
        ),
    }
}
