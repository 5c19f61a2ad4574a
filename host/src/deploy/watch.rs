//! Notices that what the configuration names has changed: a file, or where a channel points. Each export
//! that is concerned is told through its store.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::sweep::sweep;
use super::{Deployed, Supply};
use crate::blocking::blocking;
use crate::export::{Plan, Version, Wanted, swap_id};
use crate::plugin::{ComponentFile, Engine};
use crate::store::{Store, StoreError};

/// How often files are looked at. Looking costs next to nothing, and who replaces a file waits for it.
const LOOK: Duration = Duration::from_secs(1);

/// How often components are swept that nobody needs any more.
const SWEEP: Duration = Duration::from_secs(3_600);

/// After what failed, before it is tried again: a store that is busy is free by then. Twice as long each time
/// for the same files, ...
const AGAIN: Duration = Duration::from_secs(2);

/// ... up to this: a compilation without end shall not be all that the machine does.
const AGAIN_CAP: Duration = Duration::from_secs(300);

/// Exports that run, by what the configuration says of their plugin.
pub struct Watch {
    engine: Engine,
    sources: Vec<Source>,
}

struct Source {
    supply: Supply,
    exports: Vec<Watched>,
    looked: Looked,
}

/// An export that is told.
pub struct Watched {
    supply: Supply,
    name: String,
    directory: PathBuf,
    plan: Plan,
}

/// What was seen, what was acted on with success, and what failed.
#[derive(Default)]
struct Looked {
    seen: Option<Mark>,
    done: Option<Mark>,
    failed: Option<Failed>,
}

struct Failed {
    mark: Mark,
    times: u32,
    again: Instant,
}

/// By what a file that was replaced, or signed, is told from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    path: PathBuf,
    component: Stamp,
    signature: Option<Stamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
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

    /// Watches what an export runs, which has just been started.
    pub fn add(&mut self, watched: Watched) {
        let same = |source: &&mut Source| source.supply.is_like(&watched.supply);
        match self.sources.iter_mut().find(same) {
            Some(source) => source.exports.push(watched),
            None => self.sources.push(Source {
                supply: watched.supply.clone(),
                exports: vec![watched],
                looked: Looked::default(),
            }),
        }
    }

    /// What there is to watch of an export that is to be started.
    pub fn of(deployed: &Deployed) -> Watched {
        let tuning = &deployed.spec.tuning;
        Watched {
            supply: deployed.supply.clone(),
            name: deployed.spec.name(),
            directory: deployed.directory.clone(),
            plan: Plan {
                percent: tuning.canary_percent,
                batches: tuning.canary_batches,
                leaders: vec![],
            },
        }
    }

    /// Looks for as long as it is let. `now` makes it look at once, and act without waiting for a file
    /// to rest, whatever came of it before.
    pub async fn run(mut self, now: Arc<Notify>) {
        let mut swept: Option<Instant> = None;
        loop {
            let at_once = tokio::select! {
                biased;
                () = now.notified() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            for source in &mut self.sources {
                source.look(&self.engine, at_once).await;
            }
            if swept.is_none_or(|last| last.elapsed() > SWEEP) {
                swept = Some(Instant::now());
                self.sweep().await;
            }
        }
    }
}

impl Watch {
    /// All exports keep their components in one place.
    async fn sweep(&self) {
        let Some(source) = self.sources.first() else {
            return;
        };
        let registry = source.supply.registry().clone();
        match blocking(move || sweep(&registry)).await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => {
                tracing::info!(components = ?gone, "taken away: swaps have left them, and nobody needs them")
            }
            Err(error) => {
                tracing::warn!(%error, "components that swaps have left are kept, since who needs them is not known");
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
        if !self.looked.is_due(&mark, at_once, Instant::now()) {
            return;
        }
        match self.act(engine, &mark).await {
            true => self.looked.did(mark),
            false => self.looked.failed(mark, Instant::now()),
        }
    }

    /// Loads what the configuration leads to, keeps it, and tells every export. Whether all of it was done.
    async fn act(&self, engine: &Engine, mark: &Mark) -> bool {
        let plugin = match self.supply.load(engine).await {
            Ok(plugin) => plugin,
            Err(error) => {
                tracing::error!(
                    path = %mark.path.display(), %error,
                    "what the configuration names now cannot be loaded; everything goes on as it was. It is tried again; \
                     SIGHUP does so at once"
                );
                return false;
            }
        };
        let (supply, kept) = (self.supply.clone(), plugin.clone());
        if let Err(error) = blocking(move || supply.keep(&kept)).await {
            tracing::error!(path = %mark.path.display(), %error, "the new component cannot be kept; trying again");
            return false;
        }
        let (manifest, seen) = (&plugin.manifest, &plugin.inspection);
        let to = Version {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: seen.sha256.clone(),
            contract: seen.contract.clone(),
        };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut all = true;
        for export in &self.exports {
            if let Err(error) = export.tell(&to, now_ms).await {
                all = false;
                tracing::error!(export = %export.name, %error, "cannot be told of another version; trying again");
            }
        }
        all
    }
}

impl Looked {
    /// Whether it is time to act on what is there.
    fn is_due(&mut self, mark: &Mark, at_once: bool, now: Instant) -> bool {
        // A file that is being copied changes between two looks.
        let rests = self.seen.as_ref() == Some(mark);
        self.seen = Some(mark.clone());
        let failed = self.failed.as_ref().filter(|failed| failed.mark == *mark);
        let waits = failed.is_some_and(|failed| now < failed.again);
        at_once || (rests && self.done.as_ref() != Some(mark) && !waits)
    }

