//! What the author of a plugin tells the suite, where it cannot be guessed. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::plugin::types::{Request, Response};

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
    /// What becomes of exits.
    pub exits: Exits,
    /// What the destination does not have.
    pub without: Vec<Without>,
    /// The form of the staged file, where its bytes do not tell it.
    pub stage: Option<Table>,
}

/// What becomes of a member's exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exits {
    /// It is sent, like any other change.
    #[default]
    Sent,
    /// The destination is not told.
    Ignored,
}

/// What a destination may do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Without {
    /// Import jobs: `stage`, `submit` and `poll` are problems.
    Import,
    /// A credential: nobody is answered 401.
    Authentication,
}

/// A staged file of lines and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What stands between two fields: one ASCII character.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// What a quote within quotes is, if there are quotes at all.
    #[serde(default)]
    pub quotes: Quotes,
}

/// How a field holds what would end it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quotes {
    /// In quotes, each quote in it twice.
    #[default]
    Doubled,
    /// In quotes, each quote in it behind a backslash.
    Escaped,
    /// Not at all: there are no quotes, a line ends with the line and a field with the delimiter.
    None,
}

/// Answers of the destination when all is well.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// To `check`.
    pub checked: Told,
    /// To the request that starts an import job.
    pub submitted: Told,
    /// To the question about a job that is not done.
    pub pending: Told,
    /// To that about one that is done.
    pub succeeded: Told,
    /// To that about one that has failed.
    pub failed: Told,
    /// To changes.
    pub delivered: Told,
}

/// An answer, or several, of which the first that fits a request is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told(pub Vec<Answer>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToldVisitor)
    }
}

/// By hand, since of an untagged enum serde does not say what was wrong.
struct ToldVisitor;

impl<'de> Visitor<'de> for ToldVisitor {
    type Value = Told;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a table, or an array of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Told, A::Error> {
        let one = Answer::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Told(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Told, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Told)
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Only to requests of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only to requests of this path; a segment `*` stands for any one.
    #[serde(default)]
    pub path: Option<String>,
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

fn comma() -> char {
    ','
}

/// Why the author's words could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// The file is not what it should be.
    #[error(
        "{0}; expected `exits`, `without` and the tables [options], [fields], [stage] and [answers] of \
         docs/write-a-destination.md"
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
        let author: Self =
            toml::from_str(text).map_err(|error| AuthorError::Config(error.to_string()))?;
        match author.stage {
            Some(table) if !table.delimiter.is_ascii() => Err(AuthorError::Config(
                "stage.delimiter: expected one ASCII character, like \"\\t\"".to_owned(),
            )),
            _ => Ok(author),
        }
    }

    /// Whether the destination has none.
    pub(super) fn is_without(&self, what: Without) -> bool {
        self.without.contains(&what)
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
    /// Whether it is the answer to this request.
    pub(super) fn fits(&self, request: &Request) -> bool {
        let method = self.method.as_ref();
        let path = self.path.as_ref().is_none_or(|path| {
            let (wanted, asked) = (path.split('/'), request.path.split('/'));
            wanted.clone().count() == asked.clone().count()
                && wanted
                    .zip(asked)
                    .all(|(want, is)| want == "*" || want == is)
        });
        path && method.is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
    }

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
    fn the_author_says_what_cannot_be_guessed_and_nothing_else() {
        let text = "exits = \"ignored\"\nwithout = [\"import\"]\n[options]\nimport_type = \"x\"\n\
                    [fields]\nemail = \"m{n}@example.com\"\nage = 7\n[stage]\ndelimiter = \"\\t\"\n\
                    [answers.submitted]\nstatus = 201\nheaders = { Location = \"/j/1\" }\n\
                    [answers.pending]\nbody = '{\"state\": \"busy\"}'\n";
        let author = Author::parse(text).unwrap();
        assert_eq!(author.options["import_type"], "x");
        assert_eq!(author.fields["age"], 7);
        assert_eq!(author.exits, Exits::Ignored);
        assert!(author.is_without(Without::Import) && !author.is_without(Without::Authentication));
        let table = author.stage.unwrap();
        assert_eq!((table.delimiter, table.quotes), ('\t', Quotes::Doubled));
        let submitted = author.answers.submitted.0[0].response();
        assert_eq!(submitted.status, 201);
        assert_eq!(
            submitted.headers,
            [("location".to_owned(), "/j/1".to_owned())]
        );
        assert_eq!(author.answers.pending.0[0].status, 200);
        let author = author.with_options(r#"{"a": 1}"#).unwrap();
        assert_eq!(author.options["a"], 1);
        assert!(author.with_options("[]").is_err());
        for (text, says) in [
            ("[option]\n", "unknown field `option`"),
            ("[answers.delivered]\nstate = 1\n", "unknown field `state`"),
            (
                "[[answers.delivered]]\nstate = 1\n",
                "unknown field `state`",
            ),
            ("[stage]\ndelimiter = \"é\"\n", "one ASCII character"),
            ("exits = \"dropped\"\n", "unknown variant `dropped`"),
        ] {
            let error = Author::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn of_several_answers_the_first_that_fits_the_request_is_given() {
        let text = "[[answers.delivered]]\nmethod = \"get\"\npath = \"/lists/*\"\nbody = \"a\"\n\
                    [[answers.delivered]]\npath = \"/members\"\nbody = \"b\"\n";
        let answers = Author::parse(text).unwrap().answers.delivered.0;
        let request = |method: &str, path: &str| Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: vec![],
            headers: vec![],
            body: crate::plugin::types::Body::None,
            extra: vec![],
        };
        for (method, path, expected) in [
            ("GET", "/lists/7", Some("a")),
            ("POST", "/lists/7", None),
            ("GET", "/lists", None),
            ("GET", "/lists/7/8", None),
            ("PUT", "/members", Some("b")),
        ] {
            let asked = request(method, path);
            let found = answers.iter().find(|answer| answer.fits(&asked));
            let body = found.map(|answer| answer.body.as_str());
            assert_eq!(body, expected, "{method} {path}");
        }
    }
}
