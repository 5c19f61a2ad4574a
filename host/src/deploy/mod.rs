//! From a configuration to exports that can be started: plugins loaded, secrets read, settings
//! accepted by the plugin. Whatever is wrong is told at the operator's line.

mod builder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod sample;
mod secrets;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capability::Http;
use crate::capability::http::{self, Endpoint, Gate, Policy, Recorder};
use crate::config::{Authorization, Config, ExportConfig, Mistake, Mistakes, Tenant};
use crate::export::{Export, ExportSpec};
use crate::plugin::types::AuthMethod;
use crate::plugin::{Engine, Plugin};
use crate::store::StoreError;

pub use builder::{BuildError, Builder};
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
}

/// Why exports cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The configuration is wrong.
    #[error(transparent)]
    Mistakes(Mistakes),
    /// The configuration is right, but a plugin cannot be loaded.
    #[error(transparent)]
    Plugins(Mistakes),
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

/// Prepares every export of a configuration that `wanted` picks.
///
/// # Errors
/// Everything that is wrong, at once.
pub async fn deploy(
    engine: &Engine,
    config: &Config,
    data: &Path,
    demand: Demand,
    wanted: impl Fn(&ExportConfig) -> bool,
) -> Result<Vec<Deployed>, DeployError> {
    let mut mistakes = vec![];
    let mut unloadable = vec![];
    let mut plugins = HashMap::new();
    let mut deployed = vec![];
    for tenant in &config.tenants {
        let exports: Vec<_> = tenant
            .exports
            .iter()
            .filter(|export| wanted(export))
            .collect();
        let mut accounts = BTreeMap::new();
        for export in &exports {
            if accounts.contains_key(&export.authorization) {
                continue;
            }
            let Some(authorization) = tenant.authorizations.get(&export.authorization) else {
                continue;
            };
            let plugin = match load(engine, tenant, authorization, &mut plugins).await {
                Ok(plugin) => plugin,
                Err(mistake) => {
                    unloadable.extend(mistake);
                    continue;
                }
            };
            let account = account(tenant, authorization, plugin, demand, &mut mistakes);
            accounts.insert(export.authorization.clone(), account);
        }
        for export in exports {
            sources(tenant, export, &mut mistakes);
            let Some(Some(account)) = accounts.get(&export.authorization) else {
                continue;
            };
            let one = one(tenant, export, account, data).await;
            match one {
                Ok(one) => deployed.push(one),
                Err(found) => mistakes.extend(found),
            }
        }
    }
    if !mistakes.is_empty() {
        mistakes.extend(unloadable);
        return Err(DeployError::Mistakes(Mistakes(mistakes)));
    }
    if !unloadable.is_empty() {
        return Err(DeployError::Plugins(Mistakes(unloadable)));
    }
    Ok(deployed)
}

/// Loads each file once. `Err(None)` for one that was complained about already.
async fn load(
    engine: &Engine,
    tenant: &Tenant,
    authorization: &Authorization,
    plugins: &mut HashMap<PathBuf, Option<Plugin>>,
) -> Result<Plugin, Option<Mistake>> {
    if let Some(known) = plugins.get(&authorization.plugin) {
        return known.clone().ok_or(None);
    }
    let loaded = engine.load(&authorization.plugin).await;
    plugins.insert(authorization.plugin.clone(), loaded.as_ref().ok().cloned());
    loaded.map_err(|error| {
        let span = authorization.spans.plugin.clone();
        let mistake = Mistake::new(&tenant.source, span, error.to_string());
        Some(match authorization.plugin.exists() {
            true => mistake,
            false => mistake.help("the path begins at the folder of this file"),
        })
    })
}

/// What the exports of one authorization share.
struct Prepared {
    plugin: Plugin,
    endpoint: Endpoint,
    /// `None` if nothing will be sent.
    shared: Option<Arc<http::Account>>,
}

fn account(
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
    let endpoint = Endpoint::parse(text, authorization.allow_http);
    if let Err(error) = &endpoint {
        let span = authorization.spans.endpoint.clone();
        mistakes.push(Mistake::new(&tenant.source, span, error.to_string()));
    }
    let credential = match demand {
        Demand::Preview => None,
        Demand::Run => secrets::credential(tenant, authorization, &method, mistakes),
    };
    if mistakes.len() > before {
        return None;
    }
    Some(Prepared {
        plugin,
        endpoint: endpoint.ok()?,
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
    let policy = Policy::new(
        account.endpoint.clone(),
        &plugin.manifest,
        &export.spec.options,
    )
    .map_err(|error| whole(error.to_string()))?;
    let gate = match &account.shared {
        None => None,
        Some(shared) => {
            let gate = Gate::new(policy.clone(), shared.clone());
            Some(Arc::new(gate.map_err(|error| whole(error.to_string()))?))
        }
    };
    Ok(Deployed {
        directory: directory(data, export),
        spec: export.spec.clone(),
        plugin: plugin.clone(),
        policy,
        gate,
    })
}
