//! Which versions of its plugin an export runs, as it is kept. Pure: what a swap's beginning and end
//! make of it.

use serde::{Deserialize, Serialize};

use super::tally::Tally;

/// One version of a plugin: what it says of itself, and the component itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The plugin's name.
    pub name: String,
    /// Its version, as it says.
    pub version: String,
    /// The component's SHA-256, in hexadecimal: two builds may call themselves the same.
    pub sha256: String,
    /// The version of the contract that it was built for.
    pub contract: String,
}

/// How a candidate proves itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The share of batches that the candidate is given, in percent, from 1 to 100; half of them at most as
    /// long as there is another version to be compared with.
    pub percent: u8,
    /// Batches that it has to get through, over all exports of the swap. 0 promotes it at once.
    pub batches: u32,
    /// The exports, as `tenant/export`, that go first, with the largest share of their batches; the others
    /// wait for them. Without any, all exports go first, with their share.
    pub leaders: Vec<String>,
}

/// What is wanted of an export. Handed over through its store, so that it is durable and works from
/// another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "want", rename_all = "kebab-case")]
pub enum Wanted {
    /// A swap to another version.
    Begin {
        /// The swap's name: the same for all exports that are swapped together.
        id: String,
        /// To which version. The component lies in the registry.
        to: Version,
        /// The SHA-256 that the configuration leads to, if that is why.
        configured: Option<String>,
        /// How it proves itself.
        plan: Plan,
        /// The routes that the operator has agreed to, beside those of the active version.
        routes: Vec<String>,
    },
    /// A swap that was wanted and had not begun is wanted no more. It stands where its `Begin` stood.
    Withdrawn {
        /// The swap's name.
        id: String,
        /// To which version it was.
        to: Version,
        /// What the configuration led to, if that was why.
        configured: Option<String>,
    },
    /// The swap under way ends well, whatever the batches say.
    Promote {
        /// Which swap is meant: a word that comes late is nothing to the next one. Without a name it is
        /// whichever is under way.
        #[serde(default)]
        swap: Option<String>,
    },
    /// The swap under way ends, and the active version stays; or the export goes back to the version before,
    /// if the swap has just been promoted, or none was named and none is under way.
    RollBack {
        /// Which swap is meant, as above.
        #[serde(default)]
        swap: Option<String>,
    },
    /// The export goes back to the version that worked before.
    GoBack {
        /// The SHA-256 of the one that works, and is to go. If another one works by then, or is being tried,
        /// nothing happens.
        from: String,
    },
}

/// A swap under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// Its name.
    pub id: String,
    /// The candidate.
    pub to: Version,
    /// When it began, in milliseconds since 1970.
    pub began_ms: i64,
    /// How the candidate proves itself.
    pub plan: Plan,
    /// Whether it is decided, and only waits for the scan to end: one version stages all of a
    /// backfill.
    pub decided: bool,
    /// Whether the candidate works alone, since the active version has stopped for a person: that would only
    /// stop again. There is nothing to compare it with.
    #[serde(default)]
    pub alone: bool,
    /// What the active version did meanwhile.
    pub old: Tally,
    /// What the candidate did.
    pub new: Tally,
}

/// How a swap has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapOutcome {
    /// The candidate is the active version.
    Promoted,
    /// The active version has stayed.
    RolledBack,
    /// It has not begun: the candidate does not fit.
    Refused,
}

impl SwapOutcome {
    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled back",
            Self::Refused => "refused",
        }
    }
}

/// A swap that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSwap {
    /// Its name.
    pub id: String,
    /// The version that was active when it began.
    pub from: Version,
    /// The candidate.
    pub to: Version,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: i64,
    /// How.
    pub outcome: SwapOutcome,
    /// Why.
    pub why: String,
    /// Whether that holds for all exports of the swap: a verdict, or an operator's word.
    pub for_all: bool,
    /// What the active version did meanwhile.
    pub old: Tally,
    /// What the candidate did.
    pub new: Tally,
}

