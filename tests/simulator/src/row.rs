//! What one request or one line of a file says about a user.

use serde_json::{Map, Value};

use crate::account::Refusal;
use crate::config::{Blank, Config, Policy};
use crate::fields::{CUSTOM, Catalogue, Datum, FieldId, Target, from_json as value_of, from_text};

#[derive(Debug, Default)]
pub(crate) struct Row {
    pub record_id: Option<Box<str>>,
    pub email: Option<Box<str>>,
    /// New values; `None` clears.
    pub values: Vec<(FieldId, Option<Datum>)>,
    pub undefined: u32,
    pub unknown: u32,
}

impl Row {
    /// The row if somebody can be found or created by it.
    fn identified(self, config: &Config) -> Result<Self, Refusal> {
        if config.require_email && self.email.is_none() {
            return Err(Refusal::Invalid("email is required".into()));
        }
        if self.email.is_none() && self.record_id.is_none() {
            return Err(Refusal::Invalid("email or record_id is required".into()));
        }
        Ok(self)
    }

    fn set_email(&mut self, email: &str) -> Result<(), Refusal> {
        let (local, domain) = email.split_once('@').unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c == '@';
        if local.is_empty() || !domain.contains('.') || local.contains(odd) || domain.contains(odd)
        {
            return Err(Refusal::Invalid(format!("email {email:?} is not valid")));
        }
        self.email = Some(email.into());
        Ok(())
    }
}

/// The names of all fields in a user's JSON, custom attributes as `custom_attributes.group.name`.
pub(crate) fn names(user: &Map<String, Value>) -> Vec<String> {
    let mut names = Vec::with_capacity(user.len() + 8);
    for (key, value) in user {
        match value {
            Value::Object(groups) if key == CUSTOM => {
                for (group, attributes) in groups {
                    let attributes = attributes.as_object().into_iter().flatten();
                    names.extend(attributes.map(|(name, _)| format!("{CUSTOM}.{group}.{name}")));
                }
            }
            _ => names.push(key.clone()),
        }
    }
    names
}

pub(crate) fn from_json(
    catalogue: &Catalogue,
    config: &Config,
    user: &Value,
) -> Result<Row, Refusal> {
    let user = user
        .as_object()
        .ok_or_else(|| Refusal::Invalid("a user must be a JSON object".into()))?;
    let mut row = Row::default();
    for (key, value) in user {
        if *key == config.merge_flag || *key == config.welcome_flag {
            continue;
        }
        if key != CUSTOM {
            put(&mut row, catalogue, config, key, value)?;
            continue;
        }
        let wrong = || Refusal::Invalid("custom_attributes must be nested: group, name".into());
        for (group, attributes) in value.as_object().ok_or_else(wrong)? {
            for (name, value) in attributes.as_object().ok_or_else(wrong)? {
                let name = format!("{CUSTOM}.{group}.{name}");
                put(&mut row, catalogue, config, &name, value)?;
            }
        }
    }
    row.identified(config)
}

fn put(
    row: &mut Row,
    catalogue: &Catalogue,
    config: &Config,
    name: &str,
    value: &Value,
) -> Result<(), Refusal> {
    let target = catalogue.target(name);
    match (target, value) {
        (Target::Unknown | Target::Undefined, _) => unplaced(row, config, name, target),
        // An identity cannot be taken away, only replaced.
        (Target::RecordId | Target::Email, Value::Null) => Ok(()),
        (Target::RecordId, Value::String(id)) => {
            if !id.is_empty() {
                row.record_id = Some(id.as_str().into());
            }
            Ok(())
        }
        (Target::Email, Value::String(email)) if email.is_empty() => Ok(()),
        (Target::Email, Value::String(email)) => row.set_email(email),
        (Target::RecordId | Target::Email, _) => {
            Err(Refusal::Invalid(format!("{name} must be a string")))
        }
        (Target::Field(id, _), Value::Null) => {
            if config.json_null == Blank::Clear {
                row.values.push((id, None));
            }
            Ok(())
        }
        (Target::Field(id, kind), value) => {
            let value = value_of(kind, value)
                .map_err(|reason| Refusal::Invalid(format!("{name} {reason}")))?;
            row.values.push((id, Some(value)));
            Ok(())
        }
    }
}

