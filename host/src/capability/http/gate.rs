//! Sending what the policy allows: the only code of the host that opens a client socket.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Account, Credential, Policy, StagedFile};
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};
use futures_util::StreamExt;
use reqwest::multipart::{Form, Part as FormPart};

/// Time to reach the destination: a name look-up, a handshake, TLS. Ten round trips of a bad line.
const CONNECT: Duration = Duration::from_secs(10);

/// Time for one request that uploads no file, answer included. An API that takes longer for one
/// user is down.
const ANSWER: Duration = Duration::from_secs(60);

/// Bytes of an answer's body. Answers about one user or one job are a few kilobytes; a job's list
/// of row errors may be long.
const ANSWER_BYTES: usize = 8 << 20;

/// Why a gate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct GateError(#[from] reqwest::Error);

/// Sends requests of one export, under the quota that its authorization's exports share.
pub struct Gate {
    client: reqwest::Client,
    policy: Policy,
    account: Arc<Account>,
}

impl Gate {
    /// A gate that adds the account's credential and keeps to its quota.
    ///
    /// # Errors
    /// The system's certificates could not be read.
    pub fn new(policy: Policy, account: Arc<Account>) -> Result<Self, GateError> {
        // Fails if a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .build()?;
        Ok(Self {
            client,
            policy,
            account,
        })
    }

    pub(super) fn account(&self) -> Arc<Account> {
        self.account.clone()
    }

    pub(super) async fn send(
        &self,
        request: Request,
        staged: Option<&StagedFile>,
    ) -> Result<Response, Failure> {
        let url = self.policy.judge(&request, staged).map_err(|denial| {
            tracing::warn!(reason = %denial, "request of a plugin denied");
            Failure::Denied(denial.to_string())
        })?;
        let Ok(_permit) = self.account.quota.acquire().await else {
            return Err(Failure::Other("the host is stopping".to_owned()));
        };
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Failure::Denied("not a method".to_owned()))?;
        let mut builder = self.client.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        builder = match request.body {
            Body::None => builder.timeout(ANSWER),
            Body::Bytes(bytes) => builder.timeout(ANSWER).body(bytes),
            Body::Multipart(parts) => builder.multipart(form(parts, staged).await?),
        };
        // Last, when nothing that the guest said can follow.
        let mut outgoing = builder.build().map_err(|error| failure(&error))?;
        let credential = self.account.credential();
        for (name, value) in credential.headers() {
            outgoing.headers_mut().insert(name.clone(), value.clone());
        }
        let answer = self
            .client
            .execute(outgoing)
            .await
            .map_err(|error| failure(&error))?;
        receive(answer, &credential).await
    }
}

async fn receive(answer: reqwest::Response, credential: &Credential) -> Result<Response, Failure> {
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
        if body.len() + bytes.len() > ANSWER_BYTES {
            let reason = format!("the answer ({status}) has over {ANSWER_BYTES} bytes");
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
