//! Sending what the policy allows: the only code of the host that opens a client socket.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Account, Asking, Credential, Egress, Policy, Refused, StagedFile};
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};
use crate::usage::Denied;
use futures_util::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::multipart::{Form, Part as FormPart};

/// Time to reach the destination: a name look-up, a handshake, TLS. Ten round trips of a bad line.
const CONNECT: Duration = Duration::from_secs(10);

/// Time for one request that uploads no file, answer included. An API that takes longer for one
/// user is down.
const ANSWER: Duration = Duration::from_secs(60);

/// Denials of one export that are logged in a minute; all are counted. A plugin that is denied what it
/// asks for may ask a thousand times in a call.
const DENIALS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Why a gate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct GateError(#[from] reqwest::Error);

/// Sends requests of one export, under the quota that its authorization's exports share.
pub struct Gate {
    client: reqwest::Client,
    policy: Policy,
    account: Arc<Account>,
    egress: Egress,
    denials: DefaultDirectRateLimiter,
}

impl Gate {
    /// A gate that adds the account's credential, keeps to its quota, and goes only where `egress` lets it.
    ///
    /// # Errors
    /// The system's certificates could not be read.
    pub fn new(policy: Policy, account: Arc<Account>, egress: Egress) -> Result<Self, GateError> {
        // Fails if a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT);
        Ok(Self {
            client: egress.client(client)?,
            policy,
            account,
            egress,
            denials: RateLimiter::direct(Quota::per_minute(DENIALS_PER_MINUTE)),
        })
    }

    pub(super) fn account(&self) -> Arc<Account> {
        self.account.clone()
    }

    pub(super) async fn send(
        &self,
        request: Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        let url = self
            .policy
            .judge(&request, asking.staged)
            .map_err(|denial| {
                Failure::Denied(self.deny(denial.kind(), &denial.to_string(), asking))
            })?;
        self.egress
            .judge_literal(&url)
            .map_err(|refused| self.not_reached(&refused, asking))?;
        let pairs = request.headers.iter().chain(&request.query);
        let pairs = pairs.map(|(name, value)| name.len() + value.len());
        if request.path.len() + pairs.sum::<usize>() > asking.header_bytes {
            asking.usage.limit("header_bytes");
            let limit = asking.header_bytes;
            let reason = format!(
                "its path, query and headers are larger than limit `header_bytes` = {limit}"
            );
            return Err(Failure::Denied(self.deny(Denied::Header, &reason, asking)));
        }
        let Ok(_permit) = self.account.quota.acquire().await else {
            return Err(Failure::Other("the host is stopping".to_owned()));
        };
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).map_err(|_| {
            asking.usage.denied(Denied::Other);
            Failure::Denied("not a method".to_owned())
        })?;
        let bytes = body_bytes(&request.body, asking.staged);
        let mut builder = self.client.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder = match request.body {
            Body::None => builder.timeout(ANSWER),
            Body::Bytes(bytes) => builder.timeout(ANSWER).body(bytes),
            Body::Multipart(parts) => builder.multipart(form(parts, asking.staged).await?),
        };
        // Last, when nothing that the guest said can follow.
        let mut outgoing = builder.build().map_err(|error| failure(&error))?;
        let credential = self.account.credential();
        for (name, value) in credential.headers() {
            outgoing.headers_mut().insert(name.clone(), value.clone());
        }
        asking.usage.request(bytes);
        let answer =
            self.client
                .execute(outgoing)
                .await
                .map_err(|error| match refused(&error) {
                    Some(refused) => self.not_reached(refused, asking),
                    None => failure(&error),
                })?;
        receive(answer, &credential, asking).await
    }

    /// Counts a denial, and tells the operator unless many were told of; answers the reason.
    fn deny(&self, why: Denied, reason: &str, asking: &Asking<'_>) -> String {
        asking.usage.denied(why);
        if self.denials.check().is_ok() {
            tracing::warn!(reason, "request of a plugin denied");
        }
        reason.to_owned()
    }

    /// No connection, for the class of the address. A name may lead elsewhere the next time, so it is
    /// nothing that the plugin must give up on.
    fn not_reached(&self, refused: &Refused, asking: &Asking<'_>) -> Failure {
        Failure::Unreachable(self.deny(Denied::Address, &refused.to_string(), asking))
    }
}

