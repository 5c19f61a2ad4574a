//! The log of changes that wait for delivery: append, take, settle.

use rusqlite::{Row, Transaction};

use super::digest::{Digest, Sum};
use super::quarantine::Quarantined;
use super::{Store, StoreError, counts, digest, quarantine, state};
use crate::plugin::flat::Kind;
use crate::source::Payload;

/// One line of a changes source on its way into the log.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// A change of a member.
    Change {
        /// Whose.
        member: String,
        /// What happened.
        kind: Kind,
        /// When, as the source said.
        at: Option<String>,
        /// The mapped attributes.
        payload: Payload,
        /// Where it came from, like `changes.ndjson:17`.
        position: String,
    },
    /// A line that is no change.
    Bad(Quarantined),
}

/// A change that waits for delivery, as it was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its place in the line.
    pub seq: i64,
    /// Whose it is.
    pub member: String,
    /// What happened.
    pub kind: Kind,
    /// The mapped attributes, as JSON.
    pub payload: String,
    /// Where the newest change in it came from.
    pub position: String,
    /// How often delivery was tried.
    pub attempt: u32,
    version: i64,
    merged: Merged,
}

#[cfg(any(test, feature = "fuzzing"))]
impl Pending {
    /// A change without a store that it waits in.
    pub(crate) fn example(seq: i64) -> Self {
        Self {
            seq,
            member: seq.to_string(),
            kind: Kind::Update,
            payload: "{}".to_owned(),
            position: String::new(),
            attempt: 0,
            version: 0,
            merged: Merged::default(),
        }
    }
}

/// What went into one row of the log, which may be several changes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Merged {
    /// How many changes.
    pub changes: u64,
    /// How many of them are rows of the backfill that are sent once more.
    pub of_backfill: u64,
    /// The sum of their digests.
    pub all: Digest,
    /// The digest of the newest.
    pub newest: Digest,
    /// The newest one's number in quarantine, if all of them come from there.
    pub replay: Option<i64>,
}

impl Merged {
    pub fn new(newest: Digest) -> Self {
        Self {
            changes: 1,
            all: newest,
            newest,
            ..Self::default()
        }
    }

    /// With a newer one laid over it.
    pub fn and(self, newer: Self) -> Self {
        Self {
            changes: self.changes + newer.changes,
            of_backfill: self.of_backfill + newer.of_backfill,
            all: self.all.plus(newer.all),
            newest: newer.newest,
            replay: self.replay.and(newer.replay),
        }
    }

    /// Without the older part, which has come to its end.
    fn without(self, done: Self) -> Self {
        Self {
            changes: self.changes - done.changes,
            of_backfill: self.of_backfill - done.of_backfill,
            all: self.all.minus(done.all),
            ..self
        }
    }

    /// The phase that the newest one counts for.
    fn phase(&self) -> &'static str {
        if self.changes > self.of_backfill {
            counts::LIVE
        } else {
            counts::BACKFILL
        }
    }
}

/// The columns of `Merged`, in its order.
pub(super) const MERGED: &str = "changes, of_backfill, digest, newest, replay";

impl Merged {
    /// Reads them from the row's columns `from..`.
    pub fn read(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            changes: row.get(from)?,
            of_backfill: row.get(from + 1)?,
            all: row.get(from + 2)?,
            newest: row.get(from + 3)?,
            replay: row.get(from + 4)?,
        })
    }
}

/// What became of a change that was taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The destination accepted it.
    Delivered,
    /// It cannot be sent.
    Rejected {
        /// The destination field at fault.
        field: Option<String>,
        /// Why.
        reason: String,
    },
    /// It is to be sent again, not before this time.
    Retry {
        /// In milliseconds since 1970.
        not_before_ms: i64,
        /// Whether it is the destination that asked to wait.
        asked: bool,
    },
}

