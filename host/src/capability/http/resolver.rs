//! From a name to the addresses that may be connected to. What is judged here is what the connection
//! is made to: nobody asks for the name a second time, so a name that changes its mind gains nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Addresses;

/// Who knows the addresses of names.
pub trait Lookup: Send + Sync {
    /// The addresses of a name, the preferred first.
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system: its hosts file, its name servers.
pub struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|found| found.ip()).collect())
        })
    }
}

/// Looks names up for the client, and lets through what may be connected to.
pub(super) struct Resolver {
    pub lookup: Arc<dyn Lookup>,
    pub addresses: Addresses,
    /// The proxy's name, whose address the operator grants by naming it.
    pub proxy: Option<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let is_proxy = self.proxy.as_ref() == Some(&name);
        let addresses = self.addresses.clone();
        let found = self.lookup.lookup(name.clone());
        Box::pin(async move {
            let mut found = found.await?;
            if !is_proxy {
                found = addresses.pick(&name, found)?;
            }
            if found.is_empty() {
                return Err(format!("the name {name} has no address").into());
            }
            let addresses = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