/// All that is kept of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The one that works.
    pub active: Version,
    /// The routes that it may use: what takes its place may ask for no more, unless somebody agrees.
    pub routes: Vec<String>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// The one that worked before it, to go back to: whatever was tried or refused since then.
    pub before: Option<Version>,
    /// The SHA-256 that the configuration led to when this was decided: what the configuration says
    /// counts again once it says something else.
    pub configured: String,
    /// The swap under way.
    pub swap: Option<Swap>,
    /// The last one that has ended.
    pub last: Option<EndedSwap>,
}

impl Versions {
    /// Those of an export that never ran.
    pub fn first(active: Version, routes: Vec<String>, now_ms: i64) -> Self {
        Self {
            configured: active.sha256.clone(),
            active,
            routes,
            since_ms: now_ms,
            before: None,
            swap: None,
            last: None,
        }
    }

    /// Whether a restart finds another version in the configuration than the one that was last
    /// considered. What was swapped while it ran, or rolled back, stays as it is across restarts.
    pub fn is_news(&self, configured: &str) -> bool {
        self.configured != configured
    }

    /// A swap begins. One that is under way gives way.
    pub fn begin(&mut self, id: &str, to: &Version, plan: &Plan, now_ms: i64) {
        if self.swap.is_some() {
            self.end(
                SwapOutcome::RolledBack,
                "a newer swap took its place",
                now_ms,
            );
        }
        self.swap = Some(Swap {
            id: id.to_owned(),
            to: to.clone(),
            began_ms: now_ms,
            plan: plan.clone(),
            decided: false,
            alone: false,
            old: Tally::default(),
            new: Tally::default(),
        });
    }

    /// The swap under way ends.
    pub fn end(&mut self, outcome: SwapOutcome, why: &str, now_ms: i64) {
        let Some(swap) = self.swap.take() else {
            return;
        };
        let ended = EndedSwap {
            id: swap.id,
            from: self.active.clone(),
            to: swap.to,
            at_ms: now_ms,
            outcome,
            why: why.to_owned(),
            for_all: false,
            old: swap.old,
            new: swap.new,
        };
        if outcome == SwapOutcome::Promoted {
            self.before = Some(std::mem::replace(&mut self.active, ended.to.clone()));
            self.since_ms = now_ms;
        }
        self.last = Some(ended);
    }

    /// The same, with a verdict that holds for all exports of the swap.
    pub fn end_for_all(&mut self, outcome: SwapOutcome, why: &str, now_ms: i64) {
        if self.swap.is_some() {
            self.end(outcome, why, now_ms);
            if let Some(last) = &mut self.last {
                last.for_all = true;
            }
        }
    }

    /// Takes another version at once: nothing ran that it could be compared with.
    pub fn take(&mut self, id: &str, to: &Version, why: &str, now_ms: i64) {
        let plan = Plan {
            percent: 100,
            batches: 0,
            leaders: vec![],
        };
        self.begin(id, to, &plan, now_ms);
        self.end(SwapOutcome::Promoted, why, now_ms);
    }

    /// The version that is active is wanted: a swap under way gives way, and whoever asked hears that it is
    /// so.
    pub fn stay(&mut self, id: &str, now_ms: i64) {
        let why = "the active version is wanted again";
        self.end(SwapOutcome::RolledBack, why, now_ms);
        // It may have been taken already, as an export starts.
        if self.last.as_ref().is_none_or(|last| last.id != id) {
            self.last = Some(EndedSwap {
                id: id.to_owned(),
                from: self.active.clone(),
                to: self.active.clone(),
                at_ms: now_ms,
                outcome: SwapOutcome::Promoted,
                why: "it was active already".to_owned(),
                for_all: false,
                old: Tally::default(),
                new: Tally::default(),
            });
        }
    }

    /// A swap is wanted no more before it has begun, and so in every export of it.
    pub fn withdraw(&mut self, id: &str, to: &Version, why: &str, now_ms: i64) {
        self.refuse(id, to, why, now_ms);
        if let Some(last) = &mut self.last {
            last.outcome = SwapOutcome::RolledBack;
        }
    }

