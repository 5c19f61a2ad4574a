//! Which version an export starts with.

use std::sync::Arc;

use super::record::Versions;
use super::running::Running;
use super::source::Bring;
use super::{SwapOutcome, new_routes};
use crate::export::exporter::Exporter;
use crate::store::{Store, StoreError};

/// Decides by what is kept and what the configuration leads to, and loads what is missing. What the
/// configuration says counts if it is news: then it is taken at once, without a canary, for that is
/// what a restart with another file means. Else the export goes on as it was: swapped, rolled back, or in
/// the middle of a swap.
pub(in crate::export) async fn start(
    export: &str,
    kept: Option<Versions>,
    configured: Arc<dyn Exporter>,
    bring: &dyn Bring,
    now_ms: i64,
) -> Running {
    let found = configured.version();
    let Some(mut versions) = kept else {
        return Running::new(Versions::first(found, now_ms), configured, None);
    };
    let id = super::swap_id(&found.sha256, now_ms);
    let was_active = match versions.active.sha256 == found.sha256 {
        true => Ok(configured.clone()),
        false => bring.bring(&versions.active.sha256).await,
    };
    let active = match was_active {
        Ok(active) => active,
        Err(unfit) => {
            tracing::warn!(
                %export, version = %versions.active, %unfit,
                "the version that ran before cannot be loaded; the configured one takes its place"
            );
            if versions.active.sha256 != found.sha256 {
                let why = format!("the version before it cannot be loaded: {unfit}");
                versions.end(SwapOutcome::RolledBack, &why, now_ms);
                versions.take(&id, &found, &why, now_ms);
            }
            versions.configured.clone_from(&found.sha256);
            return Running::new(versions, configured, None);
        }
    };
    if versions.is_news(&found.sha256) {
        versions.configured.clone_from(&found.sha256);
        if versions.active.sha256 == found.sha256 {
            return Running::new(versions, active, None);
        }
        let more = new_routes(active.as_ref(), configured.as_ref(), &[]);
        if more.is_empty() {
            let why = "the configuration named it when sluice was started";
            versions.end(SwapOutcome::RolledBack, why, now_ms);
            tracing::info!(%export, from = %versions.active, to = %found, "another version of the plugin");
            versions.take(&id, &found, why, now_ms);
            let running = Running::new(versions, configured, None);
            running.keep(&active);
            return running;
        }
        let why = super::asks_for(&more);
        tracing::error!(%export, version = %found, %why, "the configured version is refused; the one before stays");
        versions.refuse(&id, &found, &why, now_ms);
    }
    let candidate = match &versions.swap {
        None => None,
        Some(swap) if swap.to.sha256 == found.sha256 => Some(configured),
        Some(swap) => match bring.bring(&swap.to.sha256).await {
            Ok(candidate) => Some(candidate),
            Err(unfit) => {
                let why = format!("the candidate cannot be loaded any more: {unfit}");
                versions.end(SwapOutcome::RolledBack, &why, now_ms);
                None
            }
        },
    };
    Running::new(versions, active, candidate)
}

/// Makes durable what an export starts with, and keeps what its versions use from now on.
///
/// # Errors
/// The store's.
pub(in crate::export) async fn record_start(
    store: &Store,
    running: &Running,
    now_ms: i64,
) -> Result<(), StoreError> {
    let (active, others, versions) = (running.active(), running.others(), running.versions());
    store
        .run(move |store| {
            let manifest = active.manifest();
            let by = (manifest.name.as_str(), manifest.version.as_str());
            store.meter(by, active.usage(), now_ms)?;
            for other in others {
                meter(store, other.as_ref(), now_ms)?;
            }
            store.record_versions(&versions, None)
        })
        .await
}

/// Keeps what a version uses that works beside the one that an export was started with.
pub(super) fn meter(store: &Store, exporter: &dyn Exporter, now_ms: i64) -> Result<(), StoreError> {
    let manifest = exporter.manifest();
    let by = (manifest.name.as_str(), manifest.version.as_str());
    store.meter_too(by, exporter.usage(), now_ms)
}
