//! What an export has done, for whoever has to vouch for it.

use rusqlite::Connection;

use super::counts::{self, Counts};
use super::digest::{Digest, Sum, sum};
use super::{Store, StoreError};
use crate::plugin::types::Counts as Counted;

/// One import job.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JobReceipt {
    /// The staged file that it took, from 1.
    pub file: u32,
    /// The file's rows, without those that newer ones superseded.
    pub rows: u64,
    /// The file's size.
    pub bytes: u64,
    /// How often the file was handed over. More than once if an answer was lost or a job failed.
    pub submissions: u32,
    /// When it was handed over last, in milliseconds since 1970.
    pub submitted_ms: Option<i64>,
    /// What the plugin knows the job by.
    pub token: Option<String>,
    /// `succeeded`; nothing before that.
    pub outcome: Option<String>,
    /// When that was known, in milliseconds since 1970.
    pub ended_ms: Option<i64>,
    /// Rows that the destination took.
    pub delivered: Option<u64>,
    /// Rows that it refused; they are in quarantine.
    pub refused: Option<u64>,
    /// What it did with those that it took, as far as it tells.
    #[serde(flatten)]
    pub did: Did,
    /// What the destination said in the end.
    pub message: Option<String>,
}

/// What a destination says that an import job did with the rows that it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Did {
    /// Users that were not there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// Users that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<u64>,
    /// Users that were as the row says already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<u64>,
}

impl Did {
    /// What a report says.
    pub fn of(counts: &Counted) -> Self {
        Self {
            created: counts.created,
            updated: counts.updated,
            unchanged: counts.unchanged,
        }
    }

    /// As it is kept; nothing if nothing was said.
    pub(super) fn to_json(self) -> Option<String> {
        (self != Self::default()).then(|| serde_json::to_string(&self).expect("numbers are JSON"))
    }
}

/// The whole account, in one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExportReceipt {
    /// Rows by outcome, for each phase.
    #[serde(flatten)]
    pub counts: Counts,
    /// Whether every received row is accounted for.
    pub adds_up: bool,
    /// The import jobs, in the order of their files.
    pub jobs: Vec<JobReceipt>,
    /// Over every row, its member and its outcome, whatever the order they were settled in: two
    /// runs over the same data that came to the same ends have the same. Rows that still wait are
    /// not in it.
    pub checksum: String,
}

impl Default for ExportReceipt {
    /// That of an export which has not begun.
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            adds_up: true,
            jobs: vec![],
            checksum: String::new(),
        }
    }
}

impl Store {
    /// What the export has done so far.
    ///
    /// # Errors
    /// The database's.
    pub fn receipt(&self) -> Result<ExportReceipt, StoreError> {
        self.read(|db| {
            db.execute_batch("BEGIN")?;
            let receipt = receipt(db);
            db.execute_batch("COMMIT")?;
            receipt
        })
    }
}

fn receipt(db: &Connection) -> rusqlite::Result<ExportReceipt> {
    let counts = counts::ledger(db)?.counts;
    let jobs = db
        .prepare(
            "SELECT number, rows, bytes, submissions, submitted_ms, token, outcome, ended_ms,
                    delivered, refused, message, did
             FROM files WHERE sealed_ms IS NOT NULL AND rows > 0 ORDER BY number",
        )?
        .query_map([], |row| {
            Ok(JobReceipt {
                file: row.get(0)?,
                rows: row.get(1)?,
                bytes: row.get(2)?,
                submissions: row.get(3)?,
                submitted_ms: row.get(4)?,
                token: row.get(5)?,
                outcome: row.get(6)?,
                ended_ms: row.get(7)?,
                delivered: row.get(8)?,
                refused: row.get(9)?,
                message: row.get(10)?,
                did: row
                    .get::<_, Option<String>>(11)?
                    .and_then(|did| serde_json::from_str(&did).ok())
                    .unwrap_or_default(),
            })
        })?
        .collect::<Result<_, _>>()?;
    let sums = Sum::ALL
        .into_iter()
        .map(|outcome| Ok(sum(db, outcome)?.to_string()))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let parts: Vec<&[u8]> = sums.iter().map(String::as_bytes).collect();
    Ok(ExportReceipt {
        adds_up: counts.add_up(),
        counts,
        jobs,
        checksum: Digest::of(&parts).to_string(),
    })
}
