//! Writes down what a call asks for and what it is answered, beside whoever answers: a tape.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;

use super::{Asking, Http};
use crate::plugin::types::{Body, Content, Failure, Request, Response};

/// Bytes of one call's tape. A batch of 1,000 rows with answers is a few megabytes; a tape is in
/// memory as long as the call lasts.
pub const TAPE_BYTES: usize = 16 << 20;

/// One request, and what came of it. A staged file stands in it by its id only.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What the component asked for.
    pub request: Request,
    /// What it was answered, as it saw it: without the credential. `None` if the call was over before.
    pub answer: Option<Result<Response, Failure>>,
}

/// Hands requests on, and writes all of it down in the order in which the component asked.
pub struct Taping {
    inner: Http,
    reel: Mutex<Reel>,
}

#[derive(Default)]
struct Reel {
    exchanges: Vec<Exchange>,
    bytes: usize,
    full: bool,
}

impl Taping {
    /// A tape of what `inner` answers.
    pub(crate) fn new(inner: Http) -> Arc<Self> {
        Arc::new(Self {
            inner,
            reel: Mutex::default(),
        })
    }

    /// What was written down, and about how many bytes that is; `None` if it was more than a tape holds.
    pub(crate) fn take(&self) -> Option<(Vec<Exchange>, usize)> {
        let reel = std::mem::take(&mut *self.reel());
        (!reel.full).then_some((reel.exchanges, reel.bytes))
    }

    pub(super) fn inner(&self) -> &Http {
        &self.inner
    }

    pub(super) fn send<'a>(
        &'a self,
        request: Request,
        asking: &'a Asking<'a>,
    ) -> BoxFuture<'a, Result<Response, Failure>> {
        let slot = self.begin(&request);
        Box::pin(self.hand_on(slot, request, asking))
    }

    /// As many at a time as the call may. Written down in the order of the requests, whichever is
    /// answered first.
    pub(super) fn send_all<'a>(
        &'a self,
        requests: Vec<Request>,
        asking: &'a Asking<'a>,
    ) -> BoxFuture<'a, Vec<Result<Response, Failure>>> {
        let slots: Vec<_> = requests.iter().map(|request| self.begin(request)).collect();
        let all = slots.into_iter().zip(requests);
        let answers = futures_util::stream::iter(all)
            .map(|(slot, request)| self.hand_on(slot, request, asking))
            .buffered(asking.at_once);
        Box::pin(answers.collect())
    }

    async fn hand_on(
        &self,
        slot: Option<usize>,
        request: Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        let answer = self.inner.send(request, asking).await;
        self.end(slot, &answer);
        answer
    }

    fn begin(&self, request: &Request) -> Option<usize> {
        let mut reel = self.reel();
        if !reel.room(request_bytes(request)) {
            return None;
        }
        reel.exchanges.push(Exchange {
            request: request.clone(),
            answer: None,
        });
        Some(reel.exchanges.len() - 1)
    }

    fn end(&self, slot: Option<usize>, answer: &Result<Response, Failure>) {
        let mut reel = self.reel();
        if let Some(slot) = slot
            && reel.room(answer_bytes(answer))
            && let Some(exchange) = reel.exchanges.get_mut(slot)
        {
            exchange.answer = Some(answer.clone());
        }
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    /// Makes room for so much; what was written is given up with the first that does not fit.
    fn room(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        if self.bytes > TAPE_BYTES && !self.full {
            *self = Self {
                full: true,
                ..Self::default()
            };
        }
        !self.full
    }
}

fn pairs_bytes(pairs: &[(String, String)]) -> usize {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| 48 + name.len() + value.len())
        .sum()
}

pub(super) fn request_bytes(request: &Request) -> usize {
    let body = match &request.body {
        Body::None => 0,
        Body::Bytes(bytes) => bytes.len(),
        Body::Multipart(parts) => parts
            .iter()
            .map(|part| {
                let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                128 + part.name.len()
                    + text(&part.file_name)
                    + text(&part.content_type)
                    + match &part.content {
                        Content::Bytes(bytes) => bytes.len(),
                        Content::Staged(id) => id.len(),
                    }
            })
            .sum(),
    };
    // What the structures themselves take, so that a flood of empty ones has an end.
    let pairs = [&request.query, &request.headers, &request.extra];
    512 + request.path.len() + pairs.map(|pairs| pairs_bytes(pairs)).iter().sum::<usize>() + body
}

pub(super) fn answer_bytes(answer: &Result<Response, Failure>) -> usize {
    match answer {
        Ok(response) => {
            pairs_bytes(&response.headers) + pairs_bytes(&response.extra) + response.body.len()
        }
        Err(
            Failure::Denied(why)
            | Failure::Unreachable(why)
            | Failure::Interrupted(why)
            | Failure::TooLarge(why)
            | Failure::Other(why),
        ) => why.len(),
    }
}
