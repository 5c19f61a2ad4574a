//! What the author of a plugin tells the suite, where it cannot be guessed. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::plugin::types::Response;

/// The author's file, `conformance.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Author {
    /// The plugin's options, in the place of its defaults.
    pub options: Map<String, Value>,
    /// Destination fields to map, each with a value that is fine; `{n}` stands for the row's number.
    pub fields: Map<String, Value>,
    /// What the destination answers.
    pub answers: Answers,
}

/// Answers of the destination when all is well.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// To the request that starts an import job.
    pub submitted: Option<Answer>,
    /// To the question about a job that is not done.
    pub pending: Option<Answer>,
    /// To that about one that is done.
    pub succeeded: Option<Answer>,
    /// To that about one that has failed.
    pub failed: Option<Answer>,
    /// To changes.
    pub delivered: Option<Answer>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status; 200 if none is given.
    #[serde(default = "success")]
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

fn success() -> u16 {
    200
}

/// Why the author's words could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// The file is not what it should be.
    #[error(
        "{0}; expected the tables [options], [fields] and [answers] of docs/write-a-destination.md"
    )]
    Config(String),
    /// The options are no JSON object.
    #[error("--options: expected a JSON object like '{{\"key\": \"value\"}}': {0}")]
    Options(String),
}

impl Author {
    /// Reads the author's file.
    ///
    /// # Errors
    /// It is not what it should be.
    pub fn parse(text: &str) -> Result<Self, AuthorError> {
        toml::from_str(text).map_err(|error| AuthorError::Config(error.to_string()))
    }

    /// The same, with these options in JSON instead.
    ///
    /// # Errors
    /// They are no JSON object.
    pub fn with_options(self, json: &str) -> Result<Self, AuthorError> {
        let options =
            serde_json::from_str(json).map_err(|error| AuthorError::Options(error.to_string()))?;
        Ok(Self { options, ..self })
    }
}

impl Answer {
    pub(super) fn response(&self) -> Response {
        let headers = self.headers.iter();
        Response {
            status: self.status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            body: self.body.clone().into_bytes(),
            extra: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_says_options_fields_and_answers_and_nothing_else() {
        let text = "[options]\nimport_type = \"x\"\n[fields]\nemail = \"m{n}@example.com\"\n\
                    age = 7\n[answers.submitted]\nstatus = 201\nheaders = { Location = \"/j/1\" }\n\
                    [answers.pending]\nbody = '{\"state\": \"busy\"}'\n";
        let author = Author::parse(text).unwrap();
        assert_eq!(author.options["import_type"], "x");
        assert_eq!(author.fields["age"], 7);
        let submitted = author.answers.submitted.clone().unwrap().response();
        assert_eq!(submitted.status, 201);
        assert_eq!(
            submitted.headers,
            [("location".to_owned(), "/j/1".to_owned())]
        );
        assert_eq!(author.answers.pending.clone().unwrap().status, 200);
        assert!(Author::parse("[option]\n").is_err());
        let author = author.with_options(r#"{"a": 1}"#).unwrap();
        assert_eq!(author.options["a"], 1);
        assert!(author.with_options("[]").is_err());
    }
}