fn unplaced(row: &mut Row, config: &Config, name: &str, target: Target) -> Result<(), Refusal> {
    let (policy, count, what) = match target {
        Target::Undefined => (
            config.undefined_attributes,
            &mut row.undefined,
            "is not a defined attribute",
        ),
        _ => (
            config.unknown_fields,
            &mut row.unknown,
            "is not a known field",
        ),
    };
    match policy {
        Policy::Ignore => {
            *count += 1;
            Ok(())
        }
        Policy::Reject => Err(Refusal::Invalid(format!("{name} {what}"))),
    }
}

/// One record of a CSV file under its header.
pub(crate) fn from_csv(
    columns: &[(String, Target)],
    config: &Config,
    record: &csv::StringRecord,
) -> Result<Row, Refusal> {
    if record.len() != columns.len() {
        return Err(Refusal::Invalid(format!(
            "the row has {} cells, the header has {}",
            record.len(),
            columns.len()
        )));
    }
    let mut row = Row {
        values: Vec::with_capacity(columns.len()),
        ..Row::default()
    };
    for ((name, target), cell) in columns.iter().zip(record) {
        match *target {
            Target::RecordId if cell.is_empty() => {}
            Target::Email if cell.is_empty() => {}
            Target::RecordId => row.record_id = Some(cell.into()),
            Target::Email => row.set_email(cell)?,
            Target::Field(id, _) if cell.is_empty() => {
                if config.empty_cell == Blank::Clear {
                    row.values.push((id, None));
                }
            }
            Target::Field(id, kind) => {
                let value = from_text(kind, cell)
                    .map_err(|reason| Refusal::Invalid(format!("{name} {reason}")))?;
                row.values.push((id, Some(value)));
            }
            _ if cell.is_empty() => {}
            target => unplaced(&mut row, config, name, target)?,
        }
    }
    row.identified(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_cell_leaves_alone_unless_it_is_set_to_clear() {
        let catalogue = Catalogue::new(&[]);
        let columns: Vec<_> = ["email", "city"]
            .map(|name| (name.to_owned(), catalogue.target(name)))
            .into();
        let record = csv::StringRecord::from(vec!["a@x.org", ""]);
        let mut config = Config::default();
        assert_eq!(
            from_csv(&columns, &config, &record).unwrap().values.len(),
            0
        );
        config.empty_cell = Blank::Clear;
        let row = from_csv(&columns, &config, &record).unwrap();
        assert!(matches!(row.values[..], [(_, None)]));
    }

    #[test]
    fn an_undefined_attribute_can_be_an_error() {
        let catalogue = Catalogue::new(&[]);
        let user = json!({"record_id": "a", "custom_attributes": {"resci": {"vip": true}}});
        let mut config = Config::default();
        assert_eq!(from_json(&catalogue, &config, &user).unwrap().undefined, 1);
        config.undefined_attributes = Policy::Reject;
        assert!(from_json(&catalogue, &config, &user).is_err());
    }

    #[test]
    fn the_names_of_nested_attributes_are_written_with_dots() {
        let user = json!({"email": "a@x.org", "custom_attributes": {"resci": {"vip": true}}});
        assert_eq!(
            names(user.as_object().unwrap()),
            ["email", "custom_attributes.resci.vip"]
        );
    }

    #[test]
    fn a_row_of_the_wrong_length_is_refused() {
        let columns = [("email".to_owned(), Target::Email)];
        let record = csv::StringRecord::from(vec!["a@x.org", "more"]);
        assert!(from_csv(&columns, &Config::default(), &record).is_err());
    }
}
