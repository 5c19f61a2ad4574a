//! The log of changes that wait for delivery: append, take, settle.

use rusqlite::Transaction;
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

/// Attributes that make up one value at the destination, like the parts of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together(Vec<Vec<String>>);

impl Together {
    /// The groups: source names that are mapped to one destination.
    pub fn new(groups: Vec<Vec<String>>) -> Self {
        Self(groups)
    }

    /// What both changes come to if the newer one may be laid over the older one, attribute by
    /// attribute, and lead to the same as if both were sent; else they are sent one after the
    /// other. An exit says something of its own. A blank may mean "leave it alone" to a
    /// destination, and then an older value that it covers up would never arrive; what is a blank to
    /// one destination is a value to another, as `{}` is that is sent as text, so only the very same
    /// blank may be covered up. And parts of one value from two changes make a value that nobody
    /// ever said.
    fn merge(&self, older: &Said, newer: &Said) -> Option<Said> {
        let names = |payload: &Payload, name: &String| payload.contains_key(name);
        let covers = newer.payload.iter().all(|(name, value)| {
            let older = older.payload.get(name);
            !blank(value.get()) || older.is_none_or(|older| older.get() == value.get())
        });
        let says_all = older.payload.keys().all(|name| names(&newer.payload, name));
        let fits = match (older.kind, newer.kind) {
            (Kind::Exit, Kind::Exit) => self.whole(older, newer, false),
            (_, Kind::Exit) => false,
            (Kind::Enter, Kind::Update) => self.whole(older, newer, true),
            (older_kind, newer_kind) if older_kind == newer_kind => self.whole(older, newer, false),
            _ => says_all,
        };
        let kind = match (older.kind, newer.kind) {
            (Kind::Enter, Kind::Update) => Kind::Enter,
            (_, kind) => kind,
        };
        (covers && fits).then(|| {
            let mut payload = older.payload.clone();
            payload.extend(newer.payload.clone());
            Said { kind, payload }
        })
    }

    /// Whether the newer change says all or nothing of each group: all that the older one said, or
    /// all that there is.
    fn whole(&self, older: &Said, newer: &Said, all: bool) -> bool {
        self.0.iter().all(|group| {
            !group.iter().any(|name| newer.payload.contains_key(name))
                || group.iter().all(|name| {
                    newer.payload.contains_key(name) || !(all || older.payload.contains_key(name))
                })
        })
    }
}

