//! From a configuration to exports that can be started: plugins loaded, secrets read, settings
//! accepted by the plugin. Whatever is wrong is told at the operator's line.

mod ask;
mod builder;
mod explain;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod memory;
mod routes;
mod sample;
mod secrets;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capability::Http;
use crate::capability::http::{
    self, Egress, Endpoint, Gate, Policy, Recorder, RouteError, RouteGrant,
};
use crate::config::{Authorization, Config, ExportConfig, Mistake, Tenant};
use crate::export::{Export, ExportSpec};
use crate::plugin::limits::KEYS;
use crate::plugin::types::AuthMethod;
use crate::plugin::{Engine, Limits, Plugin};
use crate::store::StoreError;

pub use builder::{BuildError, Builder};
pub use explain::Explained;
pub use sample::Sample;

/// How much has to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Everything, so that it can run.
    Run,
    /// All but the credential: nothing will be sent.
    Preview,
}

/// An export that can be started.
pub struct Deployed {
    /// What it works under.
    pub spec: ExportSpec,
    /// Its plugin.
    pub plugin: Plugin,
    /// Where its requests go, and which are allowed.
    pub policy: Policy,
    /// The folder of its store.
    pub directory: PathBuf,
    gate: Option<Arc<Gate>>,
    egress: Egress,
    /// The names of the credential's headers.
    credential_headers: Vec<String>,
}

/// What came of a tenant, or of all.
#[derive(Default)]
pub struct Deployment {
    /// The exports that can be started.
    pub deployed: Vec<Deployed>,
    /// What is wrong with the configuration of others.
    pub mistakes: Vec<Mistake>,
    /// The plugins that cannot be loaded.
    pub unloadable: Vec<Mistake>,
}

impl Deployment {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.mistakes.is_empty() && self.unloadable.is_empty()
    }
}

impl Deployed {
    /// Starts it.
    ///
    /// # Errors
    /// Its store cannot be opened.
    pub fn start(self) -> Result<Export, StoreError> {
        let http = self.http();
        Export::start(self.spec, self.plugin, http, &self.directory)
    }

    /// The way to the destination.
    pub fn http(&self) -> Http {
        self.gate.clone().map_or(Http::Nothing, Http::Gate)
    }

    /// A stand-in for the way to the destination, which sends nothing.
    pub fn recorder(&self) -> Arc<Recorder> {
        Arc::new(Recorder::new(self.policy.clone()))
    }
}

/// The folder of an export's store.
pub fn directory(data: &Path, export: &ExportConfig) -> PathBuf {
    data.join(&export.spec.tenant).join(&export.spec.id)
}

/// Prepares every export of a configuration that `wanted` picks. Tenants are prepared side by side.
pub async fn deploy(
    engine: &Engine,
    config: &Config,
    data: &Path,
    demand: Demand,
    wanted: impl Fn(&ExportConfig) -> bool,
) -> Deployment {
    let tenants = config
        .tenants
        .iter()
        .map(|tenant| deploy_tenant(engine, tenant, data, demand, &wanted));
    let mut all = Deployment::default();
    for one in futures_util::future::join_all(tenants).await {
        all.deployed.extend(one.deployed);
        all.mistakes.extend(one.mistakes);
        all.unloadable.extend(one.unloadable);
    }
    all
}

/// Prepares every export of one tenant that `wanted` picks.
pub async fn deploy_tenant(
    engine: &Engine,
    tenant: &Tenant,
    data: &Path,
    demand: Demand,
    wanted: impl Fn(&ExportConfig) -> bool,
) -> Deployment {
    let mut deployment = Deployment::default();
    let mut accounts = BTreeMap::new();
    let mut complained = BTreeSet::new();
    for export in tenant.exports.iter().filter(|export| wanted(export)) {
        let Some(authorization) = tenant.authorizations.get(&export.authorization) else {
            continue;
        };
        if !accounts.contains_key(&authorization.id) {
            let account = match load(engine, tenant, authorization).await {
                Ok(plugin) => {
                    let mistakes = &mut deployment.mistakes;
                    let account = account(tenant, authorization, plugin, demand, mistakes).await;
                    if let Some(account) = &account {
                        mistakes.extend(routes::unknown(tenant, authorization, account));
                    }
                    account
                }
                Err(mistake) => {
                    // Two authorizations may name the same file.
                    if complained.insert(&authorization.plugin) {
                        deployment.unloadable.push(mistake);
                    }
                    None
                }
            };
            accounts.insert(authorization.id.clone(), account);
        }
        let before = deployment.mistakes.len();
        sources(tenant, export, &mut deployment.mistakes);
        let Some(Some(account)) = accounts.get(&authorization.id) else {
            continue;
        };
        match one(tenant, export, account, data).await {
            Ok(one) if deployment.mistakes.len() == before => deployment.deployed.push(one),
            Ok(_) => {}
            Err(found) => deployment.mistakes.extend(found),
        }
    }
    deployment
}

