//! What versions did under a swap, counted. Pure; `judge` says what follows from it.

use serde::{Deserialize, Serialize};

/// Powers of two of milliseconds: up to two minutes, and what is beyond.
const TIMES: usize = 18;

/// What one version did while a swap was under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Batches that tell something: it got rows through by itself, or was at fault. One that came to
    /// nothing is no proof of anything.
    pub batches: u32,
    /// Rows that were settled in them.
    pub rows: u64,
    /// Batches on which it crashed and the other did not: a trap, a limit, a broken promise.
    pub crashes: u32,
    /// Batches for which it said that it cannot work, and the other could.
    pub refusals: u32,
    /// Rows that it rejected and the other delivered.
    pub rejected: u64,
    /// Batches of which rows have to be sent again, whether others of them got through or not.
    pub hindered: u32,
    /// The latest batches in a row that came to nothing.
    pub fruitless: u32,
    /// Of a candidate: its batches that the old version's next one in the same export was compared with,
    /// but for those where both were hindered, which tell nothing.
    pub compared: u32,
    /// Of these, how many were hindered while the old version's was not ...
    pub worse: u32,
    /// ... and the other way round.
    pub better: u32,
    /// Of a candidate: whether its latest batch was hindered, until the old version's next one. A crash
    /// may forget it.
    #[serde(skip)]
    open: Option<bool>,
    /// Batches that were not hindered, by the power of two of the milliseconds that they took.
    pub times: Vec<u32>,
    /// What it said of its last fault. Nothing of a row.
    pub said: Option<String>,
}

/// One batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Rows that were settled.
    pub rows: u64,
    /// How long it took.
    pub took_ms: u64,
    /// Whether it tells something: rows are settled by this version's word, whatever it rejected was
    /// settled by the other's, or it was at fault.
    pub tells: bool,
    /// Whether the version itself said that rows have to be sent again.
    pub hindered: bool,
    /// Whether it crashed where the other version did not.
    pub crashed: bool,
    /// Whether it said that it cannot work where the other version could.
    pub refused: bool,
    /// Rows that it rejected and the other version delivered.
    pub rejected: u64,
    /// What it said, if it was at fault.
    pub said: Option<String>,
}

impl Tally {
    /// Adds a batch.
    pub(crate) fn add(&mut self, seen: &Observation) {
        self.batches += u32::from(seen.tells);
        self.fruitless = match seen.tells {
            true => 0,
            false => self.fruitless + 1,
        };
        self.rows += seen.rows;
        self.crashes += u32::from(seen.crashed);
        self.refusals += u32::from(seen.refused);
        self.rejected += seen.rejected;
        self.hindered += u32::from(seen.hindered);
        // What was neither done nor hindered (the other version had to say, and could not) compares
        // with nothing.
        self.open = (seen.tells || seen.hindered).then_some(seen.hindered);
        if seen.tells && !seen.hindered {
            self.times.resize(TIMES, 0);
            let power = (u64::BITS - seen.took_ms.leading_zeros()) as usize;
            self.times[power.min(TIMES - 1)] += 1;
        }
        if seen.said.is_some() {
            self.said.clone_from(&seen.said);
        }
    }

    /// Compares a candidate's latest batch with the old version's next one: at nearly the same time, so
    /// that a destination that goes down, comes back, or answers now and then is the same to both.
    /// Whether there was anything to compare.
    pub(crate) fn compare(&mut self, old: &Observation) -> bool {
        if !old.tells && !old.hindered {
            return false;
        }
        let Some(hindered) = self.open.take() else {
            return false;
        };
        self.compared += u32::from(!hindered || !old.hindered);
        self.worse += u32::from(hindered && !old.hindered);
        self.better += u32::from(!hindered && old.hindered);
        true
    }

    /// Adds what the same version did in another export, but for times, which depend on the export's
    /// destination, and for its words, which are that export's own.
    pub(crate) fn join(&mut self, other: &Self) {
        self.batches += other.batches;
        self.rows += other.rows;
        self.crashes += other.crashes;
        self.refusals += other.refusals;
        self.rejected += other.rejected;
        self.hindered += other.hindered;
        self.compared += other.compared;
        self.worse += other.worse;
        self.better += other.better;
    }

    /// How much more often it was hindered than the old version beside it.
    pub(crate) fn more_hindered(&self) -> u32 {
        self.worse.saturating_sub(self.better)
    }

    /// Batches that were timed.
    pub(crate) fn timed(&self) -> u32 {
        self.times.iter().sum()
    }
}
