//! From the operator's mapping to a plan: which columns make which key, under which rule.

use sluice_guest::{Column, Finding, Place};

use crate::fields::{self, Rule};
use crate::options::{Exit, Options, finding};

/// Where a value goes in the user's JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A key of the user.
    Plain(String),
    /// A key of a group of custom attributes.
    Custom {
        /// The group.
        group: String,
        /// The key in it.
        name: String,
    },
}

/// One destination field that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name as mapped: what reasons name.
    pub name: String,
    /// What holds for its values.
    pub rule: Rule,
    /// Where it goes.
    pub key: Key,
    /// The columns that it is made of, in mapping order. None for [`Rule::Membership`].
    pub sources: Vec<usize>,
}

impl Target {
    /// The header of its column in the CSV.
    pub fn header(&self) -> &str {
        match &self.key {
            Key::Plain(key) => key,
            Key::Custom { .. } => &self.name,
        }
    }
}

/// What is sent of each row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many cells a row has.
    pub columns: usize,
    /// The fields, in the order in which the mapping first names them.
    pub targets: Vec<Target>,
    /// The targets that are custom attributes, by group, groups in order of first mention.
    pub groups: Vec<(String, Vec<usize>)>,
    /// The target that holds the email.
    pub email: Option<usize>,
    /// The target that holds the record id.
    pub record_id: Option<usize>,
}

impl Plan {
    /// Reads the mapping. On failure everything that is wrong with it.
    pub fn new(columns: &[Column], options: &Options) -> Result<Self, Vec<Finding>> {
        let mut plan = Self {
            columns: columns.len(),
            ..Self::default()
        };
        let mut found = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            if let Err(message) = plan.map(index, column, columns, options) {
                found.push(finding(Place::Column(index as u32), message));
            }
        }
        plan.check_identity(columns, options, &mut found);
        if options.exit == Exit::Attribute {
            plan.add_membership(options);
        }
        plan.index();
        if found.is_empty() {
            Ok(plan)
        } else {
            Err(found)
        }
    }

    fn map(
        &mut self,
        index: usize,
        column: &Column,
        columns: &[Column],
        options: &Options,
    ) -> Result<(), String> {
        let name = column.destination.as_str();
        let (rule, key) = resolve(name, options)?;
        if let Some(target) = self.targets.iter_mut().find(|target| target.name == name) {
            if !rule.is_composable() {
                let first = target.sources.first().and_then(|first| columns.get(*first));
                let first = first.map_or("", |column| column.source.as_str());
                return Err(format!(
                    "`{name}` is mapped already, from `{first}`: only `full_name` can be made of \
                     several sources. Remove one of the two"
                ));
            }
            target.sources.push(index);
            return Ok(());
        }
        if options.exit == Exit::Attribute && name == options.exit_attribute {
            return Err(format!(
                "`{name}` is the `exit_attribute`, which the exporter sets by itself. Remove this \
                 line or choose another `exit_attribute`"
            ));
        }
        self.targets.push(Target {
            name: name.to_owned(),
            rule,
            key,
            sources: vec![index],
        });
        Ok(())
    }

    fn check_identity(&self, columns: &[Column], options: &Options, found: &mut Vec<Finding>) {
        let has = |name: &str| columns.iter().any(|column| column.destination == name);
        if columns.is_empty() {
            found.push(finding(
                Place::Mapping,
                "nothing is mapped: map at least one field, `email` or `record_id` among them",
            ));
        } else if !has("email") && !has("record_id") {
            found.push(finding(
                Place::Mapping,
                "neither `email` nor `record_id` is mapped: without one of them no user can be \
                 told from another. Map at least one",
            ));
        } else if options.require_email && !has("email") {
            found.push(finding(
                Place::Option("require_email".to_owned()),
                "is set, but `email` is not mapped, so every row would be rejected. Map `email` \
                 or remove the option",
            ));
        }
    }

    fn add_membership(&mut self, options: &Options) {
        if let Ok((_, key)) = resolve(&options.exit_attribute, options) {
            self.targets.push(Target {
                name: options.exit_attribute.clone(),
                rule: Rule::Membership,
                key,
                sources: Vec::new(),
            });
        }
    }

    fn index(&mut self) {
        for (index, target) in self.targets.iter().enumerate() {
            match target.rule {
                Rule::Email => self.email = Some(index),
                Rule::RecordId => self.record_id = Some(index),
                _ => {}
            }
            if let Key::Custom { group, .. } = &target.key {
                match self.groups.iter_mut().find(|(name, _)| name == group) {
                    Some((_, members)) => members.push(index),
                    None => self.groups.push((group.clone(), vec![index])),
                }
            }
        }
    }

    /// Whether a field of this name is sent.
    pub fn sends(&self, name: &str) -> bool {
        self.targets.iter().any(|target| target.name == name)
    }
}