async fn load(
    engine: &Engine,
    tenant: &Tenant,
    authorization: &Authorization,
) -> Result<Plugin, Mistake> {
    let mut limits = Limits::default();
    authorization.limits.apply(&mut limits, &KEYS);
    let loaded = engine.load(&authorization.plugin, &limits, &authorization.load_limits);
    loaded.await.map_err(|error| {
        let span = authorization.spans.plugin.clone();
        let mistake = Mistake::new(&tenant.source, span, error.to_string());
        match authorization.plugin.exists() {
            true => mistake,
            false => mistake.help("the path begins at the folder of this file"),
        }
    })
}

/// What the exports of one authorization share.
struct Prepared {
    plugin: Plugin,
    endpoint: Endpoint,
    egress: Egress,
    routes: Option<Vec<RouteGrant>>,
    credential_headers: Vec<String>,
    /// `None` if nothing will be sent.
    shared: Option<Arc<http::Account>>,
}

impl Prepared {
    /// What the plugin may ask for under an export's options.
    fn policy(&self, spec: &ExportSpec) -> Result<Policy, RouteError> {
        let endpoint = self.endpoint.clone();
        let policy = Policy::new(endpoint, &self.plugin.manifest, &spec.options)?;
        Ok(match &self.routes {
            Some(routes) => policy.narrowed(routes.clone()),
            None => policy,
        })
    }
}

async fn account(
    tenant: &Tenant,
    authorization: &Authorization,
    plugin: Plugin,
    demand: Demand,
    mistakes: &mut Vec<Mistake>,
) -> Option<Prepared> {
    let before = mistakes.len();
    let method = auth_method(tenant, authorization, &plugin, mistakes)?;
    let text = authorization
        .endpoint
        .as_deref()
        .unwrap_or(&plugin.manifest.endpoint);
    let endpoint = Endpoint::parse(text, authorization.allow_http).and_then(|endpoint| {
        endpoint.granted_by(&authorization.allow_addresses)?;
        Ok(endpoint)
    });
    if let Err(error) = &endpoint {
        let span = authorization.spans.endpoint.clone();
        mistakes.push(Mistake::new(&tenant.source, span, error.to_string()));
    }
    let credential = match demand {
        Demand::Preview => None,
        Demand::Run => secrets::credential(tenant, authorization, &method, mistakes).await,
    };
    if mistakes.len() > before {
        return None;
    }
    Some(Prepared {
        plugin,
        endpoint: endpoint.ok()?,
        egress: Egress::new(
            authorization.allow_addresses.clone(),
            authorization.proxy.clone(),
        ),
        routes: authorization.routes.clone(),
        credential_headers: method
            .headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        shared: credential.map(|credential| {
            let account = http::Account::new(credential, authorization.requests_in_flight);
            Arc::new(account.with_renewal(secrets::renewal(authorization, &method)))
        }),
    })
}

fn auth_method(
    tenant: &Tenant,
    authorization: &Authorization,
    plugin: &Plugin,
    mistakes: &mut Vec<Mistake>,
) -> Option<AuthMethod> {
    let methods = &plugin.manifest.auth_methods;
    let Some(wanted) = &authorization.method else {
        return methods.first().cloned();
    };
    let found = methods.iter().find(|method| method.id == *wanted);
    if found.is_none() {
        let names: Vec<_> = methods.iter().map(|method| method.id.as_str()).collect();
        mistakes.push(
            Mistake::new(
                &tenant.source,
                authorization.spans.method.clone(),
                format!("plugin {} has no method `{wanted}`", plugin.manifest.name),
            )
            .help(format!("it has: {}", names.join(", "))),
        );
    }
    found.cloned()
}

/// A file of members must be there before a scan; one of changes may appear later.
fn sources(tenant: &Tenant, export: &ExportConfig, mistakes: &mut Vec<Mistake>) {
    let Some(path) = &export.spec.members else {
        return;
    };
    let unreadable = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => None,
        Ok(_) => Some("it is no file".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(reason) = unreadable {
        let title = format!("cannot read the members file {}: {reason}", path.display());
        mistakes.push(
            Mistake::new(&tenant.source, export.spans.members.clone(), title)
                .help("the path begins at the folder of this file"),
        );
    }
}

async fn one(
    tenant: &Tenant,
    export: &ExportConfig,
    account: &Prepared,
    data: &Path,
) -> Result<Deployed, Vec<Mistake>> {
    let plugin = &account.plugin;
    settings::check(tenant, export, plugin).await?;
    let whole = |error: String| {
        vec![Mistake::new(
            &tenant.source,
            export.spans.options.clone(),
            error,
        )]
    };
    let policy = account
        .policy(&export.spec)
        .map_err(|error| whole(error.to_string()))?;
    let gate = match &account.shared {
        None => None,
        Some(shared) => {
            let gate = Gate::new(policy.clone(), shared.clone(), account.egress.clone());
            Some(Arc::new(gate.map_err(|error| whole(error.to_string()))?))
        }
    };
    Ok(Deployed {
        directory: directory(data, export),
        spec: export.spec.clone(),
        plugin: plugin.clone(),
        policy,
        gate,
        egress: account.egress.clone(),
        credential_headers: account.credential_headers.clone(),
    })
}
