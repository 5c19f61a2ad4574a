//! Where an authorization's requests go, and how a path is joined to it. Pure.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use super::address::{Addresses, Class};
use super::egress;

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
    /// It is an address that was not granted.
    #[error(
        "the endpoint is {class}; use a public one, or grant it with `allow_addresses = [\"{address}\"]`"
    )]
    Address {
        /// What kind it is of.
        class: Class,
        /// What to grant.
        address: IpAddr,
    },
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
    pub(super) fn join(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        let escaped: String = path
            .split('/')
            .skip(1)
            .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
            .collect();
        url.set_path(&format!("{}{escaped}", self.base()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether a URL is below it.
    pub(super) fn holds(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(self.base());
        self.is_origin(url) && rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether a URL has its scheme, host and port, and no user.
    pub(super) fn is_origin(&self, url: &Url) -> bool {
        url.origin() == self.0.origin() && url.username().is_empty() && url.password().is_none()
    }

    /// The path that all paths begin with; empty if there is none.
    pub(super) fn base(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }

    /// Whether one may connect to it, if it is an address. A name is judged when it is looked up.
    ///
    /// # Errors
    /// The address is not granted.
    pub fn granted_by(&self, addresses: &Addresses) -> Result<(), EndpointError> {
        let Some(address) = egress::literal(&self.0) else {
            return Ok(());
        };
        addresses
            .judge(address)
            .map_err(|(class, _)| EndpointError::Address { class, address })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}