fn resolve(name: &str, options: &Options) -> Result<(Rule, Key), String> {
    if let Some(field) = fields::by_name(name) {
        let key = match field.rule {
            Rule::Consent => options.accepts_marketing_key.clone(),
            _ => field.name.to_owned(),
        };
        return Ok((field.rule, Key::Plain(key)));
    }
    if let Some((group, name)) = fields::custom_parts(name) {
        let (group, name) = (group.to_owned(), name.to_owned());
        return Ok((Rule::Custom, Key::Custom { group, name }));
    }
    if name.starts_with("custom_attributes") {
        return Err(format!(
            "`{name}` does not have the form `{}`: a group and a name of letters, digits, `_` and \
             `-`, like `custom_attributes.resci.credits_available`",
            fields::CUSTOM_FORM
        ));
    }
    Err(match fields::nearest(name) {
        Some(nearest) => format!("there is no field `{name}`. Did you mean `{nearest}`?"),
        None => format!(
            "there is no field `{name}`. Map to a field of the catalogue, or to a custom attribute \
             as `{}`",
            fields::CUSTOM_FORM
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Column> {
        names
            .iter()
            .map(|name| Column {
                source: format!("src {name}"),
                destination: (*name).to_owned(),
            })
            .collect()
    }

    fn findings(names: &[&str], options: &Options) -> Vec<(Place, String)> {
        let found = Plan::new(&columns(names), options)
            .err()
            .unwrap_or_default();
        found
            .into_iter()
            .map(|finding| (finding.place, finding.message))
            .collect()
    }

    #[test]
    fn a_plan_keeps_the_order_of_the_mapping_and_groups_custom_attributes() {
        let options = Options {
            accepts_marketing_key: "opt_in".to_owned(),
            ..Options::default()
        };
        let names = [
            "full_name",
            "custom_attributes.resci.a",
            "email",
            "custom_attributes.crm.b",
            "full_name",
            "custom_attributes.resci.c",
            "accepts_marketing",
        ];
        let plan = Plan::new(&columns(&names), &options).unwrap();
        let headers: Vec<_> = plan.targets.iter().map(Target::header).collect();
        assert_eq!(
            headers,
            [
                "full_name",
                "custom_attributes.resci.a",
                "email",
                "custom_attributes.crm.b",
                "custom_attributes.resci.c",
                "opt_in"
            ]
        );
        assert_eq!(plan.targets[0].sources, [0, 4]);
        assert_eq!(
            plan.groups,
            [
                ("resci".to_owned(), vec![1, 4]),
                ("crm".to_owned(), vec![3])
            ]
        );
        assert_eq!(
            (plan.email, plan.record_id, plan.columns),
            (Some(2), None, 7)
        );
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once_and_in_its_place() {
        let names = [
            "Email",
            "city",
            "city",
            "custom_attributes.resci",
            "quux",
            "last_name",
        ];
        let found = findings(&names, &Options::default());
        let places: Vec<_> = found.iter().map(|(place, _)| place.clone()).collect();
        let expected = [0, 2, 3, 4, 5]
            .map(Place::Column)
            .into_iter()
            .chain([Place::Mapping]);
        assert_eq!(places, expected.collect::<Vec<_>>());
        assert!(
            found[0].1.contains("Did you mean `email`?"),
            "{}",
            found[0].1
        );
        assert!(
            found[1].1.contains("mapped already, from `src city`"),
            "{}",
            found[1].1
        );
        assert!(
            found[2].1.contains("custom_attributes.<group>.<name>"),
            "{}",
            found[2].1
        );
        assert!(!found[3].1.contains("Did you mean"), "{}", found[3].1);
        assert!(found[4].1.contains("`full_name`"), "{}", found[4].1);
    }

    #[test]
    fn misspelled_names_are_answered_with_the_nearest_one() {
        for (name, nearest) in [
            ("emial", "email"),
            ("E-Mail", "email"),
            ("recordId", "record_id"),
            ("adress1", "address1"),
            ("first_name", "full_name"),
            ("birth_day", "birthday"),
            ("accept_marketing", "accepts_marketing"),
            ("ZIP code", "zip"),
            ("created_at", "account_created_on"),
        ] {
            assert_eq!(fields::nearest(name), Some(nearest), "{name}");
        }
        for name in ["", "loyalty_points", "日本"] {
            assert_eq!(fields::nearest(name), None, "{name}");
        }
    }

    #[test]
    fn a_mapping_needs_an_identity() {
        let none = findings(&[], &Options::default());
        assert_eq!((none.len(), &none[0].0), (1, &Place::Mapping));
        let no_identity = findings(&["city"], &Options::default());
        assert_eq!((no_identity.len(), &no_identity[0].0), (1, &Place::Mapping));
        let strict = Options {
            require_email: true,
            ..Options::default()
        };
        let no_email = findings(&["record_id"], &strict);
        assert_eq!(no_email[0].0, Place::Option("require_email".to_owned()));
        assert!(findings(&["record_id"], &Options::default()).is_empty());
    }

    #[test]
    fn the_exit_attribute_is_added_once_and_can_not_be_mapped() {
        let options = Options {
            exit: Exit::Attribute,
            ..Options::default()
        };
        let plan = Plan::new(&columns(&["email"]), &options).unwrap();
        assert_eq!(plan.targets[1].rule, Rule::Membership);
        assert_eq!(
            plan.targets[1].header(),
            "custom_attributes.resci.in_audience"
        );
        let found = findings(&["email", "custom_attributes.resci.in_audience"], &options);
        assert_eq!(found[0].0, Place::Column(1));
    }
}
