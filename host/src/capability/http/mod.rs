//! The HTTP gate: what a component may send, and how it is sent.
//!
//! `policy` decides what may be asked for (by `path`, `route`, `headers`, and `target` where a guest
//! writes whole URLs) and `address` where it
//! may go; `credential` renders and `scrub` takes it out of what comes back: all of these are pure.
//! `gate` sends, through an `egress` whose `resolver` judges every address;
//! `account` is what the exports of one authorization share, `quota` how fairly. A `Recorder` takes the gate's place
//! where nothing may be sent, a `Scripted` destination where a plugin is tried out; `taping` writes down what a call asked and was
//! answered, and a `Tape` answers from that.

mod account;
mod address;
mod credential;
mod egress;
mod endpoint;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gate;
mod headers;
mod path;
mod policy;
mod policy_record;
mod quota;
mod recorder;
mod resolver;
mod route;
mod scripted;
mod scrub;
mod tape;
mod taping;
mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use futures_util::StreamExt;

pub use account::{Account, Renewal};
pub use address::{Addresses, Class, GrantError, Refused};
pub use credential::{Credential, CredentialError};
pub use egress::{Egress, Leads, Proxy, ProxyError};
pub use endpoint::{Endpoint, EndpointError};
pub use gate::{Gate, GateError};
pub use policy::{Denial, Explanation, ManifestRoute, Policy, declared_headers};
pub use policy_record::{PolicyRecord, PolicyRecordError};
pub use recorder::Recorder;
pub use resolver::Lookup;
pub use route::{Mismatch, RouteError, RouteGrant, RouteGrantError};
pub use scripted::{Asked, Script, Scripted};
pub use tape::{NOT_ON_THE_TAPE, Played, Tape};
pub(crate) use taping::TAPE_BYTES;
pub use taping::{Exchange, Taping};

use crate::plugin::types::{Failure, Request, Response};
use crate::usage::Usage;

/// A file that one call may send.
#[derive(Clone, Debug)]
pub struct StagedFile {
    /// The name that the component knows it by.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
    /// How many of its bytes were handed to the connection so far, for whoever watches.
    pub sent: Arc<AtomicU64>,
}

/// A call that makes requests: what it may send, within which bounds, and who pays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    /// The function of the contract that asks, if it is one that may make no requests.
    pub mute: Option<&'static str>,
    /// The one file that it may send.
    pub staged: Option<&'a StagedFile>,
    /// Limit `header_bytes`: path, query and headers of one request.
    pub header_bytes: usize,
    /// Limit `answer_mib`, in bytes: an answer's body.
    pub answer_bytes: usize,
    /// Limit `memory_mib`, in bytes: all answers that are handed over together, since the plugin has to
    /// take them into its memory.
    pub all_bytes: usize,
    /// What is left of that, where several are asked for.
    pub room: Option<&'a AtomicUsize>,
    /// Limit `requests_at_once`: requests of the call that are under way at a time.
    pub at_once: usize,
    /// Who pays.
    pub usage: &'a Usage,
    /// Where it is noted that the destination's address was refused, for whoever tells that apart.
    pub refused: Option<&'a AtomicBool>,
}

impl Asking<'_> {
    /// Where a request goes, if the function that asks may make one and the policy allows it.
    fn judge(&self, policy: &Policy, request: &Request) -> Result<url::Url, Denial> {
        self.speaks()?;
        policy.judge(request, self.staged)
    }

    /// Whether the function that asks may make requests.
    fn speaks(&self) -> Result<(), Denial> {
        self.mute.map_or(Ok(()), |call| Err(Denial::Function(call)))
    }

    /// Takes room for a part of an answer.
    fn take(&self, status: u16, bytes: usize) -> Result<(), Failure> {
        let taken = self.room.is_none_or(|room| {
            let left = |left: usize| left.checked_sub(bytes);
            room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
                .is_ok()
        });
        if taken {
            return Ok(());
        }
        self.usage.limit("memory_mib");
        let limit = self.all_bytes >> 20;
        Err(Failure::TooLarge(format!(
            "with this answer ({status}) those that were asked for together are larger than limit `memory_mib` = \
             {limit}, and could not be taken; ask for fewer at a time"
        )))
    }

    /// Why a request is denied for its size, if it is.
    fn too_large(&self, request: &Request) -> Option<String> {
        let pairs = request.headers.iter().chain(&request.query);
        let pairs = pairs.map(|(name, value)| name.len() + value.len());
        if request.path.len() + pairs.sum::<usize>() <= self.header_bytes {
            return None;
        }
        self.usage.limit("header_bytes");
        let limit = self.header_bytes;
        Some(format!(
            "its path, query and headers are larger than limit `header_bytes` = {limit}"
        ))
    }
}