/// What one change says, or several that were merged.
struct Said {
    kind: Kind,
    payload: Payload,
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
    /// merged into what waits, where that leads to the same as sending both: attributes that it
    /// does not name keep their older value.
    ///
    /// # Errors
    /// The database's; then nothing was accepted.
    pub fn append(
        &self,
        incoming: &[Incoming],
        together: &Together,
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
                        let change = New {
                            member,
                            kind: *kind,
                            at: at.as_deref(),
                            payload,
                            position,
                        };
                        append_one(tx, &change, together, now_ms)?;
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
                 FROM changes AS this
                 WHERE bucket % ?2 = ?1 AND (not_before_ms <= ?4 OR not_before_ms > ?4 + ?5)
                     AND NOT EXISTS (SELECT 1 FROM changes AS older
                                     WHERE older.member = this.member AND older.seq < this.seq)
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

/// A change that is being accepted.
struct New<'a> {
    member: &'a str,
    kind: Kind,
    at: Option<&'a str>,
    payload: &'a Payload,
    position: &'a str,
}

fn append_one(
    tx: &Transaction<'_>,
    change: &New<'_>,
    together: &Together,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let New {
        member,
        kind,
        at,
        payload,
        position,
    } = *change;
    let waiting: Vec<(i64, u8, String)> = tx
        .prepare_cached(
            "SELECT seq, kind, payload FROM changes WHERE member = ?1 ORDER BY seq DESC LIMIT 2",
        )?
        .query_map([member], |row| row.try_into())?
        .collect::<Result<_, _>>()?;
    let mut waiting = waiting.into_iter().map(|(seq, kind, payload)| {
        let payload = serde_json::from_str(&payload).unwrap_or_default();
        (
            seq,
            Said {
                kind: Kind::from_code(kind),
                payload,
            },
        )
    });
    let said = Said {
        kind,
        payload: payload.clone(),
    };
    let merged = waiting
        .next()
        .and_then(|(seq, older)| Some((seq, together.merge(&older, &said)?)));
    let Some((last, merged)) = merged else {
        return tx
            .prepare_cached(
                "INSERT INTO changes (member, bucket, kind, at, payload, position, version, changes, received_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 1, ?7)",
            )?
            .execute((member, bucket(member), kind.code(), at, json(payload), position, now_ms))
            .map(drop);
    };
    tx.prepare_cached(
        "UPDATE changes SET kind = ?2, at = ?3, payload = ?4, position = ?5,
             version = version + 1, changes = changes + 1
         WHERE seq = ?1",
    )?
    .execute((
        last,
        merged.kind.code(),
        at,
        json(&merged.payload),
        position,
    ))?;
    // What kept the one before it apart may be gone by now: so a member who comes and goes has a
    // few rows in line, not one for each time.
    let both = waiting
        .next()
        .and_then(|(seq, older)| Some((seq, together.merge(&older, &merged)?)));
    let Some((before, both)) = both else {
        return Ok(());
    };
    tx.prepare_cached(
        "UPDATE changes SET kind = ?3, payload = ?4, (at, position, version, changes) =
             (SELECT at, position, changes.version + 1, changes.changes + newer.changes
              FROM changes AS newer WHERE newer.seq = ?2)
         WHERE seq = ?1",
    )?
    .execute((before, last, both.kind.code(), json(&both.payload)))?;
    tx.prepare_cached("DELETE FROM changes WHERE seq = ?1")?
        .execute([last])
        .map(drop)
}

/// Null, or a text, list or object that holds nothing but white space, nulls and punctuation.
fn blank(json: &str) -> bool {
    json == "null"
        || (json.starts_with(['"', '[', '{'])
            && !json
                .replace("null", "")
                .chars()
                .any(|c| c.is_alphanumeric() || !c.is_ascii()))
}

fn remove(tx: &Transaction<'_>, pending: &Pending, now_ms: i64) -> rusqlite::Result<()> {
    let settled = tx
        .prepare_cached("DELETE FROM changes WHERE seq = ?1 AND version = ?2")?
        .execute((pending.seq, pending.version))?;
    if settled == 1 {
        return Ok(());
    }
    // Behind everybody who waits: so `seq` shows whether older ones are done. Not, though, if
    // another of the member's rows waits already: those must stay in order.
    let alone = !tx
        .prepare_cached("SELECT 1 FROM changes WHERE member = ?1 AND seq > ?2")?
        .exists((&pending.member, pending.seq))?;
    if alone {
        tx.execute(
            "INSERT INTO changes (member, bucket, kind, at, payload, position, version, changes, received_ms)
             SELECT member, bucket, kind, at, payload, position, version, changes - ?2, ?3
             FROM changes WHERE seq = ?1",
            (pending.seq, pending.changes, now_ms),
        )?;
        tx.execute("DELETE FROM changes WHERE seq = ?1", [pending.seq])
            .map(drop)
    } else {
        tx.execute(
            "UPDATE changes SET changes = changes - ?2, received_ms = ?3, attempt = 0 WHERE seq = ?1",
            (pending.seq, pending.changes, now_ms),
        )
        .map(drop)
    }
}

fn json(payload: &Payload) -> String {
    serde_json::to_string(payload).expect("a map of JSON values is JSON")
}

/// Stable over versions and machines: the bucket is stored.
fn bucket(member: &str) -> u8 {
    Sha256::digest(member)[0] % BUCKETS
}
