//! Stands in for the gate where nothing may be sent: a preview.

use std::sync::{Mutex, PoisonError};

use super::{Asking, Policy};
use crate::plugin::types::{Failure, Request, Response};

/// Writes requests down after the policy has judged them, and answers that all is well.
pub struct Recorder {
    policy: Policy,
    requests: Mutex<Vec<(Request, Result<String, String>)>>,
}

impl Recorder {
    /// A recorder for requests under this policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            requests: Mutex::default(),
        }
    }

    /// What was asked for so far, each with the URL that it would have gone to or the reason why
    /// the gate would have denied it.
    pub fn take(&self) -> Vec<(Request, Result<String, String>)> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn send(&self, request: Request, asking: &Asking<'_>) -> Result<Response, Failure> {
        let judged = asking.judge(&self.policy, &request);
        let denied = judged.as_ref().err().map(|denial| {
            asking.usage.denied(denial.kind());
            Failure::Denied(denial.to_string())
        });
        let verdict = judged
            .map(|url| url.to_string())
            .map_err(|denial| denial.to_string());
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((request, verdict));
        match denied {
            Some(denied) => Err(denied),
            // As if the destination had agreed, so that the plugin shows all that it would ask for.
            None => Ok(Response {
                status: 200,
                headers: vec![],
                body: b"{}".to_vec(),
                extra: vec![],
            }),
        }
    }
}
