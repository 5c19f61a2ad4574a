//! Other versions of the plugin, and what is wrong with some of them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::destination::{Remote, Scripted};
use super::dice::Dice;
use crate::export::exporter::Exporter;
use crate::export::versions::{Bring, Plan, Unfit, Version, Wanted, swap_id};
use crate::usage::Bills;

/// The component that every export begins with.
pub(super) const FIRST: &str = "good-0";

/// What the name of a component begins with that takes long to load ...
const LATE: &str = "late";

/// ... namely so long, in virtual time: until after somebody has had second thoughts.
const LOADING: Duration = Duration::from_secs(3);

/// What is wrong with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    None,
    /// It knows nothing of the jobs that others have begun.
    Forgets,
    /// It crashes now and then, wherever it is in a batch.
    Traps,
    /// It rejects every row, without asking anybody.
    Rejects,
    /// It has every row sent again, and never asks anybody.
    Stuck,
    /// It says that it cannot work.
    Refuses,
    /// It asks for more routes.
    Greedy,
    /// It cannot be loaded.
    Missing,
}

impl Flaw {
    pub fn of(component: &str) -> Self {
        match component.split('-').next() {
            Some("forgets") => Self::Forgets,
            Some("traps") => Self::Traps,
            Some("rejects") => Self::Rejects,
            Some("stuck") => Self::Stuck,
            Some("refuses") => Self::Refuses,
            Some("greedy") => Self::Greedy,
            Some("missing") => Self::Missing,
            _ => Self::None,
        }
    }

    /// Whether a version with it must never become active.
    pub fn is_bad(self) -> bool {
        !matches!(self, Self::None | Self::Forgets)
    }
}

/// Where versions come from in one life of the program.
pub(super) struct Shelf {
    pub remote: Arc<Mutex<Remote>>,
    pub held: Arc<AtomicU64>,
    pub bills: Bills,
}

impl Shelf {
    pub fn version(&self, component: &str) -> Arc<dyn Exporter> {
        let (remote, held) = (self.remote.clone(), self.held.clone());
        Arc::new(Scripted::new(remote, held, &self.bills, component))
    }
}

impl Bring for Shelf {
    fn bring<'a>(&'a self, sha256: &'a str) -> BoxFuture<'a, Result<Arc<dyn Exporter>, Unfit>> {
        Box::pin(async move {
            if sha256.starts_with(LATE) {
                tokio::time::sleep(LOADING).await;
            }
            match Flaw::of(sha256) {
                Flaw::Missing => Err(Unfit("it is not there".to_owned())),
                _ => Ok(self.version(sha256)),
            }
        })
    }
}

/// What a component says of itself.
pub(super) fn version(component: &str) -> Version {
    Version {
        name: "scripted".to_owned(),
        version: component.to_owned(),
        sha256: component.to_owned(),
        contract: "0.1.0".to_owned(),
    }
}

/// A swap that somebody wants, to a version that may be bad only where there are batches to tell by.
pub(super) fn wanted(dice: &mut Dice, has_backfill: bool, now_ms: i64) -> Wanted {
    let kind = match has_backfill {
        true => dice.pick(&["good", "good", "forgets", "greedy", "missing"]),
        false => dice.pick(&[
            "good", "good", "traps", "rejects", "stuck", "refuses", "greedy", "missing",
        ]),
    };
    let component = format!("{kind}-{}", dice.below(3));
    let batches = match Flaw::of(&component) {
        // However few it has to get through: it gets none.
        Flaw::Stuck => 1,
        flaw if flaw.is_bad() => 30,
        _ => dice.pick(&[0, 1, 5]),
    };
    Wanted::Begin {
        id: swap_id(&component, now_ms),
        to: version(&component),
        configured: None,
        plan: Plan {
            percent: dice.pick(&[10, 50, 100]),
            batches,
            leaders: vec![],
        },
        routes: vec![],
    }
}
