//! The scan of an NDJSON file: every line one member.

use std::path::PathBuf;

use super::lines::{Known, LINE_LIMIT_BYTES, Line, LineReader};
use super::project::Projection;
use super::rotation::parse;
use super::{SourceError, Unreadable};
use crate::plugin::flat::{Kind, Rows};
use crate::store::{Digest, Quarantined};

/// Bytes of cells in one batch: what crosses into a component at once, however wide the rows.
const BATCH_BYTES: usize = 1 << 20;

/// A members file.
#[derive(Clone, Debug)]
pub struct Members {
    path: PathBuf,
}

/// Rows that are staged in one call.
#[derive(Debug, Default)]
pub struct ScannedBatch {
    /// The rows.
    pub rows: Rows,
    /// Each row's member.
    pub members: Vec<String>,
    /// Each row's line.
    pub lines: Vec<u64>,
}

/// A piece of the scan.
#[derive(Debug)]
pub struct ScanRead {
    /// The file's name, for messages about its lines.
    pub name: String,
    /// The members, in order.
    pub batches: Vec<ScannedBatch>,
    /// Lines that are no member.
    pub bad: Vec<Quarantined>,
    /// How many lines were read.
    pub lines: u64,
    /// The position behind them.
    pub position: String,
    /// Bytes before that position, and in all.
    pub progress: (u64, u64),
    /// Whether the file is read to its end.
    pub end: bool,
}

impl Members {
    /// The members in this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reads up to `limit` lines after a position, in batches of at most `batch_rows`. Blocking.
    ///
    /// # Errors
    /// The file cannot be read, or is not the one that the position is in.
    pub fn read(
        &self,
        from: Option<&str>,
        projection: &Projection,
        limit: u64,
        batch_rows: usize,
    ) -> Result<ScanRead, SourceError> {
        let mut reader = self.open(from)?;
        let name = reader.name();
        let mut read = ScanRead {
            name,
            batches: vec![],
            bad: vec![],
            lines: 0,
            position: String::new(),
            progress: (0, 0),
            end: false,
        };
        let mut buffer = Vec::new();
        let mut batch = ScannedBatch::default();
        while read.lines < limit {
            let line = reader.next(&mut buffer, true)?;
            let number = reader.position.line;
            let result = match line {
                Line::End => {
                    read.end = true;
                    break;
                }
                Line::TooLong => Err(too_long()),
                Line::Text if buffer.iter().all(u8::is_ascii_whitespace) => continue,
                Line::Text => member(&buffer, projection, &mut batch, number),
            };
            read.lines += 1;
            if let Err(error) = result {
                read.bad.push(Quarantined {
                    position: format!("{}:{number}", read.name),
                    member: None,
                    kind: Some(Kind::Scan),
                    field: None,
                    reason: format!("the line {error}"),
                    payload: Some(String::from_utf8_lossy(&buffer).into_owned()),
                    digest: Digest::of(&[b"line", &buffer]),
                });
            }
            if batch.rows.len() >= batch_rows || batch.rows.text_bytes() >= BATCH_BYTES {
                read.batches.push(std::mem::take(&mut batch));
            }
        }
        if !batch.rows.is_empty() {
            read.batches.push(batch);
        }
        read.progress = (reader.position.offset, reader.length);
        read.position = reader
            .into_position()
            .map_err(|source| SourceError::read(&self.path, source))?;
        Ok(read)
    }

    fn open(&self, from: Option<&str>) -> Result<LineReader, SourceError> {
        let read = |source| SourceError::read(&self.path, source);
        let Some(from) = from else {
            return LineReader::begin(&self.path).map_err(read);
        };
        let from = parse(&self.path, from)?;
        let opened = LineReader::resume(&self.path, &from, Known::Text).map_err(read)?;
        opened.map_err(|what| SourceError::Members {
            path: self.path.clone(),
            what,
            accepted: from.offset,
        })
    }
}

pub(super) fn too_long() -> Unreadable {
    Unreadable(format!("is longer than {LINE_LIMIT_BYTES} bytes"))
}

pub(super) fn member(
    line: &[u8],
    projection: &Projection,
    batch: &mut ScannedBatch,
    number: u64,
) -> Result<(), Unreadable> {
    let text = std::str::from_utf8(line).map_err(|_| Unreadable("is not UTF-8".to_owned()))?;
    let member = projection.member(text)?;
    projection.push(&member, Kind::Scan, &mut batch.rows)?;
    batch.members.push(member.key);
    batch.lines.push(number);
    Ok(())
}
