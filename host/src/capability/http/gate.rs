//! Sending what the policy allows: the only code of the host that opens a client socket.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::policy::Place;
use super::quota::Ticket;
use super::{Account, Asking, Credential, Egress, Policy, Refused, StagedFile};
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};
use crate::usage::Denied;
use futures_util::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use reqwest::multipart::{Form, Part as FormPart};

/// Time to reach the destination: a name look-up, a handshake, TLS. Ten round trips of a bad line.
const CONNECT: Duration = Duration::from_secs(10);

/// Time for one request from the first byte to the answer's last, beside what its own body takes. An
/// API that takes longer for one user is down.
const ANSWER: Duration = Duration::from_secs(60);

/// Bytes a second that a body takes at the slowest: a gigabyte an hour, which is the time that an
/// upload's call has.
const SLOWEST: u64 = 300_000;

/// Lines a minute about requests that are denied. All are counted; more lines tell nobody more.
const DENIALS: NonZeroU32 = NonZeroU32::new(20).unwrap();

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
    /// Its place among those that wait for the quota.
    ticket: Ticket,
    answer: Duration,
    denials: DefaultDirectRateLimiter,
    /// Whose requests it sends, as its lines name it.
    export: String,
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
            ticket: account.quota.ticket(),
            answer: ANSWER,
            denials: RateLimiter::direct(Quota::per_minute(DENIALS)),
            policy,
            account,
            egress,
            export: String::new(),
        })
    }

    /// The same, for this export.
    pub fn of(self, export: String) -> Self {
        Self { export, ..self }
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn account(&self) -> Arc<Account> {
        self.account.clone()
    }

    pub(super) async fn send(
        &self,
        request: Request,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        let denied = |why, reason: &dyn std::fmt::Display| {
            let place = self.policy.place(&request.method, &request.path);
            self.denied(&place, why, reason, asking)
        };
        let url = asking
            .judge(&self.policy, &request)
            .map_err(|denial| Failure::Denied(denied(denial.kind(), &denial)))?;
        self.egress
            .judge_literal(&url)
            .map_err(|refused| Failure::Unreachable(denied(Denied::Address, &refused)))?;
        if let Some(reason) = asking.too_large(&request) {
            return Err(Failure::Denied(denied(Denied::Header, &reason)));
        }
        let _permit = self.account.quota.acquire(self.ticket).await;
        let credential = self.account.credential();
        let bytes = body_bytes(&request.body, asking.staged);
        // Over everything: a body that comes byte by byte is no answer either.
        let deadline = self.answer + Duration::from_secs(bytes / SLOWEST);
        let exchange = self.exchange(request, url, bytes, &credential, asking);
        let answer = tokio::time::timeout(deadline, exchange)
            .await
            .unwrap_or_else(|_| {
                let seconds = deadline.as_secs();
                Err(Failure::Interrupted(format!(
                    "no whole answer within {seconds} s"
                )))
            });
        answer.map_err(|failure| scrubbed(failure, &credential))
    }

    async fn exchange(
        &self,
        request: Request,
        url: url::Url,
        bytes: u64,
        credential: &Credential,
        asking: &Asking<'_>,
    ) -> Result<Response, Failure> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Failure::Denied("not a method".to_owned()))?;
        let place = self.policy.place(&request.method, &request.path);
        let mut builder = self.client.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder = match request.body {
            Body::None => builder,
            Body::Bytes(bytes) => builder.body(bytes),
            Body::Multipart(parts) => builder.multipart(form(parts, asking.staged).await?),
        };
        let mut outgoing = builder.build().map_err(|error| failure(&error))?;
        let headers = outgoing.headers_mut();
        // In compressed text nobody would find the credential.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // Last, when nothing that the guest said can follow.
        headers.extend(credential.headers());
        asking.usage.request(bytes);
        let answer =
            self.client
                .execute(outgoing)
                .await
                .map_err(|error| match refused(&error) {
                    // A name may lead elsewhere the next time: nothing to give up on.
                    Some(refused) => {
                        Failure::Unreachable(self.denied(&place, Denied::Address, refused, asking))
                    }
                    None => failure(&error),
                })?;
        receive(answer, credential, asking).await
    }

    /// Counts a request that is not sent, and tells of it: by the route that it is of, without its own
    /// path, query, headers and body.
    fn denied(
        &self,
        place: &Place,
        why: Denied,
        reason: &dyn std::fmt::Display,
        asking: &Asking<'_>,
    ) -> String {
        asking.usage.denied(why);
        if why == Denied::Address
            && let Some(refused) = asking.refused
        {
            refused.store(true, Ordering::Relaxed);
        }
        if self.denials.check().is_ok() {
            let Place { method, route } = place;
            let (export, route) = (&self.export, route.as_str());
            tracing::warn!(%export, %method, route, %reason, "request of a plugin denied");
        }
        reason.to_string()
    }
}

/// A reason may quote what came over the wire.
fn scrubbed(failure: Failure, credential: &Credential) -> Failure {
    let scrub = |reason| credential.scrubber().scrub_text(reason);
    match failure {
        Failure::Denied(reason) => Failure::Denied(scrub(reason)),
        Failure::Unreachable(reason) => Failure::Unreachable(scrub(reason)),
        Failure::Interrupted(reason) => Failure::Interrupted(scrub(reason)),
        Failure::TooLarge(reason) => Failure::TooLarge(scrub(reason)),
        Failure::Other(reason) => Failure::Other(scrub(reason)),
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
    let scrubber = credential.scrubber();
    let coded = answer.headers().get_all(CONTENT_ENCODING);
    if coded.iter().any(|coding| coding != "identity") {
        return Err(Failure::Interrupted(format!(
            "the answer ({status}) is compressed though that was ruled out, so the credential could not be \
             scrubbed from it"
        )));
    }
    let pairs = answer.headers().iter();
    let pairs = pairs.map(|(name, value)| name.as_str().len() + value.len());
    asking.take(status, pairs.sum())?;
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?)))
        .map(|(name, value)| {
            let value = scrubber.scrub_text(value.to_owned());
            (scrubber.scrub_name(&name), value)
        })
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
        asking.take(status, bytes.len())?;
        body.extend_from_slice(&bytes);
    }
    Ok(Response {
        status,
        headers,
        body: scrubber.scrub(body),
        extra: vec![],
    })
}

/// A form whose parts have known lengths, so that the whole has a `Content-Length`. A staged file
/// is read as it is sent.
pub(super) async fn form(parts: Vec<Part>, staged: Option<&StagedFile>) -> Result<Form, Failure> {
    // Names as they are, in quotes, as RFC 7578 wants it: the policy let none through that holds a quote.
    // The other form, `name*=`, leaves a `;` in them, which begins a parameter.
    let mut form = Form::new().percent_encode_noop();
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

/// Why the resolver gave no address, if it was for their class. A name may lead elsewhere the next
/// time, so it is nothing that a plugin must give up on.
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
        Failure::Interrupted("the time for it is over".to_owned())
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
