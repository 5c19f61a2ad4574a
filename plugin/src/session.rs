//! What an instance works under, once it is opened.

use sluice_guest::{Batch, Problem, Rows, Settings};

use crate::mapping::Plan;
use crate::options::Options;

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Session {
    /// The operator's options.
    pub options: Options,
    /// What the mapping makes of a row.
    pub plan: Plan,
}

impl Session {
    /// Checks the settings: names everything that is wrong with options and mapping at once.
    pub fn open(settings: &Settings) -> Result<Self, Problem> {
        // The mapping is checked under the defaults if the options can not be read, so that the
        // operator does not mend one thing only to hear of the next.
        let (options, mut found) = match Options::parse(&settings.options) {
            Ok(options) => {
                let found = options.findings();
                (options, found)
            }
            Err(found) => (Options::default(), found),
        };
        match Plan::new(&settings.columns, &options) {
            Ok(plan) if found.is_empty() => return Ok(Self { options, plan }),
            Ok(_) => {}
            Err(more) => found.extend(more),
        }
        Err(Problem::InvalidSettings(found))
    }

    /// The rows of a batch, if it keeps what the contract promises about its lengths.
    pub fn rows<'a>(&self, batch: &'a Batch) -> Result<Rows<'a>, Problem> {
        let rows = batch.rows as usize;
        let cells = rows.checked_mul(self.plan.columns);
        if cells == Some(batch.ends.len())
            && cells == Some(batch.kinds.len())
            && rows == batch.changes.len()
        {
            Ok(Rows::new(batch, self.plan.columns))
        } else {
            Err(Problem::Fatal(
                "the batch does not have the shape of the mapping".to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::settings;
    use sluice_guest::Place;

    #[test]
    fn options_and_mapping_are_judged_together() {
        let problem = Session::open(&settings(&["emial"], r#"{"entity": "", "merge": true}"#));
        let Err(Problem::InvalidSettings(found)) = problem else {
            panic!("accepted")
        };
        let places: Vec<_> = found.into_iter().map(|finding| finding.place).collect();
        let option = |name: &str| Place::Option(name.to_owned());
        assert_eq!(
            places,
            [
                option("import_type"),
                option("entity"),
                Place::Column(0),
                Place::Mapping
            ]
        );
        let problem = Session::open(&settings(&["emial"], r#"{"merge": "perhaps"}"#));
        let Err(Problem::InvalidSettings(found)) = problem else {
            panic!("accepted")
        };
        let places: Vec<_> = found.into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, [option("merge"), Place::Column(0), Place::Mapping]);
    }

    #[test]
    fn good_settings_are_taken() {
        let session = Session::open(&settings(&["email"], r#"{"import_type": "x"}"#)).unwrap();
        assert_eq!(session.options.import_type, "x");
        assert!(session.plan.sends("email") && !session.plan.sends("account_created_on"));
    }
}
