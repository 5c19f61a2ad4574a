//! How an authorization's requests leave: to which addresses, and through which proxy.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::address::{Addresses, Class, Refused};
use super::resolver::{Lookup, Resolver, System};

/// To which addresses requests may go, through which proxy, and who knows the names.
#[derive(Clone)]
pub struct Egress {
    addresses: Addresses,
    proxy: Option<Proxy>,
    lookup: Arc<dyn Lookup>,
}

/// A proxy that the operator named. Its own address needs no grant; it looks up the destination's
/// name itself, so what that leads to is the proxy's to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy(Url);

/// Why a text names no proxy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no proxy; expected something like `http://proxy.internal:3128`, without user, \
     password and path"
)]
pub struct ProxyError(String);

impl Proxy {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or has parts that none may have. A password in it is not shown.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let shown = text.rsplit('@').next().unwrap_or_default();
        let error = || ProxyError(shown.to_owned());
        let url = Url::parse(text).map_err(|_| error())?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !bare {
            return Err(error());
        }
        Ok(Self(url))
    }
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Addresses::default(), None)
    }
}

impl Egress {
    /// To these addresses, through this proxy if there is one.
    pub fn new(addresses: Addresses, proxy: Option<Proxy>) -> Self {
        Self {
            addresses,
            proxy,
            lookup: Arc::new(System::default()),
        }
    }

    /// The same, with another who knows the names.
    pub fn with_lookup(self, lookup: Arc<dyn Lookup>) -> Self {
        Self { lookup, ..self }
    }

    /// A client whose connections all go where this allows.
    pub(super) fn client(
        &self,
        builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::Client, reqwest::Error> {
        let resolver = Resolver {
            lookup: self.lookup.clone(),
            addresses: self.addresses.clone(),
            proxy: self
                .proxy
                .as_ref()
                .and_then(|proxy| proxy.0.host_str())
                .map(str::to_owned),
        };
        // Also without a proxy: those of the environment are nobody's who named this destination.
        let builder = builder.no_proxy().dns_resolver(resolver);
        match &self.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.0.as_str())?),
            None => builder,
        }
        .build()
    }

    /// Whether a URL whose host is an address may be connected to: no name is looked up for it. One
    /// with a name is judged when it is.
    pub(super) fn judge_literal(&self, url: &Url) -> Result<(), Refused> {
        literal(url).map_or(Ok(()), |address| self.addresses.judge_literal(address))
    }
}

/// Where a URL leads right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// Through this proxy, which looks the name up itself.
    Through(Proxy),
    /// To these addresses; with its class each that is refused.
    To(Vec<(IpAddr, Option<Class>)>),
    /// Nowhere: the name cannot be looked up.
    Nowhere(String),
}

impl Egress {
    /// Where a URL leads right now, for somebody who wants to know why.
    pub async fn leads(&self, url: &Url) -> Leads {
        let found = match (literal(url), url.host_str()) {
            (Some(address), _) => Ok(vec![address]),
            (None, _) if self.proxy.is_some() => Ok(vec![]),
            (None, Some(name)) => self.lookup.lookup(name.to_owned()).await,
            (None, None) => Ok(vec![]),
        };
        let judged = |address: IpAddr| {
            let refused = self.addresses.judge(address).err();
            (address, refused.map(|(class, _)| class))
        };
        match (found, &self.proxy) {
            (Ok(found), Some(proxy)) if found.is_empty() => Leads::Through(proxy.clone()),
            (Ok(found), _) => Leads::To(found.into_iter().map(judged).collect()),
            (Err(error), _) => Leads::Nowhere(error.to_string()),
        }
    }
}

/// The address that stands in the place of a name.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_bare_address() {
        assert!(Proxy::parse("http://proxy.internal:3128").is_ok());
        assert!(Proxy::parse("https://10.0.0.1").is_ok());
        for text in [
            "proxy.internal:3128",
            "socks5://proxy.internal",
            "http://proxy.internal/path",
            "http://user:sekrit@proxy.internal",
            "http://",
        ] {
            let error = Proxy::parse(text).unwrap_err().to_string();
            assert!(!error.contains("sekrit"), "{error}");
        }
    }
}