impl Store {
    /// The first changes in a lane's line that may be sent now. `horizon_ms` is the longest that
    /// a change is ever put off: one that waits for longer was written by a clock that was wrong.
    ///
    /// # Errors
    /// The database's.
    pub fn take(
        &self,
        lane: u32,
        lanes: u32,
        limit: u32,
        now_ms: i64,
        horizon_ms: i64,
    ) -> Result<Vec<Pending>, StoreError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT seq, member, kind, payload, position, attempt, version, {MERGED}
                 FROM changes AS this
                 WHERE bucket % ?2 = ?1 AND (not_before_ms <= ?4 OR not_before_ms > ?4 + ?5)
                     AND NOT EXISTS (SELECT 1 FROM changes AS older
                                     WHERE older.member = this.member AND older.seq < this.seq)
                 ORDER BY seq LIMIT ?3",
            ))?
            .query_map((lane, lanes, limit, now_ms, horizon_ms), |row| {
                Ok(Pending {
                    seq: row.get(0)?,
                    member: row.get(1)?,
                    kind: Kind::from_code(row.get(2)?),
                    payload: row.get(3)?,
                    position: row.get(4)?,
                    attempt: row.get(5)?,
                    version: row.get(6)?,
                    merged: Merged::read(row, 7)?,
                })
            })?
            .collect()
        })
    }

    /// When the next change of a lane may be sent that waits for its time.
    ///
    /// # Errors
    /// The database's.
    pub fn next_due_ms(&self, lane: u32, lanes: u32) -> Result<Option<i64>, StoreError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT min(not_before_ms) FROM changes AS this
                 WHERE bucket % ?2 = ?1
                     AND NOT EXISTS (SELECT 1 FROM changes AS older
                                     WHERE older.member = this.member AND older.seq < this.seq)",
            )?
            .query_row((lane, lanes), |row| row.get(0))
        })
    }

    /// Records what became of changes. One that was merged with a newer one meanwhile stays for
    /// that one's sake, at the end of the line.
    ///
    /// # Errors
    /// The database's; then nothing was recorded, and they will be sent again.
    pub fn settle(
        &self,
        outcomes: &[(Pending, Outcome)],
        plugin: (&str, &str),
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for (pending, outcome) in outcomes {
                let Merged {
                    changes,
                    of_backfill,
                    all,
                    newest,
                    replay,
                } = pending.merged;
                let phase = pending.merged.phase();
                let mut settled = all;
                match outcome {
                    Outcome::Retry {
                        not_before_ms,
                        asked,
                    } => {
                        tx.prepare_cached(
                            "UPDATE changes SET attempt = attempt + 1, not_before_ms = ?2, asked = ?3
                             WHERE seq = ?1",
                        )?
                        .execute((pending.seq, not_before_ms, asked))?;
                        continue;
                    }
                    Outcome::Delivered => {
                        counts::add(tx, phase, "delivered", 1)?;
                        quarantine::overtake(tx, &pending.member, replay)?;
                    }
                    Outcome::Rejected { field, reason } => {
                        let row = Quarantined {
                            position: pending.position.clone(),
                            member: Some(pending.member.clone()),
                            kind: Some(pending.kind),
                            field: field.clone(),
                            reason: reason.clone(),
                            payload: Some(pending.payload.clone()),
                            digest: newest,
                        };
                        quarantine::put(tx, phase, &[row], plugin, now_ms)?;
                        settled = all.minus(newest);
                    }
                }
                digest::change(tx, Sum::Settled, |sum| sum.plus(settled))?;
                let (live, backfill) = match phase {
                    counts::LIVE => (changes - of_backfill - 1, of_backfill),
                    _ => (0, of_backfill - 1),
                };
                counts::add(tx, counts::LIVE, "superseded", live)?;
                counts::add(tx, counts::BACKFILL, "superseded", backfill)?;
                remove(tx, pending, now_ms)?;
            }
            let retry = |outcome: &Outcome| matches!(outcome, Outcome::Retry { .. });
            if outcomes.iter().all(|(_, outcome)| retry(outcome)) {
                return Ok(());
            }
            state::going_on(tx)
        })
    }

    /// Another version works: what was put off may be sent now, unless the destination asked to wait.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn put_off_no_longer(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE changes SET not_before_ms = 0 WHERE not_before_ms > 0 AND NOT asked",
            )?
            .execute([])
            .map(drop)
        })
    }

    /// Whether a change of any of these members waits.
    ///
    /// # Errors
    /// The database's.
    pub fn any_waiting(&self, members: &[String]) -> Result<bool, StoreError> {
        self.read(|db| {
            let mut waits = db.prepare_cached("SELECT 1 FROM changes WHERE member = ?1")?;
            for member in members {
                if waits.exists([member])? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// The first and the last place in the line; `None` if nobody waits.
    ///
    /// # Errors
    /// The database's.
    pub fn line(&self) -> Result<Option<(i64, i64)>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT min(seq), max(seq) FROM changes")?
                .query_row([], |row| {
                    Ok(row
                        .get::<_, Option<i64>>(0)?
                        .zip(row.get::<_, Option<i64>>(1)?))
                })
        })
    }
}

fn remove(tx: &Transaction<'_>, pending: &Pending, now_ms: i64) -> rusqlite::Result<()> {
    let settled = tx
        .prepare_cached("DELETE FROM changes WHERE seq = ?1 AND version = ?2")?
        .execute((pending.seq, pending.version))?;
    if settled == 1 {
        return Ok(());
    }
    let rest = tx
        .prepare_cached(&format!("SELECT {MERGED} FROM changes WHERE seq = ?1"))?
        .query_row([pending.seq], |row| Merged::read(row, 0))?
        .without(pending.merged);
    tx.prepare_cached(
        "UPDATE changes SET changes = ?2, of_backfill = ?3, digest = ?4, received_ms = ?5,
             attempt = 0
         WHERE seq = ?1",
    )?
    .execute((
        pending.seq,
        rest.changes,
        rest.of_backfill,
        rest.all,
        now_ms,
    ))?;
    // Behind everybody who waits: so `seq` shows whether older ones are done. Not, though, if
    // another of the member's rows waits already: those must stay in order.
    let alone = !tx
        .prepare_cached("SELECT 1 FROM changes WHERE member = ?1 AND seq > ?2")?
        .exists((&pending.member, pending.seq))?;
    if alone {
        tx.execute(
            "UPDATE changes SET seq = (SELECT max(seq) + 1 FROM changes) WHERE seq = ?1",
            [pending.seq],
        )?;
    }
    Ok(())
}
