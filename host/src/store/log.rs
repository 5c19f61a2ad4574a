//! The log of changes that wait for delivery: append, take, settle.

use rusqlite::{OptionalExtension, Transaction};
use sha2::{Digest, Sha256};

use super::quarantine::Quarantined;
use super::{Store, StoreError, counts, quarantine, scan};
use crate::plugin::flat::Kind;
use crate::source::Payload;

/// Buckets that members fall into. More than there will ever be lanes, so that the number of lanes
/// can change from one start to the next.
const BUCKETS: u8 = 64;

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
    changes: u64,
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
    },
}

impl Store {
    /// Accepts changes and the position behind them. A change of a member who waits already is
    /// merged into what waits: attributes that it does not name keep their older value, as they
    /// would if both were sent.
    ///
    /// # Errors
    /// The database's; then nothing was accepted.
    pub fn append(
        &self,
        incoming: &[Incoming],
        stream: Option<(&str, &str)>,
        plugin: (&str, &str),
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            for line in incoming {
                match line {
                    Incoming::Change {
                        member,
                        kind,
                        at,
                        payload,
                        position,
                    } => {
                        append_one(tx, member, *kind, at.as_deref(), payload, position, now_ms)?;
                    }
                    Incoming::Bad(row) => {
                        let row = std::slice::from_ref(row);
                        quarantine::put(tx, counts::LIVE, row, plugin, now_ms)?;
                    }
                }
            }
            counts::add(tx, counts::LIVE, "received", incoming.len() as u64)?;
            if let Some((stream, position)) = stream {
                scan::set_position(tx, stream, position)?;
            }
            Ok(())
        })
    }

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
            db.prepare_cached(
                "SELECT seq, member, kind, payload, position, attempt, version, changes
                 FROM changes
                 WHERE bucket % ?2 = ?1 AND (not_before_ms <= ?4 OR not_before_ms > ?4 + ?5)
                 ORDER BY seq LIMIT ?3",
            )?
            .query_map((lane, lanes, limit, now_ms, horizon_ms), |row| {
                Ok(Pending {
                    seq: row.get(0)?,
                    member: row.get(1)?,
                    kind: Kind::from_code(row.get(2)?),
                    payload: row.get(3)?,
                    position: row.get(4)?,
                    attempt: row.get(5)?,
                    version: row.get(6)?,
                    changes: row.get(7)?,
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
            db.prepare_cached("SELECT min(not_before_ms) FROM changes WHERE bucket % ?2 = ?1")?
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
            let (mut delivered, mut superseded) = (0, 0);
            for (pending, outcome) in outcomes {
                match outcome {
                    Outcome::Retry { not_before_ms } => {
                        tx.prepare_cached(
                            "UPDATE changes SET attempt = attempt + 1, not_before_ms = ?2 WHERE seq = ?1",
                        )?
                        .execute((pending.seq, not_before_ms))?;
                        continue;
                    }
                    Outcome::Delivered => delivered += 1,
                    Outcome::Rejected { field, reason } => {
                        let row = Quarantined {
                            position: pending.position.clone(),
                            member: Some(pending.member.clone()),
                            kind: Some(pending.kind),
                            field: field.clone(),
                            reason: reason.clone(),
                            payload: Some(pending.payload.clone()),
                        };
                        quarantine::put(tx, counts::LIVE, &[row], plugin, now_ms)?;
                    }
                }
                superseded += pending.changes - 1;
                remove(tx, pending, now_ms)?;
            }
            counts::add(tx, counts::LIVE, "delivered", delivered)?;
            counts::add(tx, counts::LIVE, "superseded", superseded)
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

fn append_one(
    tx: &Transaction<'_>,
    member: &str,
    kind: Kind,
    at: Option<&str>,
    payload: &Payload,
    position: &str,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let waiting: Option<(i64, String)> = tx
        .prepare_cached("SELECT seq, payload FROM changes WHERE member = ?1")?
        .query_row([member], |row| row.try_into())
        .optional()?;
    let Some((seq, older)) = waiting else {
        let payload = json(payload);
        return tx
            .prepare_cached(
                "INSERT INTO changes (member, bucket, kind, at, payload, position, version, changes, received_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 1, ?7)",
            )?
            .execute((member, bucket(member), kind.code(), at, payload, position, now_ms))
            .map(drop);
    };
    let mut merged: Payload = serde_json::from_str(&older).unwrap_or_default();
    merged.extend(payload.clone());
    tx.prepare_cached(
        "UPDATE changes SET kind = ?2, at = ?3, payload = ?4, position = ?5,
             version = version + 1, changes = changes + 1
         WHERE seq = ?1",
    )?
    .execute((seq, kind.code(), at, json(&merged), position))
    .map(drop)
}

fn remove(tx: &Transaction<'_>, pending: &Pending, now_ms: i64) -> rusqlite::Result<()> {
    let settled = tx
        .prepare_cached("DELETE FROM changes WHERE seq = ?1 AND version = ?2")?
        .execute((pending.seq, pending.version))?;
    if settled == 1 {
        return Ok(());
    }
    // A row of its own keeps `seq` growing, and so shows whether older ones are done.
    tx.execute(
        "UPDATE changes SET member = char(0) || member WHERE seq = ?1",
        [pending.seq],
    )?;
    tx.execute(
        "INSERT INTO changes (member, bucket, kind, at, payload, position, version, changes, received_ms)
         SELECT substr(member, 2), bucket, kind, at, payload, position, version, changes - ?2, ?3
         FROM changes WHERE seq = ?1",
        (pending.seq, pending.changes, now_ms),
    )?;
    tx.execute("DELETE FROM changes WHERE seq = ?1", [pending.seq])
        .map(drop)
}

fn json(payload: &Payload) -> String {
    serde_json::to_string(payload).expect("a map of JSON values is JSON")
}

/// Stable over versions and machines: the bucket is stored.
fn bucket(member: &str) -> u8 {
    Sha256::digest(member)[0] % BUCKETS
}
