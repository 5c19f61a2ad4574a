//! The operator's options: what they are, their defaults, and whether they can work.
//!
//! The schema that the operator reads is `options.schema.json`; tests hold the two and the README
//! together.

use serde::Deserialize;
use serde_json::{Map, Value};
use sluice_guest::{Finding, Place};

/// JSON Schema (2020-12) of the options object.
pub const SCHEMA: &str = include_str!("options.schema.json");

/// Everything that can be set, as the README's table describes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "described once, in the schema and the README")]
pub struct Options {
    pub import_type: String,
    pub entity: String,
    pub import_path: String,
    pub job_path: String,
    pub job_id_pointers: Vec<String>,
    pub job_status_pointers: Vec<String>,
    pub job_errors_pointers: Vec<String>,
    pub status_succeeded: Vec<String>,
    pub status_failed: Vec<String>,
    pub users_path: String,
    pub users_method: Method,
    pub check_path: String,
    pub exit: Exit,
    pub exit_attribute: String,
    pub welcome_mail: bool,
    pub welcome_flag: String,
    pub merge: bool,
    pub merge_flag: String,
    pub flags_in: FlagsIn,
    pub accepts_marketing_key: String,
    pub require_email: bool,
    pub invalid_values: InvalidValues,
    pub nulls: Nulls,
    pub arrays: Arrays,
    pub array_separator: String,
    pub maps: Maps,
    pub date_formats: Vec<String>,
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[cfg_attr(test, derive(serde::Serialize))]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }
    };
}

choice!(
    /// How users are sent.
    Method {
        /// Creates or updates.
        Post = "POST",
        /// Creates or updates.
        Put = "PUT",
        /// Updates; an unknown user is refused.
        Patch = "PATCH",
    }
);
choice!(
    /// What a member's exit does.
    Exit {
        /// Sends the profile as it is.
        Resend = "resend",
        /// Sends the profile with `exit_attribute` false.
        Attribute = "attribute",
        /// Sends nothing.
        Ignore = "ignore",
    }
);
choice!(
    /// Where flags go.
    FlagsIn {
        /// A key of the user's JSON, a text field of the import form.
        Body = "body",
        /// The query of either request.
        Query = "query",
        /// Nowhere.
        None = "none",
    }
);
choice!(
    /// What an invalid value does.
    InvalidValues {
        /// Rejects its row.
        Reject = "reject",
        /// Is left out.
        Omit = "omit",
    }
);
choice!(
    /// What a null does in live delivery.
    Nulls {
        /// Leaves the user's value alone.
        Skip = "skip",
        /// Is sent.
        Clear = "clear",
    }
);
choice!(
    /// What an array becomes.
    Arrays {
        /// Its elements, joined.
        Join = "join",
        /// Its JSON text.
        Json = "json",
        /// Its first element.
        First = "first",
        /// A broken rule.
        Reject = "reject",
    }
);
choice!(
    /// What a map becomes.
    Maps {
        /// Its JSON text.
        Json = "json",
        /// A broken rule.
        Reject = "reject",
    }
);

impl Method {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            import_type: String::new(),
            entity: "users".to_owned(),
            import_path: "/import_jobs".to_owned(),
            job_path: "/import_jobs/{id}".to_owned(),
            job_id_pointers: list(&["/id", "/import_job/id", "/job_id"]),
            job_status_pointers: list(&[
                "/status",
                "/import_job/status",
                "/state",
                "/import_job/state",
            ]),
            job_errors_pointers: list(&[
                "/row_errors",
                "/import_job/row_errors",
                "/errors",
                "/import_job/errors",
            ]),
            status_succeeded: list(&[
                "succeeded",
                "success",
                "successful",
                "complete",
                "completed",
                "done",
                "finished",
                "processed",
            ]),
            status_failed: list(&[
                "failed",
                "failure",
                "error",
                "errored",
                "cancelled",
                "canceled",
                "aborted",
                "rejected",
            ]),
            users_path: "/users".to_owned(),
            users_method: Method::Post,
            check_path: "/users".to_owned(),
            exit: Exit::Resend,
            exit_attribute: "custom_attributes.resci.in_audience".to_owned(),
            welcome_mail: false,
            welcome_flag: "send_transactional_welcome".to_owned(),
            merge: false,
            merge_flag: "merge_before_upsert".to_owned(),
            flags_in: FlagsIn::Body,
            accepts_marketing_key: "accepts_marketing".to_owned(),
            require_email: false,
            invalid_values: InvalidValues::Reject,
            nulls: Nulls::Skip,
            arrays: Arrays::Join,
            array_separator: ", ".to_owned(),
            maps: Maps::Json,
            date_formats: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the options object. On failure one finding for each option that can not be read.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        let whole = |error| {
            vec![finding(
                Place::Whole,
                format!("the options can not be read: {error}"),
            )]
        };
        let object: Map<String, Value> = serde_json::from_str(text).map_err(whole)?;
        let error = match serde_json::from_value(Value::Object(object.clone())) {
            Ok(options) => return Ok(options),
            Err(error) => error,
        };
        // Each option once more on its own, so that every mistake is found and has a place.
        let found: Vec<_> = object
            .into_iter()
            .filter_map(|(name, value)| {
                let alone = Map::from_iter([(name.clone(), value)]);
                let error = serde_json::from_value::<Self>(Value::Object(alone)).err()?;
                Some(finding(
                    Place::Option(name),
                    format!("can not be read: {error}"),
                ))
            })
            .collect();
        Err(if found.is_empty() {
            whole(error)
        } else {
            found
        })
    }

    /// The flags of a request: name and value. `welcome` says whether the request may cause a
    /// welcome mail at all.
    pub fn flags(&self, welcome: bool) -> impl Iterator<Item = (&str, bool)> {
        let send = self.flags_in != FlagsIn::None;
        let merge = self.merge.then_some((self.merge_flag.as_str(), true));
        std::iter::once((self.welcome_flag.as_str(), welcome && self.welcome_mail))
            .chain(merge)
            .filter(move |_| send)
    }

    /// The query of a request: the flags, if that is where they go.
    pub fn query(&self, welcome: bool) -> Vec<(String, String)> {
        match self.flags_in {
            FlagsIn::Query => self
                .flags(welcome)
                .map(|(name, on)| (name.to_owned(), on.to_string()))
                .collect(),
            FlagsIn::Body | FlagsIn::None => Vec::new(),
        }
    }
}

/// Whether a list of status words holds this one, in any case.
pub fn is_word_of(words: &[String], word: &str) -> bool {
    let lower = word.trim().to_lowercase();
    words
        .iter()
        .any(|listed| listed.trim().to_lowercase() == lower)
}

/// One finding.
pub fn finding(place: Place, message: impl Into<String>) -> Finding {
    Finding {
        place,
        message: message.into(),
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
