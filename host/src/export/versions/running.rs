//! The versions that an export works with right now: whose turn a batch is, and what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{Swap, SwapOutcome, Version, Versions};
use super::tally::Observation;
use crate::export::bell::{Bell, Ear};
use crate::export::exporter::Exporter;

/// The largest share of batches that a candidate is given beside a version that works, in percent. The other
/// half is what it is compared with, destination by destination; and whatever it does not get through finds
/// somebody else at the next try.
const HALF: u8 = 50;

/// What runs. Whoever makes a call holds on to the version that it began with.
pub(in crate::export) struct Running {
    inner: Mutex<Inner>,
    /// Rings when batches can be planned anew, since another version works.
    changed: Bell,
    /// Rings when there is something for `tend` to look at.
    told: Bell,
    shown: Shown,
}

struct Inner {
    versions: Versions,
    active: Arc<dyn Exporter>,
    candidate: Option<Arc<dyn Exporter>>,
    /// Others that were loaded: the version before, and those that began jobs which have not ended.
    earlier: BTreeMap<String, Arc<dyn Exporter>>,
    /// Batches that were given to the active version and to the candidate.
    picked: (u64, u64),
}

/// The version that works now, for whoever watches.
#[derive(Clone, Debug)]
pub(in crate::export) struct Shown(Arc<Mutex<Version>>);

impl Shown {
    /// It begins with this one.
    pub fn new(version: Version) -> Self {
        Self(Arc::new(Mutex::new(version)))
    }

