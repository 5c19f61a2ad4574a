//! What nobody outside the vendor knows, and what a test therefore sets.

use std::num::{NonZeroU32, NonZeroU64};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fields::Definition;

/// The whole behaviour of the account. Every value can be given at the start and changed while the
/// simulator runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Can be set, is never shown.
    #[serde(skip_serializing)]
    pub api_key: String,
    pub base_path: String,
    pub users_path: String,
    pub import_path: String,
    /// Where a job is read; `{id}` is the job id. Not set: the import path, a slash and the id.
    pub job_path: Option<String>,
    /// Names of import configurations that exist; empty means any.
    pub import_types: Vec<String>,
    /// Names of file parts that are understood; empty means any. Only `users` has an effect.
    pub entities: Vec<String>,
    pub status_words: StatusWords,
    pub create_code: u16,
    pub update_code: u16,
    pub submit_code: u16,
    /// A JSON pointer at which the submit answer carries the job id, or `location` for the header.
    pub job_id_at: String,
    /// The key under which a job's status is nested; not set: at the top.
    pub job_under: Option<String>,
    /// Simulated time until a job's processing begins.
    pub queue_delay_ms: u64,
    /// Simulated time that the processing takes; its rows take effect at the end.
    pub processing_delay_ms: u64,
    /// Every so many rows of an import are refused.
    pub row_error_every: Option<NonZeroU64>,
    /// How many row errors a job shows.
    pub row_errors_shown: usize,
    /// Columns and keys that the account does not know.
    pub unknown_fields: Policy,
    /// Custom attributes that were not defined.
    pub undefined_attributes: Policy,
    /// Columns without which a CSV file is refused.
    pub required_columns: Vec<String>,
    pub require_email: bool,
    /// Whether PATCH also finds a user by record id where the body has no email.
    pub patch_by_record_id: bool,
    /// Larger requests are answered 413.
    pub max_body_bytes: Option<u64>,
    pub empty_cell: Blank,
    pub json_null: Blank,
    pub merge_flag: String,
    pub welcome_flag: String,
    pub rate_limit: Option<RateLimit>,
    /// Custom attributes, which must be defined before values arrive.
    pub attributes: Vec<Definition>,
    /// How many requests the log keeps; the oldest go first.
    pub log_cap: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatusWords {
    pub queued: String,
    pub processing: String,
    pub succeeded: String,
    pub failed: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Left out and counted.
    Ignore,
    Reject,
}

/// What a value that is there but empty does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blank {
    Leave,
    Clear,
}

/// Requests beyond the limit within one second of simulated time are answered 429.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub per_second: NonZeroU32,
    /// Seconds for `Retry-After`; not set: no such header.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_key: "demo-key".into(),
            base_path: "/v3".into(),
            users_path: "/users".into(),
            import_path: "/import_jobs".into(),
            job_path: None,
            import_types: Vec::new(),
            entities: Vec::new(),
            status_words: StatusWords::default(),
            create_code: 201,
            update_code: 200,
            submit_code: 201,
            job_id_at: "/id".into(),
            job_under: None,
            queue_delay_ms: 0,
            processing_delay_ms: 0,
            row_error_every: None,
            row_errors_shown: 1_000,
            unknown_fields: Policy::Ignore,
            undefined_attributes: Policy::Ignore,
            required_columns: Vec::new(),
            require_email: false,
            patch_by_record_id: false,
            max_body_bytes: None,
            empty_cell: Blank::Leave,
            json_null: Blank::Clear,
            merge_flag: "merge_before_upsert".into(),
            welcome_flag: "send_transactional_welcome".into(),
            rate_limit: None,
            attributes: Vec::new(),
            log_cap: 100_000,
        }
    }
}

impl Default for StatusWords {
    fn default() -> Self {
        Self {
            queued: "queued".into(),
            processing: "processing".into(),
            succeeded: "succeeded".into(),
            failed: "failed".into(),
        }
    }
}

impl Config {
    /// This configuration with the given keys replaced. Objects are merged key by key; everything
    /// else, lists included, is replaced as a whole.
    pub fn patched(&self, patch: &Value) -> anyhow::Result<Self> {
        let mut whole = serde_json::to_value(self)?;
        // The key is not part of what is shown, so it has to be carried over by hand.
        whole["api_key"] = Value::String(self.api_key.clone());
        merge(&mut whole, patch);
        serde_json::from_value(whole).context("the configuration does not fit")
    }

    pub(crate) fn job_path(&self) -> String {
        match &self.job_path {
            Some(path) => path.clone(),
            None => format!("{}/{{id}}", self.import_path),
        }
    }
}

fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let config = Config {
            api_key: "kept".into(),
            ..Config::default()
        };
        let patched = config
            .patched(&json!({"submit_code": 202, "status_words": {"succeeded": "done"}}))
            .unwrap();
        assert_eq!(patched.submit_code, 202);
        assert_eq!(patched.status_words.succeeded, "done");
        assert_eq!(patched.status_words.queued, "queued");
        assert_eq!(patched.api_key, "kept");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(
            Config::default()
                .patched(&json!({"submit_cod": 202}))
                .is_err()
        );
    }

    #[test]
    fn the_key_is_never_shown() {
        let shown = serde_json::to_string(&Config::default()).unwrap();
        assert!(!shown.contains("demo-key"));
    }
}
