//! A destination that is a script, for trying a plugin out where nothing may be sent.

use std::sync::{Mutex, PoisonError};

use super::{Asking, Policy};
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

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was asked for so far, in order.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn send_all(
        &self,
        requests: Vec<Request>,
        asking: &Asking<'_>,
    ) -> Vec<Result<Response, Failure>> {
        let denied = |denial: super::Denial| {
            asking.usage.denied(denial.kind());
            Err(Failure::Denied(denial.to_string()))
        };
        // What a function asked that may ask nothing is none of the call's requests.
        if let Err(denial) = asking.speaks() {
            return requests.iter().map(|_| denied(denial.clone())).collect();
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let together = asked.last().map_or(0, |last| last.together + 1);
        let mut answers = vec![];
        for request in requests {
            let answer = match self.policy.judge(&request, asking.staged) {
                Ok(_) => (self.script)(&request, asked.len()),
                Err(denial) => denied(denial),
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

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::*;
    use crate::plugin::types::{Body, Limits, Manifest, Route};
    use crate::usage::Usage;

    fn policy() -> Policy {
        let manifest = Manifest {
            name: String::new(),
            version: String::new(),
            description: String::new(),
            auth_methods: vec![],
            endpoint: String::new(),
            routes: vec![Route {
                method: "POST".to_owned(),
                path: "/users".to_owned(),
                purpose: String::new(),
            }],
            fields: vec![],
            custom_fields: None,
            options_schema: "{}".to_owned(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 0,
                deliver_rows: 0,
            },
            extra: vec![],
        };
        let endpoint = Endpoint::parse("https://api.test", false).unwrap();
        Policy::new(endpoint, &manifest, &serde_json::Map::new()).unwrap()
    }

    fn asking(usage: &Usage) -> Asking<'_> {
        Asking {
            mute: None,
            staged: None,
            header_bytes: 1 << 10,
            answer_bytes: 1 << 10,
            all_bytes: 1 << 10,
            room: None,
            at_once: 1,
            usage,
            refused: None,
        }
    }

    #[test]
    fn it_answers_what_the_policy_lets_through_and_keeps_what_was_asked_together() {
        let answer = |_: &Request, number: usize| Err(Failure::Other(format!("{number} before")));
        let scripted = Scripted::new(policy(), Box::new(answer));
        let request = |path: &str| Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: vec![],
            headers: vec![],
            body: Body::None,
            extra: vec![],
        };
        let usage = Usage::default();
        let asking = asking(&usage);
        scripted.send_all(vec![request("/users"), request("/admin")], &asking);
        let early = Asking {
            mute: Some("stage"),
            ..asking
        };
        // Denied, counted, and none of what the destination was asked.
        let denied = scripted.send_all(vec![request("/users"); 2], &early);
        assert_eq!(denied.len(), 2);
        for answer in denied {
            let Err(Failure::Denied(reason)) = answer else {
                panic!("{answer:?}");
            };
            assert!(
                reason.starts_with("`stage` may make no requests"),
                "{reason}"
            );
        }
        assert_eq!(usage.take().used.denied_to_functions(), 2);
        scripted.send_all(vec![request("/users")], &asking);
        let asked = scripted.take();
        let together: Vec<_> = asked.iter().map(|asked| asked.together).collect();
        assert_eq!(together, [0, 0, 1]);
        assert_eq!(asked[0].answer, Err(Failure::Other("0 before".to_owned())));
        assert!(matches!(asked[1].answer, Err(Failure::Denied(_))));
        assert_eq!(asked[2].answer, Err(Failure::Other("2 before".to_owned())));
        assert!(scripted.take().is_empty());
    }
}