    fn did(&mut self, mark: Mark) {
        self.done = Some(mark);
        self.failed = None;
    }

    fn failed(&mut self, mark: Mark, now: Instant) {
        let before = self.failed.take().filter(|failed| failed.mark == mark);
        let times = before.map_or(0, |failed| failed.times + 1);
        let pause = AGAIN.saturating_mul(2_u32.saturating_pow(times));
        self.failed = Some(Failed {
            mark,
            times,
            again: now + pause.min(AGAIN_CAP),
        });
        self.done = None;
    }
}

impl Watched {
    /// Wants a swap, if the export has not considered this component yet and nobody has wanted it before.
    async fn tell(&self, to: &Version, now_ms: i64) -> Result<(), StoreError> {
        let (directory, plan, to) = (self.directory.clone(), self.plan.clone(), to.clone());
        let name = self.name.clone();
        blocking(move || {
            let store = Store::open_beside(&directory)?;
            let news = store
                .versions()?
                .is_some_and(|versions| versions.is_news(&to.sha256));
            let is_told = |wanted: &Wanted| match wanted {
                Wanted::Begin { configured, .. } | Wanted::Withdrawn { configured, .. } => {
                    configured.as_ref() == Some(&to.sha256)
                }
                Wanted::Promote { .. } | Wanted::RollBack { .. } | Wanted::GoBack { .. } => false,
            };
            let wanted = store.versions_wanted()?;
            if !news || wanted.iter().filter_map(|(_, one)| one.as_ref()).any(is_told) {
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
    Some(Mark {
        component: stamp(&path)?,
        signature: stamp(&ComponentFile::signature_beside(&path)),
        path,
    })
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        bytes: metadata.len(),
        changed: metadata.modified().ok(),
        inode: inode(&metadata),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(bytes: u64, signed: bool) -> Mark {
        let stamp = |bytes| Stamp {
            bytes,
            changed: None,
            inode: 1,
        };
        Mark {
            path: PathBuf::from("plugin.wasm"),
            component: stamp(bytes),
            signature: signed.then(|| stamp(9)),
        }
    }

    #[test]
    fn what_rests_is_acted_on_once_and_what_failed_again_after_a_pause_or_a_change() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut looked = Looked::default();
        assert!(
            !looked.is_due(&mark(1, false), false, at(0)),
            "it may still grow"
        );
        assert!(looked.is_due(&mark(1, false), false, at(1)));
        looked.failed(mark(1, false), at(1));
        // Twice as long each time, and not without end.
        for (second, due) in [
            (2, false),
            (3, true),
            (6, false),
            (7, true),
            (14, false),
            (15, true),
        ] {
            assert_eq!(
                looked.is_due(&mark(1, false), false, at(second)),
                due,
                "{second}"
            );
            if due {
                looked.failed(mark(1, false), at(second));
            }
        }
        for _ in 0..40 {
            looked.failed(mark(1, false), at(20));
        }
        assert!(looked.is_due(&mark(1, false), false, at(20) + AGAIN_CAP));
        // A signature that comes later is a change, and does not wait.
        assert!(!looked.is_due(&mark(1, true), false, at(21)));
        assert!(looked.is_due(&mark(1, true), false, at(22)));
        looked.did(mark(1, true));
        assert!(!looked.is_due(&mark(1, true), false, at(23)));
        // Whoever asks for it gets it.
        assert!(looked.is_due(&mark(1, true), true, at(23)));
    }
}