    /// The one that works now.
    pub fn version(&self) -> Version {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, version: &Version) {
        version.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whose turn a batch is.
pub(in crate::export) struct Turn {
    /// Who delivers it.
    pub by: Arc<dyn Exporter>,
    /// Who has the last word if `by` is a candidate.
    pub arbiter: Option<Arc<dyn Exporter>>,
    /// The swap under way.
    swap: Option<String>,
}

impl Turn {
    /// Whose word rows are settled by.
    pub fn judge(&self) -> &Arc<dyn Exporter> {
        self.arbiter.as_ref().unwrap_or(&self.by)
    }
}

impl Running {
    pub fn new(
        versions: Versions,
        active: Arc<dyn Exporter>,
        candidate: Option<Arc<dyn Exporter>>,
    ) -> Self {
        Self {
            shown: Shown::new(versions.active.clone()),
            inner: Mutex::new(Inner {
                versions,
                active,
                candidate,
                earlier: BTreeMap::new(),
                picked: (0, 0),
            }),
            changed: Bell::default(),
            told: Bell::default(),
        }
    }

    /// The version that works.
    pub fn active(&self) -> Arc<dyn Exporter> {
        self.inner().active.clone()
    }

    /// The version that works, for whoever watches.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// What is kept of versions.
    pub fn versions(&self) -> Versions {
        self.inner().versions.clone()
    }

    /// The version that is being tried.
    pub fn candidate(&self) -> Option<Arc<dyn Exporter>> {
        self.inner().candidate.clone()
    }

    /// Every version that is loaded beside the one that works.
    pub fn others(&self) -> Vec<Arc<dyn Exporter>> {
        let inner = self.inner();
        let others = inner.candidate.iter().chain(inner.earlier.values());
        others.cloned().collect()
    }

    /// Rows that both versions take in one call, as their manifests have it; 0 says nothing.
    pub fn deliver_rows(&self) -> u32 {
        let inner = self.inner();
        std::iter::once(&inner.active)
            .chain(&inner.candidate)
            .map(|exporter| exporter.manifest().limits.deliver_rows)
            .filter(|&rows| rows > 0)
            .min()
            .unwrap_or(0)
    }

    /// Whose turn the next batch of the export is: the candidate's as soon as it has had less than its
    /// share.
    pub fn turn(&self, export: &str) -> Turn {
        let mut inner = self.inner();
        let Inner {
            versions,
            active,
            candidate,
            picked,
            ..
        } = &mut *inner;
        let swap = versions.swap.as_ref();
        let share = swap.map_or(0, |swap| swap.share(export));
        let id = swap.map(|swap| swap.id.clone());
        let due = picked.1 * 100 < u64::from(share) * (picked.0 + picked.1 + 1);
        match candidate {
            Some(candidate) if due => {
                picked.1 += 1;
                Turn {
                    by: candidate.clone(),
                    arbiter: Some(active.clone()),
                    swap: id,
                }
            }
            _ => {
                picked.0 += 1;
                Turn {
                    by: active.clone(),
                    arbiter: None,
                    swap: id,
                }
            }
        }
    }

    /// What came of a batch. A swap that ended meanwhile does not care any more.
    pub fn observe(&self, turn: &Turn, seen: &Observation) {
        let mut inner = self.inner();
        let Some(swap) = &mut inner.versions.swap else {
            return;
        };
        if turn.swap.as_deref() != Some(&swap.id) {
            return;
        }
        let news = match turn.arbiter {
            Some(_) => {
                swap.new.add(seen);
                true
            }
            None => {
                swap.old.add(seen);
                swap.new.compare(seen)
            }
        };
        drop(inner);
        if news {
            self.told.ring();
        }
    }

    /// What a swap's beginning makes of it, once it is durable.
    pub fn begin(&self, versions: Versions, candidate: Arc<dyn Exporter>) {
        let mut inner = self.inner();
        inner.versions = versions;
        inner.candidate = Some(candidate);
        inner.picked = (0, 0);
        drop(inner);
        self.changed.ring();
    }

    /// What a swap's end makes of it, once it is durable.
    pub fn end(&self, versions: Versions, outcome: SwapOutcome) {
        let mut inner = self.inner();
        self.shown.set(&versions.active);
        inner.versions = versions;
        if let Some(candidate) = inner.candidate.take()
            && outcome == SwapOutcome::Promoted
        {
            let old = std::mem::replace(&mut inner.active, candidate);
            inner.earlier.insert(old.component().to_owned(), old);
        }
        drop(inner);
        self.changed.ring();
    }

    /// What is durable now, where no version comes or goes. What batches came to meanwhile stays.
    pub fn note(&self, versions: Versions) {
        let mut inner = self.inner();
        let before = std::mem::replace(&mut inner.versions, versions);
        if let (Some(swap), Some(before)) = (&mut inner.versions.swap, before.swap)
            && swap.id == before.id
        {
            (swap.old, swap.new) = (before.old, before.new);
        }
    }

    /// A version that was loaded before.
    pub fn known(&self, sha256: &str) -> Option<Arc<dyn Exporter>> {
        let inner = self.inner();
        let mut now = std::iter::once(&inner.active).chain(&inner.candidate);
        now.find(|exporter| exporter.component() == sha256)
            .or_else(|| inner.earlier.get(sha256))
            .cloned()
    }

    /// Keeps a version for the jobs that it began.
    pub fn keep(&self, exporter: &Arc<dyn Exporter>) {
        let sha256 = exporter.component().to_owned();
        self.inner().earlier.insert(sha256, exporter.clone());
    }

    /// Gives up those that were kept for jobs, but for what is still needed.
    pub fn forget(&self, needed: &[String]) {
        let mut inner = self.inner();
        inner.earlier.retain(|sha256, _| needed.contains(sha256));
    }

    /// Hears of every change of versions from now on.
    pub fn changes(&self) -> Ear {
        self.changed.listen()
    }

    /// Hears when there is something to look at from now on.
    pub fn tellings(&self) -> Ear {
        self.told.listen()
    }

    /// There is something to look at.
    pub fn tell(&self) {
        self.told.ring();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Swap {
    /// The candidate is given all batches from now on, since the active version gets none through: it works
    /// alone. Whether it did not before.
    pub(super) fn widen(&mut self) -> bool {
        let was_alone = std::mem::replace(&mut self.alone, true);
        self.plan.percent = 100;
        self.plan.leaders.clear();
        !was_alone
    }

    /// The share of an export's batches that the candidate is given, in percent.
    fn share(&self, export: &str) -> u8 {
        let leaders = &self.plan.leaders;
        if self.decided {
            return 0;
        }
        let share = match leaders.is_empty() {
            true => self.plan.percent,
            false if leaders.iter().any(|leader| leader == export) => 100,
            false => 0,
        };
        match self.alone {
            true => share,
            false => share.min(HALF),
        }
    }
}
