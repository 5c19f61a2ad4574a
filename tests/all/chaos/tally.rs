//! What has happened in the schedules so far.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub schedules: u64,
    pub kills: u64,
    /// Rounds in which it ended by itself before it could be killed.
    pub ended: u64,
    /// Kills by the phase in which the store was left.
    pub phases: BTreeMap<String, u64>,
    /// Faults that really struck, by kind.
    pub faults: BTreeMap<String, u64>,
    pub members: u64,
    pub changes: u64,
    pub requests: u64,
    pub jobs: u64,
}

impl Tally {
    /// Counts what the account has seen.
    pub fn account(&mut self, stats: &Value) {
        self.requests += stats["requests"].as_u64().unwrap_or(0);
        self.jobs += stats["imports"].as_u64().unwrap_or(0);
        for (kind, n) in stats["faults"].as_object().into_iter().flatten() {
            *self.faults.entry(kind.clone()).or_default() += n.as_u64().unwrap_or(0);
        }
    }

    pub fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.kills += other.kills;
        self.ended += other.ended;
        self.members += other.members;
        self.changes += other.changes;
        self.requests += other.requests;
        self.jobs += other.jobs;
        for (ours, theirs) in [
            (&mut self.phases, other.phases),
            (&mut self.faults, other.faults),
        ] {
            for (name, n) in theirs {
                *ours.entry(name).or_default() += n;
            }
        }
    }

    /// How many faults have struck.
    pub fn struck(&self) -> u64 {
        self.faults.values().sum()
    }

    /// One line.
    pub fn short(&self) -> String {
        format!(
            "{} schedules, {} kills, {} faults, {} members, {} changes, {} requests",
            self.schedules,
            self.kills,
            self.struck(),
            self.members,
            self.changes,
            self.requests
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, u64>| {
            let parts: Vec<_> = counts
                .iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            parts.join(", ")
        };
        writeln!(f, "schedules    {}", self.schedules)?;
        writeln!(
            f,
            "kills        {} ({} rounds ended by themselves)",
            self.kills, self.ended
        )?;
        writeln!(f, "killed while {}", list(&self.phases))?;
        writeln!(f, "faults       {} ({})", self.struck(), list(&self.faults))?;
        writeln!(f, "members      {}", self.members)?;
        writeln!(f, "changes      {}", self.changes)?;
        writeln!(f, "requests     {}", self.requests)?;
        write!(f, "import jobs  {}", self.jobs)
    }
}
