//! One row: its values, and the identities by which the destination knows the user.

use std::borrow::Cow;

use sluice_guest::{Cell, Change, Kind, Row};

use crate::fields::Rule;
use crate::mapping::{Plan, Target};
use crate::options::{InvalidValues, Options};
use crate::value::{self, Value};

/// Why a row can not be sent: the field and the rule, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field at fault.
    pub field: Option<String>,
    /// The rule that it breaks.
    pub reason: String,
}

/// Reads a row into `values`, one for each target of the plan.
pub fn read<'a>(
    row: Row<'a>,
    plan: &Plan,
    options: &Options,
    values: &mut Vec<Value<'a>>,
) -> Result<(), Refusal> {
    values.clear();
    for target in &plan.targets {
        let value = match (target.rule, target.sources.as_slice()) {
            (Rule::Membership, _) => Ok(Value::Boolean(row.change != Change::Exited)),
            (rule, &[column]) => value::of(rule, row.cell(column), options),
            (_, columns) if is_partial(row, columns) => Ok(Value::Nothing),
            (rule, columns) => compose(rule, columns.iter().map(|&c| row.cell(c)), options),
        };
        values.push(match value {
            // An identity names a user: there is nothing to clear.
            Ok(Value::Null) if target.rule.is_identity() => Value::Nothing,
            Ok(value) => value,
            Err(_) if may_omit(target, options) => Value::Nothing,
            Err(reason) => {
                return Err(Refusal {
                    field: Some(target.name.clone()),
                    reason: format!("`{}` {reason}", target.name),
                });
            }
        });
    }
    let has = |target: Option<usize>| target.is_some_and(|t| values[t] != Value::Nothing);
    match (has(plan.email), has(plan.record_id)) {
        (true, _) => Ok(()),
        (false, true) if !options.require_email => Ok(()),
        (false, true) => Err(Refusal {
            field: Some("email".to_owned()),
            reason: "`email` is empty, and `require_email` is set".to_owned(),
        }),
        (false, false) => Err(Refusal {
            field: None,
            reason: no_identity(plan).to_owned(),
        }),
    }
}

/// Whether a change says only a part of what a composed field is made of. Sent, that part would
/// overwrite the whole; a row of the backfill or a member who enters has no whole yet.
fn is_partial(row: Row<'_>, columns: &[usize]) -> bool {
    matches!(row.change, Change::Updated | Change::Exited)
        && columns
            .iter()
            .any(|&column| row.cell(column).kind == Kind::Absent)
}

fn may_omit(target: &Target, options: &Options) -> bool {
    options.invalid_values == InvalidValues::Omit && !target.rule.is_identity()
}

fn no_identity(plan: &Plan) -> &'static str {
    match (plan.email, plan.record_id) {
        (Some(_), None) => "`email` is empty, and `record_id` is not mapped",
        (None, Some(_)) => "`record_id` is empty, and `email` is not mapped",
        _ => "both `email` and `record_id` are empty",
    }
}

/// Several sources joined with one space, empty ones left out. Null if none has a text, one is
/// null and none is absent: an absent one may still have a text at the destination.
fn compose<'a>(
    rule: Rule,
    cells: impl Iterator<Item = Cell<'a>>,
    options: &Options,
) -> Result<Value<'a>, &'static str> {
    let mut joined: Option<Cow<'a, str>> = None;
    let (mut absent, mut null) = (false, false);
    for cell in cells {
        absent |= cell.kind == Kind::Absent;
        match value::of(rule, cell, options)? {
            Value::Null => null = true,
            Value::Text(text) => match &mut joined {
                None => joined = Some(text),
                Some(all) => {
                    let all = all.to_mut();
                    all.push(' ');
                    all.push_str(&text);
                }
            },
            _ => {}
        }
    }
    Ok(match joined {
        Some(text) => Value::Text(text),
        None if null && !absent => Value::Null,
        None => Value::Nothing,
    })
}

/// The identities of the row read last: `email:<in lower case>` and `record_id:<exact>`. Keeps
/// its memory from row to row.
#[derive(Debug, Default)]
pub struct Identities {
    email: String,
    record_id: String,
}

impl Identities {
    /// The identities among these values.
    pub fn of(
        &mut self,
        plan: &Plan,
        values: &[Value<'_>],
    ) -> impl Iterator<Item = &str> + use<'_> {
        fn text<'v>(values: &'v [Value<'_>], target: Option<usize>) -> &'v str {
            target
                .and_then(|target| values.get(target))
                .map_or("", Value::as_text)
        }
        self.email.clear();
        self.record_id.clear();
        let email = text(values, plan.email);
        if !email.is_empty() {
            self.email.push_str("email:");
            if email.is_ascii() {
                self.email.push_str(email);
                self.email.make_ascii_lowercase();
            } else {
                self.email.push_str(&email.to_lowercase());
            }
        }
        let record_id = text(values, plan.record_id);
        if !record_id.is_empty() {
            self.record_id.push_str("record_id:");
            self.record_id.push_str(record_id);
        }
        [self.email.as_str(), self.record_id.as_str()]
            .into_iter()
            .filter(|id| !id.is_empty())
    }
}
