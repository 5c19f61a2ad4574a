//! Where an export gets other versions of its plugin from.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::capability::Http;
use crate::capture::Capturing;
use crate::export::ExportSpec;
use crate::export::exporter::{Exporter, Sandboxed};
use crate::plugin::Plugin;
use crate::store::Store;
use crate::usage::Bills;

/// Why a version cannot be had: what was found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

/// Another version of an export's plugin, which accepts the export's settings.
pub struct Supplied {
    /// The plugin.
    pub plugin: Plugin,
    /// Its way to the destination, under the same credential and quota as any other version's.
    pub http: Http,
}

/// Loads versions by the SHA-256 of their component, for one export.
pub trait VersionSource: Send + Sync + 'static {
    /// Loads one, off the data path, and asks whether it accepts the export's settings.
    fn version<'a>(&'a self, sha256: &'a str) -> BoxFuture<'a, Result<Supplied, Unfit>>;
}

/// The same, as the work on an export wants it.
pub(in crate::export) trait Bring: Send + Sync + 'static {
    /// Loads one.
    fn bring<'a>(&'a self, sha256: &'a str) -> BoxFuture<'a, Result<Arc<dyn Exporter>, Unfit>>;
}

/// Puts what a source gives into its sandbox.
pub(in crate::export) struct FromSource {
    spec: ExportSpec,
    source: Option<Arc<dyn VersionSource>>,
    /// What every version remembers.
    store: Store,
    capturing: Arc<Capturing>,
    bills: Bills,
}

impl FromSource {
    /// Without a source there is only the version that the export was started with.
    pub fn new(
        spec: &ExportSpec,
        source: Option<Arc<dyn VersionSource>>,
        store: &Store,
        capturing: Arc<Capturing>,
        bills: Bills,
    ) -> Self {
        Self {
            spec: spec.clone(),
            store: store.clone(),
            capturing,
            source,
            bills,
        }
    }

    /// A plugin in its sandbox.
    pub fn sandboxed(&self, plugin: Plugin, http: Http) -> Arc<dyn Exporter> {
        let manifest = &plugin.manifest;
        let usage = self.bills.of(&manifest.name, &manifest.version);
        Arc::new(Sandboxed::new(
            &self.spec,
            plugin,
            http,
            &self.store,
            usage,
            self.capturing.clone(),
        ))
    }
}

impl Bring for FromSource {
    fn bring<'a>(&'a self, sha256: &'a str) -> BoxFuture<'a, Result<Arc<dyn Exporter>, Unfit>> {
        Box::pin(async move {
            let Some(source) = &self.source else {
                return Err(Unfit(
                    "this program has no other version than the one it was started with".to_owned(),
                ));
            };
            let Supplied { plugin, http } = source.version(sha256).await?;
            Ok(self.sandboxed(plugin, http))
        })
    }
}
