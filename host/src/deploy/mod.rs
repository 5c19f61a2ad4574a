//! From a configuration to exports that can be started: plugins loaded, secrets read, settings
//! accepted by the plugin. Whatever is wrong is told at the operator's line.

mod ask;
mod authorized;
mod builder;
mod explain;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod memory;
mod routes;
mod sample;
mod secrets;
mod settings;
mod stores;
mod supply;
mod swap;
mod sweep;
mod watch;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::authorized::Accounts;
use self::swap::{Swappable, titles};
use crate::capability::Http;
use crate::capability::http::{Policy, Recorder};
use crate::config::{Config, ExportConfig, Mistake, PluginSource, Tenant};
use crate::export::{Export, ExportSpec, Rollouts, StartError, Supplied};
use crate::plugin::{Engine, Plugin};

pub use authorized::{Authorized, Way, WayError};
pub use builder::{BuildError, Builder};
pub use explain::Explained;
pub use sample::Sample;
pub use stores::{Unreadable, stores_of};
pub use supply::Supply;
pub use swap::{Fit, NoFit};
pub use watch::{Watch, Watched};

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
    /// Where other versions of the plugin come from.
    pub supply: Supply,
    /// What gives them their way to the destination.
    pub authorized: Authorized,
    tenant: Arc<Tenant>,
    http: Http,
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
    /// The exports that were wanted and cannot be started.
    pub left_out: Vec<LeftOut>,
}

/// An export that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, as `tenant/export`.
    pub export: String,
    /// Why, on one line. The operator's lines are with the mistakes.
    pub why: String,
}

impl Deployment {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.mistakes.is_empty() && self.unloadable.is_empty()
    }
}

impl Deployed {
    /// Starts it. From then on it can be swapped to other versions; swaps with the same `rollouts` are
    /// judged together.
    ///
    /// # Errors
    /// The store's, or what it ran cannot be loaded, and nothing may take its place.
    pub async fn start(self, engine: &Engine, rollouts: &Rollouts) -> Result<Export, StartError> {
        let configured = Supplied {
            plugin: self.plugin.clone(),
            http: self.http(),
        };
        let (spec, directory) = (self.spec.clone(), self.directory.clone());
        let source = Arc::new(Swappable::new(engine, self));
        let (own, rollouts) = (source.clone(), rollouts.clone());
        let export =
            Export::start_swappable(spec, configured, source, rollouts, &directory).await?;
        own.keep().await;
        Ok(export)
    }

    /// The way to the destination.
    pub fn http(&self) -> Http {
        self.http.clone()
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
        all.left_out.extend(one.left_out);
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
    let mut ready = AllReady::new();
    let mut accounts: BTreeMap<&str, Accounts> = BTreeMap::new();
    let mut complained = BTreeSet::new();
    for export in tenant.exports.iter().filter(|export| wanted(export)) {
        let Some(authorization) = tenant.authorizations.get(&export.authorization) else {
            continue;
        };
        let source = export.plugin(authorization);
        let one = match ready.entry((authorization.id.as_str(), source)) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(room) => {
                let supply = Supply::new(authorization, source, data);
                room.insert(match supply.load(engine).await {
                    Ok(plugin) => {
                        let accounts = accounts.entry(&authorization.id).or_default();
                        let (manifest, mistakes) = (&plugin.manifest, &mut deployment.mistakes);
                        let before = mistakes.len();
                        let authorized =
                            accounts.prepare(tenant, authorization, manifest, demand, mistakes);
                        match authorized.await {
                            Some(authorized) => Ok(Ready {
                                plugin,
                                supply,
                                authorized,
                            }),
                            None => Err(match &deployment.mistakes[before..] {
                                [] => TOLD_BEFORE.to_owned(),
                                found => titles(found),
                            }),
                        }
                    }
                    Err(error) => {
                        // Two authorizations may name the same file.
                        if complained.insert(error.to_string()) {
                            let spans = export.plugin_spans(authorization);
                            let mistake = supply::mistake(tenant, spans, source, &error);
                            deployment.unloadable.push(mistake);
                        }
                        Err(error.to_string())
                    }
                })
            }
        };
        let before = deployment.mistakes.len();
        sources(tenant, export, &mut deployment.mistakes);
        let why = match one {
            Err(why) => why.clone(),
            Ok(ready) => {
                match deployed(tenant, export, ready, data).await {
                    Ok(one) if deployment.mistakes.len() == before => {
                        deployment.deployed.push(one);
                        continue;
                    }
                    Ok(_) => {}
                    Err(found) => deployment.mistakes.extend(found),
                }
                titles(&deployment.mistakes[before..])
            }
        };
        let export = export.spec.name();
        deployment.left_out.push(LeftOut { export, why });
    }
    unknown_routes(tenant, &ready, &mut deployment.mistakes);
    deployment
}

/// A plugin that is loaded, and what its exports share.
struct Ready {
    plugin: Plugin,
    supply: Supply,
    authorized: Authorized,
}

/// What is ready, or why it cannot be, by authorization and source.
type AllReady<'t> = BTreeMap<(&'t str, &'t PluginSource), Result<Ready, String>>;

/// Why an export is left out whose authorization was found wanting for another plugin already: each mistake
/// is told once.
const TOLD_BEFORE: &str = "its authorization cannot be used, as another export was told";

/// Looks at the routes of each authorization all of whose plugins are ready: what none of them asks
/// for may be what another one does.
fn unknown_routes(tenant: &Tenant, all: &AllReady<'_>, mistakes: &mut Vec<Mistake>) {
    for authorization in tenant.authorizations.values() {
        // Of all exports, also those that nobody wants to run now.
        let exports = tenant
            .exports
            .iter()
            .filter(|export| export.authorization == authorization.id);
        let policies: Option<Vec<Policy>> = exports
            .map(|export| {
                let key = (authorization.id.as_str(), export.plugin(authorization));
                let ready = all.get(&key)?.as_ref().ok()?;
                // An option that no route can be made of is a mistake of its own.
                let policy = ready
                    .authorized
                    .policy(&export.spec, &ready.plugin.manifest);
                policy.ok()
            })
            .collect();
        if let Some(policies) = policies {
            mistakes.extend(routes::unknown(tenant, authorization, &policies));
        }
    }
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

async fn deployed(
    tenant: &Tenant,
    export: &ExportConfig,
    ready: &Ready,
    data: &Path,
) -> Result<Deployed, Vec<Mistake>> {
    let plugin = &ready.plugin;
    settings::check(tenant, export, plugin).await?;
    let way = ready
        .authorized
        .way(&export.spec, plugin)
        .map_err(|error| {
            let span = export.spans.options.clone();
            vec![Mistake::new(&tenant.source, span, error.to_string())]
        })?;
    Ok(Deployed {
        directory: directory(data, export),
        spec: export.spec.clone(),
        plugin: plugin.clone(),
        policy: way.policy,
        http: way.http,
        supply: ready.supply.clone(),
        authorized: ready.authorized.clone(),
        tenant: Arc::new(tenant.clone()),
    })
}
