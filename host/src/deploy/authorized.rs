//! What an authorization gives to whichever plugin works under it: an endpoint, a credential, a quota,
//! and grants. A version that comes later goes the same way.

use std::sync::Arc;

use crate::capability::Http;
use crate::capability::http::{
    self, Egress, Endpoint, EndpointError, Gate, GateError, Policy, RouteError,
};
use crate::config::{Authorization, Mistake, Tenant};
use crate::export::ExportSpec;
use crate::plugin::Plugin;
use crate::plugin::types::{AuthMethod, Manifest};

use super::{Demand, secrets};

/// One authorization at work, under one of the ways to authorize that plugins have.
#[derive(Clone)]
pub struct Authorized(Arc<Inner>);

struct Inner {
    authorization: Authorization,
    method: AuthMethod,
    egress: Egress,
    /// `None` if nothing will be sent.
    account: Option<Arc<http::Account>>,
}

/// What a plugin may ask for, and its way there.
#[derive(Clone)]
pub struct Way {
    /// What it may ask for.
    pub policy: Policy,
    /// Who answers.
    pub http: Http,
}

/// Why a plugin cannot work under an authorization.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// It has not the way to authorize that was chosen.
    #[error("plugin {name} {version} has no method `{wanted}`")]
    NoMethod {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
        /// What the authorization says.
        wanted: String,
        /// What the plugin has.
        known: Vec<String>,
    },
    /// It authorizes in another way than the credential was made for.
    #[error(
        "plugin {name} {version} asks for other secrets, or puts them into other headers, than the version \
         that this authorization was prepared for; start sluice anew to prepare it for this one"
    )]
    OtherMethod {
        /// The plugin's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The endpoint is none, or was not granted.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A route cannot be made of the export's options.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Gate(#[from] GateError),
}

impl Authorized {
    /// The way of a plugin that an export runs: the same credential and quota, whatever its version.
    ///
    /// # Errors
    /// It cannot work under this authorization.
    pub fn way(&self, spec: &ExportSpec, plugin: &Plugin) -> Result<Way, WayError> {
        let inner = &*self.0;
        if !same(
            &inner.method,
            method(&inner.authorization, &plugin.manifest)?,
        ) {
            let (name, version) = named(&plugin.manifest);
            return Err(WayError::OtherMethod { name, version });
        }
        let policy = self.policy(spec, &plugin.manifest)?;
        let http = match &inner.account {
            None => Http::Nothing,
            Some(account) => {
                let gate = Gate::new(policy.clone(), account.clone(), inner.egress.clone())?;
                Http::Gate(Arc::new(gate.of(spec.name())))
            }
        };
        Ok(Way { policy, http })
    }

    /// What a plugin may ask for under an export's options.
    pub(super) fn policy(
        &self,
        spec: &ExportSpec,
        manifest: &Manifest,
    ) -> Result<Policy, WayError> {
        let authorization = &self.0.authorization;
        let policy = Policy::new(endpoint(authorization, manifest)?, manifest, &spec.options)?;
        Ok(match &authorization.routes {
            Some(routes) => policy.narrowed(routes.clone()),
            None => policy,
        })
    }

    /// Who may be connected to.
    pub(super) fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// The names of the credential's headers.
    pub(super) fn credential_headers(&self) -> impl Iterator<Item = &str> {
        self.0.method.headers.iter().map(|(name, _)| name.as_str())
    }
}

/// The ways in which plugins work under one authorization. Most have one.
#[derive(Default)]
pub(super) struct Accounts(Vec<(AuthMethod, Option<Authorized>)>);

impl Accounts {
    /// Prepares the authorization for a plugin, unless it is. `None`, if that cannot be done; every
    /// mistake is told once.
    pub async fn prepare(
        &mut self,
        tenant: &Tenant,
        authorization: &Authorization,
        manifest: &Manifest,
        demand: Demand,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Authorized> {
        let method = match method(authorization, manifest) {
            Ok(method) => method.clone(),
            Err(error) => {
                mistakes.push(at_line(tenant, authorization, &error));
                return None;
            }
        };
        let endpoint = endpoint(authorization, manifest);
        if let Err(error) = &endpoint {
            mistakes.push(at_line(tenant, authorization, error));
        }
        if let Some((_, there)) = self.0.iter().find(|(other, _)| same(other, &method)) {
            return there.clone().filter(|_| endpoint.is_ok());
        }
        let before = mistakes.len();
        let credential = match demand {
            Demand::Preview => None,
            Demand::Run => secrets::credential(tenant, authorization, &method, mistakes).await,
        };
        let beside = self
            .0
            .iter()
            .find_map(|(_, there)| there.as_ref()?.0.account.clone());
        let authorized = (mistakes.len() == before).then(|| {
            let account = credential.map(|credential| {
                let account = match beside {
                    None => http::Account::new(credential, authorization.requests_in_flight),
                    Some(beside) => beside.beside(credential),
                };
                Arc::new(account.with_renewal(secrets::renewal(authorization, &method)))
            });
            let (addresses, proxy) = (&authorization.allow_addresses, &authorization.proxy);
            Authorized(Arc::new(Inner {
                authorization: authorization.clone(),
                method: method.clone(),
                egress: Egress::new(addresses.clone(), proxy.clone()),
                account,
            }))
        });
        self.0.push((method, authorized.clone()));
        authorized.filter(|_| endpoint.is_ok())
    }
}

fn at_line(tenant: &Tenant, authorization: &Authorization, error: &WayError) -> Mistake {
    let spans = &authorization.spans;
    let span = match error {
        WayError::NoMethod { .. } | WayError::OtherMethod { .. } => &spans.method,
        _ => &spans.endpoint,
    };
    let mistake = Mistake::new(&tenant.source, span.clone(), error.to_string());
    match error {
        WayError::NoMethod { known, .. } => mistake.help(format!("it has: {}", known.join(", "))),
        _ => mistake,
    }
}

fn endpoint(authorization: &Authorization, manifest: &Manifest) -> Result<Endpoint, WayError> {
    let own = authorization.endpoint.as_deref();
    let text = own.unwrap_or(&manifest.endpoint);
    let endpoint = Endpoint::parse(text, authorization.allow_http)?;
    endpoint.granted_by(&authorization.allow_addresses)?;
    Ok(endpoint)
}

fn method<'m>(
    authorization: &Authorization,
    manifest: &'m Manifest,
) -> Result<&'m AuthMethod, WayError> {
    let methods = &manifest.auth_methods;
    let found = match &authorization.method {
        None => methods.first(),
        Some(wanted) => methods.iter().find(|method| method.id == *wanted),
    };
    found.ok_or_else(|| {
        let (name, version) = named(manifest);
        WayError::NoMethod {
            name,
            version,
            wanted: authorization.method.clone().unwrap_or_default(),
            known: methods.iter().map(|method| method.id.clone()).collect(),
        }
    })
}

/// Whether the same credential will do: what is said about it for people may differ.
fn same(a: &AuthMethod, b: &AuthMethod) -> bool {
    let ids = |method: &AuthMethod| -> Vec<String> {
        let credentials = method.credentials.iter();
        credentials
            .map(|credential| credential.id.clone())
            .collect()
    };
    a.headers == b.headers && ids(a) == ids(b)
}

fn named(manifest: &Manifest) -> (String, String) {
    (manifest.name.clone(), manifest.version.clone())
}
