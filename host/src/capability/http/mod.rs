//! The HTTP gate: what a component may send, and how it is sent.
//!
//! `policy` decides (pure), `credential` renders and scrubs (pure), `gate` sends, `account` is what the
//! exports of one authorization share. A `Recorder`
//! takes the gate's place where nothing may be sent.

mod account;
mod credential;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gate;
mod policy;
mod recorder;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use account::{Account, Renewal};
pub use credential::{Credential, CredentialError};
pub use gate::{Gate, GateError};
pub use policy::{Denial, Endpoint, EndpointError, Policy, RouteError};
pub use recorder::Recorder;

use crate::plugin::types::{Failure, Request, Response};

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

/// Who answers a component's requests.
#[derive(Clone)]
pub enum Http {
    /// The destination, through the gate.
    Gate(Arc<Gate>),
    /// Nobody: requests are written down, and nothing is sent.
    Recorder(Arc<Recorder>),
    /// Nobody: requests are denied.
    Nothing,
}

impl Http {
    /// What the exports of the authorization share.
    pub(crate) fn account(&self) -> Arc<Account> {
        match self {
            Self::Gate(gate) => gate.account(),
            Self::Recorder(_) | Self::Nothing => Arc::new(Account::new(Credential::none(), 1)),
        }
    }

    /// Sends one request.
    pub(crate) async fn send(
        &self,
        request: Request,
        staged: Option<&StagedFile>,
    ) -> Result<Response, Failure> {
        match self {
            Self::Gate(gate) => gate.send(request, staged).await,
            Self::Recorder(recorder) => recorder.send(request, staged),
            Self::Nothing => Err(Failure::Denied(
                "this function may not make requests".to_owned(),
            )),
        }
    }

    /// Sends several at once; answers in their order.
    pub(crate) async fn send_all(
        &self,
        requests: Vec<Request>,
        staged: Option<&StagedFile>,
    ) -> Vec<Result<Response, Failure>> {
        // The gate's quota bounds how many are really under way.
        futures_util::future::join_all(
            requests
                .into_iter()
                .map(|request| self.send(request, staged)),
        )
        .await
    }
}
