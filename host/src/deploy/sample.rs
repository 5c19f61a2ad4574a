//! The first members of an export, as a preview needs them.

use crate::capability::LogSink;
use crate::plugin::flat::{Kind, Rows};
use crate::plugin::types::Staged;
use crate::plugin::{CallError, Grant, Session};
use crate::source::{ScannedBatch, SourceError};

use super::Deployed;

/// The first members of an audience.
pub struct Sample {
    /// The file's name.
    pub source: String,
    /// Those that are members.
    pub rows: Rows,
    /// The line of each.
    pub lines: Vec<u64>,
    /// Lines that are none, each with its reason.
    pub bad: Vec<String>,
    columns: usize,
}

impl Sample {
    /// No member at all.
    pub fn nothing(&self) -> Rows {
        Rows::default()
    }

    /// The same members, as if each had changed.
    pub fn updates(&self) -> Rows {
        let mut updates = Rows::default();
        for row in 0..self.rows.len() {
            for (kind, text) in self.rows.row(row, self.columns) {
                updates.cell(kind, text);
            }
            updates.end_row(Kind::Update);
        }
        updates
    }
}

impl Deployed {
    /// Reads the first `limit` members.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sample(&self, limit: u64) -> Result<Sample, SourceError> {
        let projection = self.spec.projection();
        let columns = projection.columns();
        let Some(members) = self.spec.scan() else {
            return Ok(Sample {
                source: String::new(),
                rows: Rows::default(),
                lines: vec![],
                bad: vec![],
                columns,
            });
        };
        let read = members.read(None, &projection, limit, usize::MAX)?;
        let ScannedBatch { rows, lines, .. } = read.batches.into_iter().next().unwrap_or_default();
        let bad = read
            .bad
            .iter()
            .map(|row| format!("{}: {}", row.position, row.reason))
            .collect();
        Ok(Sample {
            source: read.name,
            rows,
            lines,
            bad,
            columns,
        })
    }

    /// A fresh instance under this export's settings.
    ///
    /// # Errors
    /// Why it did not open.
    pub async fn open(&self, grant: Grant) -> Result<Session, CallError> {
        self.plugin
            .open(&self.spec.settings(), grant, self.spec.limits)
            .await
    }

    /// The bytes that rows would add to a staged file that is `offset` bytes long.
    ///
    /// # Errors
    /// Why the plugin did not answer.
    pub async fn stage(&self, rows: &Rows, offset: u64) -> Result<Staged, CallError> {
        let grant = Grant::none(LogSink::new(&self.spec.name(), &self.spec.limits));
        self.open(grant).await?.stage(rows, offset).await
    }
}
