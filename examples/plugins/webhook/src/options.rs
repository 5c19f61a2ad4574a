//! The operator's options. The host has checked them against the schema; a program that embeds it
//! may have not.

use serde_json::{Map, Value};
use sluice_guest::{Finding, Place};

/// What the manifest shows, and the host judges by.
pub const SCHEMA: &str = include_str!("options.schema.json");

/// What the operator has set, or the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the file is posted.
    pub import_path: String,
    /// Where the import is asked about, with `{id}` in it.
    pub job_path: String,
    /// Where changes are posted.
    pub members_path: String,
    /// What `check` reads.
    pub check_path: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            import_path: "/imports".to_owned(),
            job_path: "/imports/{id}".to_owned(),
            members_path: "/members".to_owned(),
            check_path: "/check".to_owned(),
        }
    }
}

impl Options {
    /// Reads the options, or finds everything that is wrong with them.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        let Ok(given) = serde_json::from_str::<Map<String, Value>>(text) else {
            return Err(vec![Finding {
                place: Place::Whole,
                message: "the options are no JSON object".to_owned(),
            }]);
        };
        let mut options = Self::default();
        let mut found = vec![];
        for (name, value) in &given {
            let slot = match name.as_str() {
                "import_path" => &mut options.import_path,
                "job_path" => &mut options.job_path,
                "members_path" => &mut options.members_path,
                "check_path" => &mut options.check_path,
                _ => {
                    found.push(finding(name, "there is no such option"));
                    continue;
                }
            };
            match value.as_str() {
                Some(path) if !path.starts_with('/') => {
                    found.push(finding(name, "a path begins with `/`"));
                }
                Some(path) if name == "job_path" && !path.contains("{id}") => {
                    found.push(finding(name, "the path must hold `{id}`, the import's id"));
                }
                Some(path) => path.clone_into(slot),
                None => found.push(finding(name, "a path is a text")),
            }
        }
        if found.is_empty() {
            Ok(options)
        } else {
            Err(found)
        }
    }
}

fn finding(option: &str, message: &str) -> Finding {
    Finding {
        place: Place::Option(option.to_owned()),
        message: format!("option `{option}`: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let text =
            r#"{"job_path": "/jobs", "members_path": "users", "check_path": 1, "retries": 2}"#;
        let found = Options::parse(text).unwrap_err();
        let places: Vec<_> = found.into_iter().map(|finding| finding.place).collect();
        let option = |name: &str| Place::Option(name.to_owned());
        for name in ["job_path", "members_path", "check_path", "retries"] {
            assert!(places.contains(&option(name)), "{name}: {places:?}");
        }
        assert!(Options::parse("[]").is_err());
    }

    #[test]
    fn the_schema_the_code_and_the_readme_know_the_same_options() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let readme = include_str!("../README.md");
        let properties = schema["properties"].as_object().unwrap();
        for (name, option) in properties {
            let default = option["default"].as_str().unwrap();
            let row = format!("| `{name}` | `\"{default}\"` |");
            assert!(readme.contains(&row), "README has no row {row}");
            // The default of the schema is that of the code.
            let given = serde_json::json!({ name: default }).to_string();
            assert_eq!(Options::parse(&given), Ok(Options::default()), "{name}");
        }
        assert_eq!(Options::parse("{}"), Ok(Options::default()));
    }
}
