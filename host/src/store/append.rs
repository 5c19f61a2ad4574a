//! Accepting changes: into the log, merged with what waits where that leads to the same.

use rusqlite::{Transaction, params};
use sha2::{Digest as _, Sha256};

use super::digest::Digest;
use super::log::{Incoming, MERGED, Merged};
use super::merge::{Said, Together};
use super::{Store, StoreError, counts, quarantine, scan};
use crate::plugin::flat::Kind;
use crate::source::Payload;

/// Buckets that members fall into. More than there will ever be lanes, so that the number of lanes
/// can change from one start to the next.
const BUCKETS: u8 = 64;

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
                        let merged = Merged::new(change.digest());
                        append_one(tx, &change, merged, together, now_ms)?;
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
}

/// A change that is being accepted.
pub(super) struct New<'a> {
    pub member: &'a str,
    pub kind: Kind,
    pub at: Option<&'a str>,
    pub payload: &'a Payload,
    pub position: &'a str,
}

impl New<'_> {
    fn digest(&self) -> Digest {
        let at = self.at.unwrap_or_default().as_bytes();
        let (member, payload) = (self.member.as_bytes(), json(self.payload));
        Digest::of(&[
            b"change",
            member,
            &[self.kind.code()],
            at,
            payload.as_bytes(),
        ])
    }
}

/// A row from quarantine goes behind what waits, as a change that was just accepted.
pub(super) fn append_replay(
    tx: &Transaction<'_>,
    change: &New<'_>,
    row: (i64, Digest, bool),
    together: &Together,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let (id, digest, of_backfill) = row;
    let merged = Merged {
        of_backfill: u64::from(of_backfill),
        replay: Some(id),
        ..Merged::new(digest)
    };
    append_one(tx, change, merged, together, now_ms)
}

fn append_one(
    tx: &Transaction<'_>,
    change: &New<'_>,
    newest: Merged,
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
    let waiting: Vec<(i64, Said, Merged)> = tx
        .prepare_cached(&format!(
            "SELECT seq, kind, payload, {MERGED} FROM changes WHERE member = ?1
             ORDER BY seq DESC LIMIT 2",
        ))?
        .query_map([member], |row| {
            let payload = serde_json::from_str(row.get_ref(2)?.as_str()?).unwrap_or_default();
            let kind = Kind::from_code(row.get(1)?);
            Ok((row.get(0)?, Said { kind, payload }, Merged::read(row, 3)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut waiting = waiting.into_iter();
    let said = Said {
        kind,
        payload: payload.clone(),
    };
    let laid_over = waiting
        .next()
        .and_then(|(seq, older, merged)| Some((seq, together.merge(&older, &said)?, merged)));
    let Some((last, said, merged)) = laid_over else {
        return tx
            .prepare_cached(&format!(
                "INSERT INTO changes (member, bucket, kind, at, payload, position, version,
                                      received_ms, {MERGED})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9, ?10, ?11, ?12)",
            ))?
            .execute(params![
                member,
                bucket(member),
                kind.code(),
                at,
                json(payload),
                position,
                now_ms,
                newest.changes,
                newest.of_backfill,
                newest.all,
                newest.newest,
                newest.replay,
            ])
            .map(drop);
    };
    let merged = merged.and(newest);
    // What kept the one before it apart may be gone by now: so a member who comes and goes has a
    // few rows in line, not one for each time.
    let both = waiting
        .next()
        .and_then(|(seq, older, before)| Some((seq, together.merge(&older, &said)?, before)));
    let (seq, said, merged) = match both {
        None => (last, said, merged),
        Some((seq, both, before)) => {
            tx.prepare_cached("DELETE FROM changes WHERE seq = ?1")?
                .execute([last])?;
            (seq, both, before.and(merged))
        }
    };
    tx.prepare_cached(
        "UPDATE changes SET kind = ?2, at = ?3, payload = ?4, position = ?5, changes = ?6,
             of_backfill = ?7, digest = ?8, newest = ?9, replay = ?10, version = version + 1
         WHERE seq = ?1",
    )?
    .execute(params![
        seq,
        said.kind.code(),
        at,
        json(&said.payload),
        position,
        merged.changes,
        merged.of_backfill,
        merged.all,
        merged.newest,
        merged.replay,
    ])
    .map(drop)
}

fn json(payload: &Payload) -> String {
    serde_json::to_string(payload).expect("a map of JSON values is JSON")
}

/// Stable over versions and machines: the bucket is stored.
fn bucket(member: &str) -> u8 {
    Sha256::digest(member)[0] % BUCKETS
}
