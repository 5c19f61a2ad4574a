//! Other versions of the plugin of an export that is deployed: whether they fit, and their way to the
//! destination.

use futures_util::future::BoxFuture;

use super::{Deployed, Way, WayError, settings};
use crate::blocking::blocking;
use crate::config::{ExportConfig, Mistake};
use crate::export::{Supplied, Unfit, Version, VersionSource};
use crate::plugin::{CallError, Engine, Grant, Plugin, Session};
use crate::registry::RegistryError;

/// A version that fits an export.
pub struct Fit {
    /// What it may ask for, and its way there.
    pub way: Way,
    /// Which version it is.
    pub version: Version,
}

/// Why a version does not fit an export.
#[derive(Debug, thiserror::Error)]
pub enum NoFit {
    /// It cannot work under the authorization.
    #[error(transparent)]
    Way(#[from] WayError),
    /// It cannot be loaded.
    #[error(transparent)]
    Load(#[from] RegistryError),
    /// It does not accept mapping or options.
    #[error("it does not accept the export's settings: {}", titles(.0))]
    Settings(Vec<Mistake>),
}

/// What is wrong, on one line.
pub(super) fn titles(mistakes: &[Mistake]) -> String {
    let titles: Vec<_> = mistakes.iter().map(Mistake::title).collect();
    titles.join("; ")
}

impl Deployed {
    /// Whether another version of the plugin fits: its way to authorize, its routes, and what it says of
    /// mapping and options. Nothing is sent.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn fit(&self, plugin: &Plugin) -> Result<Fit, NoFit> {
        let way = self.authorized.way(&self.spec, plugin)?;
        if let Some(export) = self.config() {
            settings::check(&self.tenant, export, plugin)
                .await
                .map_err(NoFit::Settings)?;
        }
        let (manifest, seen) = (&plugin.manifest, &plugin.inspection);
        Ok(Fit {
            way,
            version: Version {
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                sha256: seen.sha256.clone(),
                contract: seen.contract.clone(),
            },
        })
    }

    /// An instance of another version that works under the export's settings.
    ///
    /// # Errors
    /// As [`Plugin::open`].
    pub async fn open_with(&self, plugin: &Plugin, grant: Grant) -> Result<Session, CallError> {
        let (settings, limits) = (self.spec.settings(), self.spec.limits);
        plugin.open(&settings, grant, limits).await
    }

    fn config(&self) -> Option<&ExportConfig> {
        let exports = &self.tenant.exports;
        exports.iter().find(|export| export.spec.id == self.spec.id)
    }
}

/// What an export that runs needs to be swapped.
pub(super) struct Swappable {
    engine: Engine,
    deployed: Deployed,
}

impl Swappable {
    pub fn new(engine: &Engine, deployed: Deployed) -> Self {
        Self {
            engine: engine.clone(),
            deployed,
        }
    }

    /// Keeps what the export is started with, so that a swap can go back to it. If that cannot be done the
    /// export runs all the same.
    pub async fn keep(&self) {
        let (supply, plugin) = (self.deployed.supply.clone(), self.deployed.plugin.clone());
        if let Err(error) = blocking(move || supply.keep(&plugin)).await {
            tracing::warn!(
                export = %self.deployed.spec.name(), %error,
                "the plugin's component cannot be kept: once its file is replaced, nothing can go back to it"
            );
        }
    }
}

impl VersionSource for Swappable {
    fn version<'a>(&'a self, sha256: &'a str) -> BoxFuture<'a, Result<Supplied, Unfit>> {
        Box::pin(async move {
            let supply = &self.deployed.supply;
            let plugin = supply
                .load_kept(&self.engine, sha256)
                .await
                .map_err(|error| Unfit(error.to_string()))?;
            let fit = self.deployed.fit(&plugin).await;
            let fit = fit.map_err(|error| Unfit(error.to_string()))?;
            Ok(Supplied {
                plugin,
                http: fit.way.http,
            })
        })
    }
}