/// What a body's parts hold; what frames them is left out.
fn body_bytes(body: &Body, staged: Option<&StagedFile>) -> u64 {
    let part = |part: &Part| match &part.content {
        Content::Bytes(bytes) => bytes.len() as u64,
        Content::Staged(_) => staged.map_or(0, |file| file.bytes),
    };
    match body {
        Body::None => 0,
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::Multipart(parts) => parts.iter().map(part).sum(),
    }
}

async fn receive(
    answer: reqwest::Response,
    credential: &Credential,
    asking: &Asking<'_>,
) -> Result<Response, Failure> {
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?)))
        .map(|(name, value)| (name, credential.scrub_text(value.to_owned())))
        .collect();
    let mut body = Vec::new();
    let mut stream = answer.bytes_stream();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| failure(&error))?;
        asking.usage.received(bytes.len() as u64);
        if body.len() + bytes.len() > asking.answer_bytes {
            asking.usage.limit("answer_mib");
            let limit = asking.answer_bytes >> 20;
            let reason =
                format!("the answer ({status}) is larger than limit `answer_mib` = {limit}");
            return Err(Failure::TooLarge(reason));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(Response {
        status,
        headers,
        body: credential.scrub(body),
        extra: vec![],
    })
}

/// A form whose parts have known lengths, so that the whole has a `Content-Length`. A staged file
/// is read as it is sent.
async fn form(parts: Vec<Part>, staged: Option<&StagedFile>) -> Result<Form, Failure> {
    let mut form = Form::new();
    for part in parts {
        let mut built = match (part.content, staged) {
            (Content::Bytes(bytes), _) => FormPart::bytes(bytes),
            (Content::Staged(_), Some(file)) => stream(file).await?,
            (Content::Staged(_), None) => {
                return Err(Failure::Denied("this call was given no file".to_owned()));
            }
        };
        if let Some(name) = part.file_name {
            built = built.file_name(name);
        }
        if let Some(content_type) = part.content_type {
            built = built
                .mime_str(&content_type)
                .map_err(|_| Failure::Denied("a part's content type is none".to_owned()))?;
        }
        form = form.part(part.name, built);
    }
    Ok(form)
}

async fn stream(file: &StagedFile) -> Result<FormPart, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::Other(format!("the staged file cannot be read: {error}"));
    let handle = tokio::fs::File::open(&file.path)
        .await
        .map_err(unreadable)?;
    let length = handle.metadata().await.map_err(unreadable)?.len();
    if length != file.bytes {
        return Err(Failure::Other(format!(
            "the staged file has {length} bytes; {} were staged",
            file.bytes
        )));
    }
    let sent = file.sent.clone();
    sent.store(0, Ordering::Relaxed);
    let bytes =
        tokio_util::io::ReaderStream::with_capacity(handle, 256 << 10).inspect(move |read| {
            if let Ok(bytes) = read {
                sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        });
    Ok(FormPart::stream_with_length(
        reqwest::Body::wrap_stream(bytes),
        length,
    ))
}

/// Why the resolver gave no address, if it was for their class.
fn refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// Says what failed without the URL, whose path may name a member.
fn failure(error: &reqwest::Error) -> Failure {
    let mut reason = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason = error.to_string();
        cause = error.source();
    }
    if error.is_connect() {
        Failure::Unreachable(if reason.is_empty() {
            "no connection".to_owned()
        } else {
            reason
        })
    } else if error.is_timeout() {
        Failure::Interrupted(format!("no answer within {} s", ANSWER.as_secs()))
    } else if error.is_builder() {
        Failure::Denied("the request cannot be built".to_owned())
    } else {
        Failure::Interrupted(if reason.is_empty() {
            "the connection ended".to_owned()
        } else {
            reason
        })
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
