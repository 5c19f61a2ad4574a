//! A destination that is a script, for trying a plugin out where nothing may be sent.

use std::sync::{Mutex, PoisonError};

use super::{Policy, StagedFile};
use crate::plugin::types::{Failure, Request, Response};

/// What the destination answers to a request; the number says how many were asked before it.
pub type Script = dyn Fn(&Request, usize) -> Result<Response, Failure> + Send + Sync;

/// Answers by a script after the policy has judged, as the gate does.
pub struct Scripted {
    policy: Policy,
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
}

/// One request, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Those that were handed over in one call share a number, and may arrive in any order.
    pub together: usize,
    /// What was asked for.
    pub request: Request,
    /// What the plugin got.
    pub answer: Result<Response, Failure>,
}

impl Scripted {
    /// A destination that answers by this script what this policy lets through.
    pub fn new(policy: Policy, script: Box<Script>) -> Self {
        Self {
            policy,
            script,
            asked: Mutex::default(),
        }
    }

    /// What was asked for so far, in order.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn send_all(
        &self,
        requests: Vec<Request>,
        staged: Option<&StagedFile>,
    ) -> Vec<Result<Response, Failure>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let together = asked.last().map_or(0, |last| last.together + 1);
        let mut answers = vec![];
        for request in requests {
            let answer = match self.policy.judge(&request, staged) {
                Ok(_) => (self.script)(&request, asked.len()),
                Err(denial) => Err(Failure::Denied(denial.to_string())),
            };
            answers.push(answer.clone());
            asked.push(Asked {
                together,
                request,
                answer,
            });
        }
        answers
    }
}