    /// Whether this swap has ended well, and what it led to works.
    pub fn has_promoted(&self, id: &str) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| {
            last.id == id
                && last.outcome == SwapOutcome::Promoted
                && last.to.sha256 == self.active.sha256
        })
    }

    /// A candidate is turned away before it has begun, and so in every export of the swap.
    pub fn refuse(&mut self, id: &str, to: &Version, why: &str, now_ms: i64) {
        self.last = Some(EndedSwap {
            id: id.to_owned(),
            from: self.active.clone(),
            to: to.clone(),
            at_ms: now_ms,
            outcome: SwapOutcome::Refused,
            why: why.to_owned(),
            for_all: true,
            old: Tally::default(),
            new: Tally::default(),
        });
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digest = self.sha256.get(..12).unwrap_or(&self.sha256);
        write!(f, "{} {} ({digest})", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sha256: &str) -> Version {
        Version {
            name: "p".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: sha256.to_owned(),
            contract: "0.1.0".to_owned(),
        }
    }

    fn plan() -> Plan {
        Plan {
            percent: 10,
            batches: 20,
            leaders: vec![],
        }
    }

    #[test]
    fn only_a_promoted_candidate_becomes_active() {
        for (outcome, active) in [(SwapOutcome::Promoted, "b"), (SwapOutcome::RolledBack, "a")] {
            let mut versions = Versions::first(version("a"), vec![], 1);
            versions.begin("s", &version("b"), &plan(), 2);
            versions.end(outcome, "because", 3);
            assert_eq!(versions.active, version(active));
            assert_eq!(versions.swap, None);
            let last = versions.last.unwrap();
            assert_eq!((last.outcome, last.why.as_str()), (outcome, "because"));
            assert_eq!((last.from, last.to), (version("a"), version("b")));
        }
    }

    #[test]
    fn a_newer_swap_takes_the_place_of_one_under_way() {
        let mut versions = Versions::first(version("a"), vec![], 1);
        versions.begin("s", &version("b"), &plan(), 2);
        versions.begin("t", &version("c"), &plan(), 3);
        assert_eq!(versions.swap.as_ref().unwrap().to, version("c"));
        assert_eq!(versions.last.unwrap().to, version("b"));
        assert_eq!(versions.active, version("a"));
    }

    #[test]
    fn whoever_wants_what_is_active_hears_of_it_under_the_name_of_the_wish() {
        let mut versions = Versions::first(version("a"), vec![], 1);
        versions.begin("s", &version("b"), &plan(), 2);
        versions.stay("t", 3);
        assert_eq!((&versions.active, &versions.swap), (&version("a"), &None));
        let last = versions.last.unwrap();
        let all = (last.id.as_str(), last.outcome, &last.to);
        assert_eq!(all, ("t", SwapOutcome::Promoted, &version("a")));
    }

    #[test]
    fn the_version_before_is_the_last_that_worked_whatever_was_tried_since() {
        let mut versions = Versions::first(version("a"), vec![], 1);
        versions.take("s", &version("b"), "swapped", 2);
        versions.begin("t", &version("c"), &plan(), 3);
        versions.end(SwapOutcome::RolledBack, "it traps", 4);
        versions.refuse("u", &version("d"), "a route", 5);
        versions.stay("v", 6);
        assert_eq!(versions.before, Some(version("a")));
        versions.take("w", &version("a"), "back", 7);
        assert_eq!(versions.before, Some(version("b")));
    }

    #[test]
    fn what_was_swapped_or_rolled_back_is_no_news_at_the_next_start() {
        let mut versions = Versions::first(version("a"), vec![], 1);
        assert!(!versions.is_news("a"));
        versions.take("s", &version("b"), "swapped", 2);
        assert!(!versions.is_news("a"), "the configuration has not changed");
        assert!(versions.is_news("c"));
    }
}
