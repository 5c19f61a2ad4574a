//! Which version an export starts with.

use std::sync::Arc;

use super::record::{Version, Versions, Wanted};
use super::running::Running;
use super::source::Bring;
use super::{SwapOutcome, new_routes};
use crate::export::exporter::Exporter;
use crate::store::{Store, StoreError};

/// Why an export is not started: the version that it ran cannot be had, and no other may take its place
/// without a person's word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it ran {ran}, which cannot be loaded: {unfit}. The configured {configured} does not take its place: {why}. \
     Mend that, and start again; or say what is to run, and start again: `sluice plugin swap {} FILE`", ran.name
)]
pub struct NoVersion {
    /// The version that it ran.
    pub ran: Version,
    /// Why that cannot be loaded.
    pub unfit: String,
    /// The version that the configuration leads to.
    pub configured: Version,
    /// Why that does not take its place.
    pub why: String,
}

/// Decides by what is kept, what is wanted, and what the configuration leads to, and loads what is missing.
/// What the configuration says counts if it is news: then it is taken at once, without a canary, for that is
/// what a restart with another file means. Else the export goes on as it was: swapped, rolled back, or in
/// the middle of a swap.
///
/// # Errors
/// The version that it ran cannot be loaded, and nothing may take its place.
pub(in crate::export) async fn start(
    export: &str,
    (kept, wanted): (Option<Versions>, &[Wanted]),
    configured: Arc<dyn Exporter>,
    bring: &dyn Bring,
    now_ms: i64,
) -> Result<Running, NoVersion> {
    let found = configured.version();
    let Some(mut versions) = kept else {
        let versions = Versions::first(found, configured.routes(), now_ms);
        return Ok(Running::new(versions, configured, None));
    };
    let was_active = match versions.active.sha256 == found.sha256 {
        true => Ok(configured.clone()),
        false => bring.bring(&versions.active.sha256).await,
    };
    let active = match was_active {
        Ok(active) => active,
        Err(unfit) => {
            let lost = Lost {
                versions,
                unfit: unfit.to_string(),
                configured,
            };
            return lost.replaced(export, wanted, bring, now_ms).await;
        }
    };
    // The configuration may grant others by now.
    versions.routes = active.routes();
    for wish in wanted {
        // What was withdrawn was considered, and is not to come by way of a restart.
        if let Wanted::Withdrawn {
            configured: Some(configured),
            ..
        } = wish
        {
            versions.configured.clone_from(configured);
        }
    }
    if versions.is_news(&found.sha256) {
        versions.configured.clone_from(&found.sha256);
        if versions.active.sha256 == found.sha256 {
            return Ok(Running::new(versions, active, None));
        }
        let id = super::swap_id(&found.sha256, now_ms);
        let more = new_routes(&versions.routes, configured.as_ref(), &[]);
        if more.is_empty() {
            let why = "the configuration named it when sluice was started";
            versions.end(SwapOutcome::RolledBack, why, now_ms);
            tracing::info!(%export, from = %versions.active, to = %found, "another version of the plugin");
            versions.take(&id, &found, why, now_ms);
            versions.routes = configured.routes();
            let running = Running::new(versions, configured, None);
            running.keep(&active);
            return Ok(running);
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
    Ok(Running::new(versions, active, candidate))
}

/// An export whose version cannot be loaded.
struct Lost {
    versions: Versions,
    unfit: String,
    configured: Arc<dyn Exporter>,
}

impl Lost {
    /// What takes its place: the version that somebody wants it to be swapped to, or the configured one if
    /// that is news. One that was considered before was refused, rolled back, or swapped away from.
    async fn replaced(
        self,
        export: &str,
        wanted: &[Wanted],
        bring: &dyn Bring,
        now_ms: i64,
    ) -> Result<Running, NoVersion> {
        let found = self.configured.version();
        let swap = wanted.iter().rev().find_map(|wanted| match wanted {
            Wanted::Begin { id, to, routes, .. } => Some((id, to, routes.as_slice())),
            _ => None,
        });
        let taken = match swap {
            Some((id, to, agreed)) if to.sha256 == found.sha256 => {
                Ok((id.clone(), self.configured.clone(), agreed))
            }
            Some((id, to, agreed)) => match bring.bring(&to.sha256).await {
                Ok(exporter) => Ok((id.clone(), exporter, agreed)),
                Err(unfit) => Err(format!("{to} is wanted, and cannot be loaded: {unfit}")),
            },
            None if self.versions.is_news(&found.sha256) => {
                let id = super::swap_id(&found.sha256, now_ms);
                Ok((id, self.configured.clone(), &[][..]))
            }
            None => Err("it was considered before, and is not what ran".to_owned()),
        };
        let fits = taken.and_then(|(id, exporter, agreed)| {
            let more = new_routes(&self.versions.routes, exporter.as_ref(), agreed);
            match more.is_empty() {
                true => Ok((id, exporter)),
                false => Err(super::asks_for(&more)),
            }
        });
        let (id, exporter) = fits.map_err(|why| NoVersion {
            ran: self.versions.active.clone(),
            unfit: self.unfit.clone(),
            configured: found.clone(),
            why,
        })?;
        let (mut versions, to) = (self.versions, exporter.version());
        let why = format!("the version before it cannot be loaded: {}", self.unfit);
        tracing::warn!(%export, from = %versions.active, %to, %why, "another version of the plugin");
        versions.end(SwapOutcome::RolledBack, &why, now_ms);
        versions.take(&id, &to, &why, now_ms);
        versions.configured.clone_from(&found.sha256);
        versions.routes = exporter.routes();
        Ok(Running::new(versions, exporter, None))
    }
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
