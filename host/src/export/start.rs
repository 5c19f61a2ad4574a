//! Starting an export: its store, its versions, and the tasks that work on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bell::Bell;
use super::clock::Clock;
use super::context::Context;
use super::handle::Export;
use super::ingest;
use super::run::drive;
use super::spec::ExportSpec;
use super::versions::{
    self, Bring, FromSource, NoVersion, Rollouts, Running, Supplied, VersionSource, Versions,
};
use crate::capability::Http;
use crate::capability::http::Account;
use crate::capture::Capturing;
use crate::plugin::Plugin;
use crate::store::{LOOK_OUTSIDE, Store, StoreError};
use crate::usage::cpu::on_behalf;
use crate::usage::{Bills, KEEP_EVERY};

/// What an export works with beside its spec.
pub(super) struct Parts {
    pub running: Running,
    pub bring: Box<dyn Bring>,
    pub rollouts: Rollouts,
    pub bills: Bills,
    pub account: Arc<Account>,
    pub store: Store,
    pub clock: Clock,
}

/// Why an export is not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no version of its plugin that it may run.
    #[error(transparent)]
    NoVersion(#[from] NoVersion),
}

impl Export {
    /// Opens the store in `directory` and starts to work, going on where an earlier run was.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(
        spec: ExportSpec,
        plugin: Plugin,
        http: Http,
        directory: &Path,
    ) -> Result<Self, StoreError> {
        let store = Store::open(directory)?;
        let account = http.account();
        let bills = Bills::default();
        let capturing = capturing(&spec, &store, directory)?;
        let bring = FromSource::new(&spec, None, &store, capturing, bills.clone());
        let exporter = bring.sandboxed(plugin, http);
        let running = Running::new(
            Versions::first(
                exporter.version(),
                exporter.routes(),
                Clock::System.now_ms(),
            ),
            exporter,
            None,
        );
        let parts = Parts {
            running,
            bring: Box::new(bring),
            rollouts: Rollouts::default(),
            bills,
            account,
            store,
            clock: Clock::System,
        };
        Self::work(spec, parts).await
    }

    /// The same for an export that can be swapped to other versions of its plugin, which `source`
    /// loads; `plugin` is the one that the configuration names. Swaps with the same `rollouts` are
    /// judged together.
    ///
    /// # Errors
    /// The store's, or what it ran cannot be loaded, and nothing may take its place.
    pub async fn start_swappable(
        spec: ExportSpec,
        configured: Supplied,
        source: Arc<dyn VersionSource>,
        rollouts: Rollouts,
        directory: &Path,
    ) -> Result<Self, StartError> {
        let Supplied { plugin, http } = configured;
        let store = Store::open(directory)?;
        let account = http.account();
        let bills = Bills::default();
        let capturing = capturing(&spec, &store, directory)?;
        let bring = FromSource::new(&spec, Some(source), &store, capturing, bills.clone());
        let configured = bring.sandboxed(plugin, http);
        let (kept, wanted) = store
            .run(|store| Ok((store.versions()?, store.versions_wanted()?)))
            .await?;
        let wanted: Vec<_> = wanted.into_iter().filter_map(|(_, one)| one).collect();
        let now = Clock::System.now_ms();
        let kept = (kept, wanted.as_slice());
        let running = versions::start(&spec.name(), kept, configured, &bring, now).await?;
        let parts = Parts {
            running,
            bring: Box::new(bring),
            rollouts,
            bills,
            account,
            store,
            clock: Clock::System,
        };
        Ok(Self::work(spec, parts).await?)
    }

    /// Records what it starts with, and lets its tasks begin. In this order: from then on each step of
    /// its versions is a task's to record.
    pub(super) async fn work(spec: ExportSpec, parts: Parts) -> Result<Self, StoreError> {
        let Parts {
            running,
            bring,
            rollouts,
            bills,
            account,
            store,
            clock,
        } = parts;
        versions::record_start(&store, &running, clock.now_ms()).await?;
        let changes = spec.changes.clone();
        let context = Arc::new(Context {
            name: spec.name(),
            projection: Arc::new(spec.projection()),
            together: spec.together(),
            usage: running.active().usage().clone(),
            versions: running,
            bring,
            rollouts,
            bills,
            account,
            store,
            clock,
            meters: Arc::default(),
            stop: CancellationToken::new(),
            commands: watch::Sender::new(false),
            activity: Bell::default(),
            source_at_end: watch::Sender::new(changes.is_none()),
            poison: AtomicU32::new(0),
            spec,
        });
        let ingest = changes.map(|from| {
            let work = context.clone();
            tokio::spawn(on_behalf(&context.usage, async move {
                let result = ingest::ingest(work.clone(), from).await;
                tell(&work, &result);
                result
            }))
        });
        tokio::spawn(on_behalf(&context.usage, look_outside(context.clone())));
        let work = context.clone();
        tokio::spawn(on_behalf(&context.usage, async move {
            let result = versions::tend(work.clone()).await;
            tell(&work, &result);
        }));
        let (ending, ended) = watch::channel(false);
        let work = context.clone();
        let driver = on_behalf(&context.usage, async move {
            let result = drive(work.clone()).await;
            tell(&work, &result);
            ending.send_replace(true);
            result
        });
        let driver = tokio::spawn(driver);
        Ok(Self {
            context,
            driver,
            ingest,
            ended,
        })
    }
}

/// What all versions of an export are captured by.
fn capturing(
    spec: &ExportSpec,
    store: &Store,
    directory: &Path,
) -> Result<Arc<Capturing>, StoreError> {
    let capturing = Capturing::new(&spec.name(), directory, spec.tuning.capture_failures);
    capturing.begin(store, Clock::System.now_ms())?;
    Ok(capturing)
}

/// Notices what another process has written: commands, and rows to be sent again. Now and then it
/// sees to it that what was used is kept.
async fn look_outside(context: Arc<Context>) {
    let mut version = None;
    let every = (KEEP_EVERY.as_millis() / LOOK_OUTSIDE.as_millis()) as usize;
    for look in 0.. {
        if look % every == 0 && context.fall_due(context.now_ms()) {
            // A store that fails is noticed by whoever works with it.
            let _ = context.store.run(Store::keep_usage).await;
        }
        let looked = context.store.run(|store| {
            let version = store.outside_version()?;
            Ok((version, !store.commands()?.is_empty()))
        });
        // A store that fails is noticed by whoever works with it.
        let mut changed = false;
        if let Ok((found, waiting)) = looked.await
            && version.replace(found) != Some(found)
        {
            changed = true;
            // That there are none may not be true any more.
            if waiting {
                context.commands.send_replace(true);
            }
            context.versions.tell();
            context.bump();
        }
        if let Some(capturing) = context.exporter().capturing() {
            capturing
                .look(&context.store, changed, context.now_ms())
                .await;
        }
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_OUTSIDE) => {}
        }
    }
}

/// A store that fails ends the whole export, at once and not in silence: what cannot be made
/// durable must not be done.
fn tell(context: &Context, result: &Result<(), StoreError>) {
    if let Err(error) = result {
        tracing::error!(export = %context.name, %error, "ended; what was accepted is kept");
        context.stop.cancel();
    }
}
