//! A policy as it is written down beside a tape, so that a replay is judged by the same. Pure.

use serde::{Deserialize, Serialize};

use super::policy::{Policy, Rule};
use super::route::RouteGrant;
use super::{Endpoint, EndpointError, RouteGrantError};

/// What a policy is made of, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Where requests go.
    pub endpoint: String,
    /// The manifest's routes with the export's options filled in, like `GET /jobs/*`.
    pub routes: Vec<String>,
    /// What the operator grants of them; nothing if all are granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Vec<String>>,
    /// The names of the headers that the credential goes into.
    pub credential_headers: Vec<String>,
    /// Whether the plugin may set cookies.
    #[serde(default)]
    pub cookie: bool,
}

/// Why a policy that was written down is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRecordError {
    /// Its endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// One of its routes or grants.
    #[error(transparent)]
    Route(#[from] RouteGrantError),
}

impl Policy {
    /// Writes it down. The routes' purposes are left out: nothing is judged by them.
    pub fn record(&self) -> PolicyRecord {
        PolicyRecord {
            endpoint: self.endpoint.to_string(),
            routes: self.routes().collect(),
            granted: self
                .narrowed
                .as_ref()
                .map(|grants| grants.iter().map(ToString::to_string).collect()),
            credential_headers: self.credential_headers.clone(),
            cookie: self.cookie,
        }
    }
}

impl TryFrom<&PolicyRecord> for Policy {
    type Error = PolicyRecordError;

    fn try_from(record: &PolicyRecord) -> Result<Self, PolicyRecordError> {
        let rule = |written: &String| {
            let RouteGrant(pattern) = RouteGrant::parse(written)?;
            Ok::<_, PolicyRecordError>(Rule {
                pattern,
                written: written.clone(),
                purpose: String::new(),
            })
        };
        let granted = record.granted.as_ref().map(|granted| {
            let grants = granted.iter().map(|grant| RouteGrant::parse(grant));
            grants.collect::<Result<Vec<_>, _>>()
        });
        Ok(Self {
            // Whether plain http was granted was asked when it was written.
            endpoint: Endpoint::parse(&record.endpoint, true)?,
            rules: record.routes.iter().map(rule).collect::<Result<_, _>>()?,
            narrowed: granted.transpose()?,
            credential_headers: record.credential_headers.clone(),
            cookie: record.cookie,
        })
    }
}
