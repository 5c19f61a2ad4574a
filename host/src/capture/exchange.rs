//! A request and its answer as they are written down. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::capability::http::{Exchange, Played};
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};

/// A request, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapturedExchange {
    /// What the plugin asked for.
    pub request: CapturedRequest,
    /// What it was answered.
    pub answer: Answer,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedRequest {
    /// The method.
    pub method: String,
    /// The path below the endpoint.
    pub path: String,
    /// The query's pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The plugin's own headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: RequestBody,
    /// The contract's room to grow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

/// A request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestBody {
    /// None.
    None,
    /// These bytes.
    Bytes(Bytes),
    /// `multipart/form-data`.
    Multipart(Vec<CapturedPart>),
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedPart {
    /// The field's name.
    pub name: String,
    /// The file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Its content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What it holds.
    pub content: PartContent,
}

/// What a part holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartContent {
    /// These bytes.
    Bytes(Bytes),
    /// The staged file of this id. Its content is in no capture.
    Staged(String),
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The destination's answer.
    Response {
        /// The status.
        status: u16,
        /// Headers, in the order received.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
        /// The contract's room to grow.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        extra: Vec<(String, String)>,
    },
    /// It was not granted.
    Denied(String),
    /// No connection.
    Unreachable(String),
    /// It ended while under way.
    Interrupted(String),
    /// The answer was too large.
    TooLarge(String),
    /// Anything else.
    Other(String),
    /// None: the call was over before.
    Never,
}

/// Bytes, written as text where they are text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Spelled {
    Text(String),
    Base64(String),
}

impl From<Bytes> for Spelled {
    fn from(Bytes(bytes): Bytes) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(STANDARD.encode(error.as_bytes())),
        }
    }
}

impl TryFrom<Spelled> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(spelled: Spelled) -> Result<Self, Self::Error> {
        Ok(Self(match spelled {
            Spelled::Text(text) => text.into_bytes(),
            Spelled::Base64(text) => STANDARD.decode(text)?,
        }))
    }
}

impl Bytes {
    /// As text, as far as it is.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&Exchange> for CapturedExchange {
    fn from(exchange: &Exchange) -> Self {
        Self {
            request: (&exchange.request).into(),
            answer: Answer::of(exchange.answer.as_ref()),
        }
    }
}

impl From<&Played> for CapturedExchange {
    fn from(played: &Played) -> Self {
        Self {
            request: (&played.request).into(),
            answer: Answer::of(played.answer.as_ref()),
        }
    }
}

impl From<&CapturedExchange> for Exchange {
    fn from(captured: &CapturedExchange) -> Self {
        Self {
            request: (&captured.request).into(),
            answer: captured.answer.given(),
        }
    }
}

impl From<&Request> for CapturedRequest {
    fn from(request: &Request) -> Self {
        let part = |part: &Part| CapturedPart {
            name: part.name.clone(),
            file_name: part.file_name.clone(),
            content_type: part.content_type.clone(),
            content: match &part.content {
                Content::Bytes(bytes) => PartContent::Bytes(Bytes(bytes.clone())),
                Content::Staged(id) => PartContent::Staged(id.clone()),
            },
        };
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body: match &request.body {
                Body::None => RequestBody::None,
                Body::Bytes(bytes) => RequestBody::Bytes(Bytes(bytes.clone())),
                Body::Multipart(parts) => RequestBody::Multipart(parts.iter().map(part).collect()),
            },
            extra: request.extra.clone(),
        }
    }
}

impl From<&CapturedRequest> for Request {
    fn from(request: &CapturedRequest) -> Self {
        let part = |part: &CapturedPart| Part {
            name: part.name.clone(),
            file_name: part.file_name.clone(),
            content_type: part.content_type.clone(),
            content: match &part.content {
                PartContent::Bytes(Bytes(bytes)) => Content::Bytes(bytes.clone()),
                PartContent::Staged(id) => Content::Staged(id.clone()),
            },
        };
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            body: match &request.body {
                RequestBody::None => Body::None,
                RequestBody::Bytes(Bytes(bytes)) => Body::Bytes(bytes.clone()),
                RequestBody::Multipart(parts) => Body::Multipart(parts.iter().map(part).collect()),
            },
            extra: request.extra.clone(),
        }
    }
}

impl Answer {
    fn of(answer: Option<&Result<Response, Failure>>) -> Self {
        match answer {
            None => Self::Never,
            Some(Ok(response)) => Self::Response {
                status: response.status,
                headers: response.headers.clone(),
                body: Bytes(response.body.clone()),
                extra: response.extra.clone(),
            },
            Some(Err(Failure::Denied(why))) => Self::Denied(why.clone()),
            Some(Err(Failure::Unreachable(why))) => Self::Unreachable(why.clone()),
            Some(Err(Failure::Interrupted(why))) => Self::Interrupted(why.clone()),
            Some(Err(Failure::TooLarge(why))) => Self::TooLarge(why.clone()),
            Some(Err(Failure::Other(why))) => Self::Other(why.clone()),
        }
    }

    fn given(&self) -> Option<Result<Response, Failure>> {
        Some(Err(match self {
            Self::Never => return None,
            Self::Response {
                status,
                headers,
                body,
                extra,
            } => {
                return Some(Ok(Response {
                    status: *status,
                    headers: headers.clone(),
                    body: body.0.clone(),
                    extra: extra.clone(),
                }));
            }
            Self::Denied(why) => Failure::Denied(why.clone()),
            Self::Unreachable(why) => Failure::Unreachable(why.clone()),
            Self::Interrupted(why) => Failure::Interrupted(why.clone()),
            Self::TooLarge(why) => Failure::TooLarge(why.clone()),
            Self::Other(why) => Failure::Other(why.clone()),
        }))
    }
}
