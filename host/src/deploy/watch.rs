//! Notices that what the configuration names has changed: a file, or where a channel points. Each export
//! that is concerned is told through its store.

use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::{Deployed, Supply};
use crate::blocking::blocking;
use crate::export::{Plan, Version, Wanted, swap_id};
use crate::plugin::Engine;
use crate::store::{Store, StoreError};

/// How often files are looked at. Looking costs next to nothing, and who replaces a file waits for it.
const LOOK: Duration = Duration::from_secs(1);

/// Exports that run, by what the configuration says of their plugin.
pub struct Watch {
    engine: Engine,
    sources: Vec<Source>,
}

struct Source {
    supply: Supply,
    exports: Vec<Watched>,
    /// What was last seen, and what was last acted on.
    seen: Option<Mark>,
    done: Option<Mark>,
}

struct Watched {
    name: String,
    directory: PathBuf,
    plan: Plan,
}

/// By what a file that was replaced is told from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    path: PathBuf,
    bytes: u64,
    changed: Option<SystemTime>,
    inode: u64,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            sources: vec![],
        }
    }

    /// Watches what an export runs, which has just been loaded.
    pub fn add(&mut self, deployed: &Deployed) {
        let tuning = &deployed.spec.tuning;
        let watched = Watched {
            name: deployed.spec.name(),
            directory: deployed.directory.clone(),
            plan: Plan {
                percent: tuning.canary_percent,
                batches: tuning.canary_batches,
                leaders: vec![],
            },
        };
        let same = |source: &&mut Source| source.supply.is_like(&deployed.supply);
        match self.sources.iter_mut().find(same) {
            Some(source) => source.exports.push(watched),
            None => self.sources.push(Source {
                supply: deployed.supply.clone(),
                exports: vec![watched],
                seen: None,
                done: None,
            }),
        }
    }

    /// Looks for as long as it is let. `now` makes it look at once, and act without waiting for a file
    /// to rest.
    pub async fn run(mut self, now: Arc<Notify>) {
        loop {
            let at_once = tokio::select! {
                biased;
                () = now.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            for source in &mut self.sources {
                source.look(&self.engine, at_once).await;
            }
        }
    }
}

impl Source {
    async fn look(&mut self, engine: &Engine, at_once: bool) {
        let supply = self.supply.clone();
        let Some(mark) = blocking(move || mark(&supply)).await else {
            // Between a removal and a rename there may be nothing for a moment.
            return;
        };
        let rests = self.seen.as_ref() == Some(&mark);
        self.seen = Some(mark.clone());
        // A file that is being copied changes between two looks.
        if self.done.as_ref() == Some(&mark) || !(rests || at_once) {
            return;
        }
        self.done = Some(mark.clone());
        let plugin = match self.supply.load(engine).await {
            Ok(plugin) => plugin,
            Err(error) => {
                tracing::error!(
                    path = %mark.path.display(), %error,
                    "what the configuration names now cannot be loaded; everything goes on as it was"
                );
                return;
            }
        };
        let (supply, kept) = (self.supply.clone(), plugin.clone());
        if let Err(error) = blocking(move || supply.keep(&kept)).await {
            // The next look finds the file changed.
            self.done = None;
            tracing::error!(path = %mark.path.display(), %error, "the new component cannot be kept; trying again");
            return;
        }
        let (manifest, seen) = (&plugin.manifest, &plugin.inspection);
        let to = Version {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: seen.sha256.clone(),
            contract: seen.contract.clone(),
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        for export in &self.exports {
            if let Err(error) = export.tell(&to, now_ms).await {
                tracing::error!(export = %export.name, %error, "cannot be told of another version");
            }
        }
    }
}

impl Watched {
    /// Wants a swap, if the export has not considered this component yet.
    async fn tell(&self, to: &Version, now_ms: i64) -> Result<(), StoreError> {
        let (directory, plan, to) = (self.directory.clone(), self.plan.clone(), to.clone());
        let name = self.name.clone();
        blocking(move || {
            let store = Store::open_beside(&directory)?;
            let news = store
                .versions()?
                .is_some_and(|versions| versions.is_news(&to.sha256));
            if !news {
                return Ok(());
            }
            tracing::info!(export = %name, version = %to, "the configuration leads to another version");
            let wanted = Wanted::Begin {
                id: swap_id(&to.sha256, now_ms),
                configured: Some(to.sha256.clone()),
                to,
                plan,
                routes: vec![],
            };
            store.want_version(&wanted, now_ms)
        })
        .await
    }
}

/// What the configuration leads to right now; nothing if there is nothing.
fn mark(supply: &Supply) -> Option<Mark> {
    let path = supply.path().ok()?;
    let metadata = std::fs::metadata(&path).ok()?;
    Some(Mark {
        bytes: metadata.len(),
        changed: metadata.modified().ok(),
        inode: inode(&metadata),
        path,
    })
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.ino()
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
