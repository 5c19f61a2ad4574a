//! Stands in for the gate where a call is replayed: answers come from a tape, and nothing is sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::taping::{TAPE_BYTES, answer_bytes, request_bytes};
use super::{Asking, Exchange, Policy};
use crate::plugin::types::{Body, Failure, Request, Response};

/// What a request is answered that stands on no tape.
pub const NOT_ON_THE_TAPE: &str = "not on the tape";

/// Answers requests with what was written down. A request gets the answer of the first exchange that
/// is not used up and asks for the same: method, path, query and body; if there is none, of the first
/// with its method and path. One that the tape does not know is `unreachable`; one that the policy
/// does not allow is denied, as the gate would.
pub struct Tape {
    policy: Policy,
    /// Whether a request may get the answer of another path, where no better one is left.
    any_path: bool,
    reel: Mutex<Reel>,
    /// Requests that wait for an answer that never was.
    waiting: AtomicUsize,
    ended: Notify,
}

/// One of them, until it is given up.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Reel {
    recorded: Vec<(Exchange, bool)>,
    played: Vec<Played>,
    /// About what these take in memory.
    bytes: usize,
    /// By method and path, so that a large batch does not look through all for each.
    places: HashMap<(String, String), Vec<usize>>,
}

/// A request that was made, and what the tape had for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// What the component asked for.
    pub request: Request,
    /// The exchange whose answer it got, by its place on the tape.
    pub of: Option<usize>,
    /// What it was answered; `None` where the tape ends with a request that never was.
    pub answer: Option<Result<Response, Failure>>,
}

impl Tape {
    /// A tape, judged by this policy.
    pub(crate) fn new(policy: Policy, recorded: Vec<Exchange>, any_path: bool) -> Arc<Self> {
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for (index, Exchange { request, .. }) in recorded.iter().enumerate() {
            places.entry(place(request)).or_default().push(index);
        }
        Arc::new(Self {
            policy,
            any_path,
            reel: Mutex::new(Reel {
                recorded: recorded.into_iter().map(|one| (one, false)).collect(),
                played: vec![],
                bytes: 0,
                places,
            }),
            waiting: AtomicUsize::new(0),
            ended: Notify::new(),
        })
    }

    /// What was asked for, in order, and the exchanges whose answer nobody got.
    pub(crate) fn take(&self) -> (Vec<Played>, Vec<usize>) {
        let mut reel = self.reel();
        let played = std::mem::take(&mut reel.played);
        let unused = reel.recorded.iter().enumerate();
        let left = unused
            .filter(|(_, (_, used))| !used)
            .map(|(index, _)| index);
        (played, left.collect())
    }

    /// Returns when a request waits that was never answered, and the tape has nothing else left: from here on it
    /// knows nothing.
    pub(crate) async fn ended(&self) {
        while !self.is_over() {
            self.ended.notified().await;
        }
    }

    /// Whether it is so now: a component may do without an answer, and go on.
    pub(crate) fn is_over(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
            && self.reel().recorded.iter().all(|(_, used)| *used)
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) async fn send_all(
        &self,
        requests: Vec<Request>,
        asking: &Asking<'_>,
    ) -> Vec<Result<Response, Failure>> {
        let answers: Option<Vec<_>> = self.play(requests, asking).into_iter().collect();
        let Some(answers) = answers else {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waits = Waits(&self.waiting);
            self.ended.notify_one();
            // Whoever replays gives the call up, or the component does without it.
            return std::future::pending().await;
        };
        // Another request may wait, and this one was the last besides.
        self.ended.notify_one();
        answers
    }

    fn play(
        &self,
        requests: Vec<Request>,
        asking: &Asking<'_>,
    ) -> Vec<Option<Result<Response, Failure>>> {
        let mut reel = self.reel();
        let denials: Vec<_> = requests
            .iter()
            .map(|request| self.denied(request, asking))
            .collect();
        // First those that ask for the very same, so that none is given away to another.
        let mut found: Vec<_> = requests.iter().map(|request| reel.same(request)).collect();
        for ((request, denial), found) in requests.iter().zip(&denials).zip(&mut found) {
            if found.is_none() && denial.is_none() {
                *found = reel.at_its_place(request);
                if found.is_none() && self.any_path {
                    *found = reel.of_its_method(request);
                }
            }
        }
        let all = requests.into_iter().zip(denials).zip(found);
        let played = all.map(|((request, denial), of)| {
            let answer = match (denial, of) {
                (Some(denial), _) => Some(Err(Failure::Denied(denial))),
                (None, Some(index)) => reel.recorded[index].0.answer.clone(),
                (None, None) => Some(Err(Failure::Unreachable(NOT_ON_THE_TAPE.to_owned()))),
            };
            Played {
                request,
                of,
                answer,
            }
        });
        let played: Vec<_> = played.collect();
        let answers = played.iter().map(|played| played.answer.clone()).collect();
        for one in played {
            reel.keep(one);
        }
        answers
    }

    fn denied(&self, request: &Request, asking: &Asking<'_>) -> Option<String> {
        let judged = asking.judge(&self.policy, request);
        let denial = judged.err().map(|denial| {
            asking.usage.denied(denial.kind());
            denial.to_string()
        });
        denial.or_else(|| asking.too_large(request))
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    /// Keeps as much as is taped of a call. The first that is too much is kept without what is in it, as one that
    /// the tape does not know; of those behind it nothing is.
    fn keep(&mut self, mut one: Played) {
        if self.bytes > TAPE_BYTES {
            return;
        }
        self.bytes += request_bytes(&one.request);
        self.bytes += one.answer.as_ref().map_or(0, answer_bytes);
        if self.bytes > TAPE_BYTES {
            one = Played {
                request: Request {
                    query: vec![],
                    headers: vec![],
                    body: Body::None,
                    extra: vec![],
                    ..one.request
                },
                of: None,
                answer: Some(Err(Failure::Unreachable(NOT_ON_THE_TAPE.to_owned()))),
            };
        }
        self.played.push(one);
    }

    fn first(&mut self, fits: impl Fn(&Exchange) -> bool, among: Vec<usize>) -> Option<usize> {
        let index = among.into_iter().find(|&index| {
            let (exchange, used) = &self.recorded[index];
            !used && fits(exchange)
        })?;
        self.recorded[index].1 = true;
        Some(index)
    }

    fn place_of(&self, request: &Request) -> Vec<usize> {
        self.places
            .get(&place(request))
            .cloned()
            .unwrap_or_default()
    }

    fn same(&mut self, request: &Request) -> Option<usize> {
        let fits =
            |one: &Exchange| one.request.query == request.query && one.request.body == request.body;
        self.first(fits, self.place_of(request))
    }

    fn at_its_place(&mut self, request: &Request) -> Option<usize> {
        self.first(was_allowed, self.place_of(request))
    }

    fn of_its_method(&mut self, request: &Request) -> Option<usize> {
        let fits = |one: &Exchange| one.request.method == request.method && was_allowed(one);
        self.first(fits, (0..self.recorded.len()).collect())
    }
}

fn place(request: &Request) -> (String, String) {
    (request.method.clone(), request.path.clone())
}

/// A denial is about one request, and no answer to another.
fn was_allowed(exchange: &Exchange) -> bool {
    !matches!(exchange.answer, Some(Err(Failure::Denied(_))))
}

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
