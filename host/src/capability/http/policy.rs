//! What a component may ask for: routes of its manifest below the endpoint of the authorization.
//! Pure: every decision can be explained without sending anything.

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::StagedFile;
use crate::plugin::types::{Body, Content, Manifest, Request};

/// Where an authorization's requests go: scheme, host, port and the path that all begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It does not parse.
    #[error("`{0}` is no URL; expected something like `https://api.example.com/v3`")]
    NotAUrl(String),
    /// Plain HTTP was not granted.
    #[error("the endpoint is plain http; use https, or grant it with `allow_http = true`")]
    Insecure,
    /// It has parts that no endpoint may have.
    #[error("an endpoint has no user, password, query or fragment")]
    Extra,
}

/// What stands in a path segment as it is; everything else is escaped.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// Not a URL, not https without the grant, or with parts that an endpoint may not have.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, EndpointError> {
        let mut url = Url::parse(text).map_err(|_| EndpointError::NotAUrl(text.to_owned()))?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err(EndpointError::Insecure),
            _ => return Err(EndpointError::NotAUrl(text.to_owned())),
        }
        let extra = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if extra || url.host().is_none() {
            return Err(EndpointError::Extra);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL for a path below it, each segment escaped.
    fn join(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        let escaped: String = path
            .split('/')
            .skip(1)
            .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
            .collect();
        let base = self.0.path().trim_end_matches('/');
        url.set_path(&format!("{base}{escaped}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// One kind of request that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    method: String,
    /// `None` stands for any one segment.
    segments: Vec<Option<String>>,
}

/// Why a manifest's route could not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It names an option without a value.
    #[error("route `{route}` needs option `{option}`, which has no value and no default")]
    NoOption {
        /// The route, as the manifest has it.
        route: String,
        /// The option.
        option: String,
    },
    /// Its path is not one.
    #[error(
        "route `{0}`: a path begins with `/` and has no empty segment, `.`, `..`, query or fragment"
    )]
    BadPath(String),
    /// Its method is none of the contract's: a `CONNECT` would be a tunnel.
    #[error("route method `{0}`: expected one of {known}", known = METHODS.join(", "))]
    BadMethod(String),
}

/// The methods of the contract.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The path is malformed.
    #[error(
        "the path must begin with `/` and hold no empty segment, `.`, `..`, backslash or control character"
    )]
    Path,
    /// No route allows it. The path is the guest's, and may hold member data: not shown.
    #[error("no route of the manifest allows this {method} request")]
    Route {
        /// The method asked for, if it is one.
        method: String,
    },
    /// A header that is the host's business.
    #[error("header `{0}` is set by the host and by nobody else")]
    HostHeader(String),
    /// A header that no request may have.
    #[error("a header's name or value holds a character that no header may hold")]
    BadHeader,
    /// A part names a file that this call was not given.
    #[error("a part names a staged file that this call was not given")]
    StagedFile,
    /// A part's name, file name or type would break out of its header.
    #[error("a part's name, file name or content type holds a character that none may hold")]
    BadPart,
}

/// Headers that are the host's: the credential, the connection, the body's framing.
const HOST_HEADERS: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

/// What one authorization's plugin may ask for under one export's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    endpoint: Endpoint,
    rules: Vec<Rule>,
    credential_headers: Vec<String>,
}

impl Policy {
    /// The routes of the manifest below this endpoint, options filled in.
    ///
    /// # Errors
    /// A route that can not be used.
    pub fn new(
        endpoint: Endpoint,
        manifest: &Manifest,
        options: &Map<String, Value>,
    ) -> Result<Self, RouteError> {
        let schema: Value = serde_json::from_str(&manifest.options_schema).unwrap_or_default();
        let rules = manifest
            .routes
            .iter()
            .map(|route| {
                let method = fill(&route.method, options, &schema)?;
                if !METHODS.contains(&method.as_str()) {
                    return Err(RouteError::BadMethod(method));
                }
                let path = fill(&route.path, options, &schema)?;
                if !well_formed(&path) {
                    return Err(RouteError::BadPath(path));
                }
                let segments = path
                    .split('/')
                    .skip(1)
                    .map(|segment| match segment {
                        "*" => None,
                        hole if hole.starts_with('{') && hole.ends_with('}') => None,
                        fixed => Some(fixed.to_owned()),
                    })
                    .collect();
                Ok(Rule { method, segments })
            })
            .collect::<Result<_, _>>()?;
        let credential_headers = manifest
            .auth_methods
            .iter()
            .flat_map(|method| &method.headers)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        Ok(Self {
            endpoint,
            rules,
            credential_headers,
        })
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The URL that a request goes to.
    ///
    /// # Errors
    /// Why it does not go anywhere.
    pub fn judge(&self, request: &Request, staged: Option<&StagedFile>) -> Result<Url, Denial> {
        if !well_formed(&request.path) {
            return Err(Denial::Path);
        }
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        let allowed =
            self.rules.iter().any(|rule| {
                rule.method == request.method
                    && rule.segments.len() == segments.len()
                    && rule.segments.iter().zip(&segments).all(|(rule, segment)| {
                        rule.as_deref().is_none_or(|fixed| fixed == *segment)
                    })
            });
        if !allowed {
            let method = METHODS
                .iter()
                .find(|m| **m == request.method)
                .unwrap_or(&"unknown");
            return Err(Denial::Route {
                method: (*method).to_owned(),
            });
        }
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Denial::BadHeader)?;
            HeaderValue::from_str(value).map_err(|_| Denial::BadHeader)?;
            let taken = HOST_HEADERS.contains(&name.as_str())
                || self
                    .credential_headers
                    .iter()
                    .any(|header| header == name.as_str())
                || (name == "content-type" && matches!(request.body, Body::Multipart(_)));
            if taken {
                return Err(Denial::HostHeader(name.as_str().to_owned()));
            }
        }
        if let Body::Multipart(parts) = &request.body {
            for part in parts {
                let names = [Some(&part.name), part.file_name.as_ref()];
                // Names stand in quotes, and servers differ on what a backslash there means.
                let quoted = |c: char| c.is_control() || matches!(c, '"' | '\\');
                let bad_name = names
                    .into_iter()
                    .flatten()
                    .any(|name| name.contains(quoted));
                let kind = part.content_type.as_deref().unwrap_or_default();
                if bad_name || kind.contains(char::is_control) {
                    return Err(Denial::BadPart);
                }
                if let Content::Staged(id) = &part.content
                    && staged.is_none_or(|file| file.id != *id)
                {
                    return Err(Denial::StagedFile);
                }
            }
        }
        Ok(self.endpoint.join(&request.path, &request.query))
    }
}

/// A whole text of the form `{option:name}` becomes the option's value or default.
fn fill(text: &str, options: &Map<String, Value>, schema: &Value) -> Result<String, RouteError> {
    let Some(option) = text
        .strip_prefix("{option:")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return Ok(text.to_owned());
    };
    options
        .get(option)
        .or_else(|| schema.pointer(&format!("/properties/{option}/default")))
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| RouteError::NoOption {
            route: text.to_owned(),
            option: option.to_owned(),
        })
}

/// A path whose segments are plain text: nothing that a server could read as a way out.
fn well_formed(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|segment| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && !segment.chars().any(|c| c.is_control() || c == '\\')
    })
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
