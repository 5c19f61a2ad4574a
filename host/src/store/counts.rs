//! The ledger: how many rows came to which end.

use rusqlite::{Connection, Transaction};

use super::{Store, StoreError};

/// Rows of one phase by their end. `received` is counted when a row is accepted, `pending` from
/// what lies in the store, the others when a row has ended: so the sum is a check, not a tautology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct PhaseCounts {
    /// Accepted from the source.
    pub received: u64,
    /// Accepted by the destination.
    pub delivered: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Made void by a newer row or change of the same member.
    pub superseded: u64,
    /// Taken out of quarantine and given up by a person; nothing else ever drops a row.
    pub dropped: u64,
    /// None of these yet.
    pub pending: u64,
}

impl PhaseCounts {
    /// Whether every received row is accounted for.
    pub fn add_up(&self) -> bool {
        let ended = self.delivered + self.quarantined + self.superseded + self.dropped;
        self.received == ended + self.pending
    }
}

/// The counts of both phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// The scan and its import jobs.
    pub backfill: PhaseCounts,
    /// Changes.
    pub live: PhaseCounts,
}

impl Counts {
    /// Whether every received row is accounted for.
    pub fn add_up(&self) -> bool {
        self.backfill.add_up() && self.live.add_up()
    }
}

/// The counts and what they are read beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The counts.
    pub counts: Counts,
    /// When the oldest waiting change was received, in milliseconds since 1970.
    pub oldest_pending_ms: Option<i64>,
    /// Bytes of the changes that wait.
    pub log_bytes: u64,
}

pub(super) const BACKFILL: &str = "backfill";
pub(super) const LIVE: &str = "live";

/// Adds to one count; 0 adds nothing.
pub(super) fn add(
    tx: &Transaction<'_>,
    phase: &str,
    outcome: &str,
    n: u64,
) -> rusqlite::Result<()> {
    if n == 0 {
        return Ok(());
    }
    tx.prepare_cached(
        "INSERT INTO counts (phase, outcome, n) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET n = n + ?3",
    )?
    .execute((phase, outcome, n))
    .map(drop)
}

/// Takes from one count.
pub(super) fn take(
    tx: &Transaction<'_>,
    phase: &str,
    outcome: &str,
    n: u64,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE counts SET n = n - ?3 WHERE phase = ?1 AND outcome = ?2")?
        .execute((phase, outcome, n))
        .map(drop)
}

impl Store {
    /// The counts as they are now, in one snapshot.
    ///
    /// # Errors
    /// The database's.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        self.read(|db| {
            db.execute_batch("BEGIN")?;
            let ledger = ledger(db);
            db.execute_batch("COMMIT")?;
            ledger
        })
    }
}

pub(super) fn ledger(db: &Connection) -> rusqlite::Result<Ledger> {
    let mut counts = Counts::default();
    let mut statement = db.prepare_cached("SELECT phase, outcome, n FROM counts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (phase, outcome, n): (String, String, u64) = row.try_into()?;
        let phase = if phase == BACKFILL {
            &mut counts.backfill
        } else {
            &mut counts.live
        };
        match outcome.as_str() {
            "received" => phase.received = n,
            "delivered" => phase.delivered = n,
            "quarantined" => phase.quarantined = n,
            "dropped" => phase.dropped = n,
            _ => phase.superseded = n,
        }
    }
    let one = |sql: &str| {
        db.prepare_cached(sql)?
            .query_row([], |row| row.get::<_, u64>(0))
    };
    let staged = one("SELECT coalesce(sum(rows), 0) FROM files WHERE outcome IS NULL")?;
    // Until a file is sealed, the rows cut out of it still count among its rows.
    let cut = one("SELECT count(*) FROM cuts JOIN files ON number = file WHERE sealed_ms IS NULL")?;
    let again = one("SELECT coalesce(sum(of_backfill), 0) FROM changes")?;
    counts.backfill.pending = staged - cut + again;
    counts.live.pending = one("SELECT coalesce(sum(changes - of_backfill), 0) FROM changes")?;
    let oldest_pending_ms = db
        .prepare_cached("SELECT min(received_ms) FROM changes")?
        .query_row([], |row| row.get(0))?;
    Ok(Ledger {
        log_bytes: one("SELECT bytes FROM log_size")?,
        counts,
        oldest_pending_ms,
    })
}