/// Who answers a component's requests.
#[derive(Clone)]
pub enum Http {
    /// The destination, through the gate.
    Gate(Arc<Gate>),
    /// Nobody: requests are written down, and nothing is sent.
    Recorder(Arc<Recorder>),
    /// A script, judged by the same policy.
    Scripted(Arc<Scripted>),
    /// Another, and all of it is written down.
    Taping(Arc<Taping>),
    /// Nobody: answers are those of a tape, and nothing is sent.
    Tape(Arc<Tape>),
    /// Nobody: requests are denied.
    Nothing,
}

impl Http {
    /// The routes that are granted.
    pub(crate) fn routes(&self) -> Vec<String> {
        self.policy().map_or_else(Vec::new, Policy::granted)
    }

    /// What the exports of the authorization share.
    pub(crate) fn account(&self) -> Arc<Account> {
        match self {
            Self::Gate(gate) => gate.account(),
            Self::Taping(taping) => taping.inner().account(),
            Self::Recorder(_) | Self::Scripted(_) | Self::Tape(_) | Self::Nothing => {
                Arc::new(Account::new(Credential::none(), 1))
            }
        }
    }

    /// What requests are judged by; `None` where none is allowed.
    pub(crate) fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Gate(gate) => Some(gate.policy()),
            Self::Recorder(recorder) => Some(recorder.policy()),
            Self::Taping(taping) => taping.inner().policy(),
            Self::Tape(tape) => Some(tape.policy()),
            Self::Scripted(scripted) => Some(scripted.policy()),
            Self::Nothing => None,
        }
    }

    /// Sends one request.
    pub(crate) async fn send(
        &self,
        request: Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        match self {
            Self::Gate(gate) => gate.send(request, asking).await,
            Self::Recorder(recorder) => recorder.send(request, asking),
            Self::Scripted(scripted) => {
                let mut answers = scripted.send_all(vec![request], asking);
                answers.remove(0)
            }
            Self::Taping(taping) => taping.send(request, asking).await,
            Self::Tape(tape) => match tape.send_all(vec![request], asking).await.pop() {
                Some(answer) => answer,
                None => Err(Failure::Other("the tape gave no answer".to_owned())),
            },
            Self::Nothing => {
                let denial = asking.speaks().err().inspect(|denial| {
                    asking.usage.denied(denial.kind());
                });
                let reason = denial.map_or("nothing may be sent here".to_owned(), |denial| {
                    denial.to_string()
                });
                Err(Failure::Denied(reason))
            }
        }
    }

    /// Sends a request whose guest has written a whole URL instead of the path below the endpoint. What leads
    /// elsewhere keeps its URL for a path, is judged like any other, and denied.
    pub(crate) async fn send_to(
        &self,
        uri: &::http::Uri,
        request: Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        let below = match self.policy() {
            // Whose function may ask for nothing is told so, wherever it wants to.
            Some(policy) if asking.mute.is_none() => policy.endpoint().below(uri),
            _ => Ok(Default::default()),
        };
        let (path, query) = below.unwrap_or_else(|_| {
            // Without a host it would be a path, which nobody has judged.
            let whole = uri.scheme().and(uri.authority());
            (whole.map_or_else(String::new, |_| uri.to_string()), vec![])
        });
        let request = Request {
            path,
            query,
            ..request
        };
        self.send(request, asking).await
    }

    /// Sends several at once, as many at a time as the call may; answers in their order.
    pub(crate) async fn send_all(
        &self,
        requests: Vec<Request>,
        asking: &Asking<'_>,
    ) -> Vec<Result<Response, Failure>> {
        // Each answer has its bound; all of them are held until the last is there.
        let room = AtomicUsize::new(asking.all_bytes);
        let asking = &Asking {
            room: Some(&room),
            ..*asking
        };
        match self {
            Self::Scripted(scripted) => return scripted.send_all(requests, asking),
            Self::Taping(taping) => return taping.send_all(requests, asking).await,
            Self::Tape(tape) => return tape.send_all(requests, asking).await,
            Self::Gate(_) | Self::Recorder(_) | Self::Nothing => {}
        }
        futures_util::stream::iter(requests)
            .map(|request| self.send(request, asking))
            .buffered(asking.at_once)
            .collect()
            .await
    }
}
