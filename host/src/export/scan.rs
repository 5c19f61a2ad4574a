//! The scan: a members file into staged files, one chunk at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::context::{Commit, Context, Done, Halt};
use super::exporter::Exporter;
use super::isolate::{Piece, isolate};
use super::machine::{Input, Reason};
use crate::blocking::blocking;
use crate::plugin::flat::Kind;
use crate::plugin::types::Staged;
use crate::source::ScannedBatch;
use crate::store::{
    Appender, Digest, FileEnd, FileRow, Identity, Quarantined, RefusedRow, ScanChunk, StagedRow,
    StoreError,
};

/// Lines between two durable positions of a scan: one sync of the file and one of the database
/// for all of them, and a few megabytes of memory however large the audience is.
const CHUNK_LINES: u64 = if cfg!(test) { 5 } else { 10_000 };

/// Rows of a `stage` call if the plugin leaves it to the host.
const STAGE_ROWS: u32 = 1_000;

pub(super) async fn scan(context: &Arc<Context>) -> Result<Done, Halt> {
    let exporter = context.exporter();
    let manifest = exporter.manifest();
    let (max_bytes, max_rows) = context.spec.file_limits(manifest);
    let stage_rows = match manifest.limits.stage_rows {
        0 => STAGE_ROWS,
        rows => rows,
    };
    let batch_rows = u64::from(stage_rows).min(max_rows) as usize;
    let members = context.spec.scan().ok_or_else(|| {
        Reason::Source("this export was scanning, but has no `members` any more".to_owned())
    })?;
    let settings = context.spec.scan_settings(exporter.component());
    if context
        .store
        .run(move |store| store.scan_under(&settings))
        .await?
    {
        tracing::warn!(export = %context.name, "mapping, options or plugin have changed since the scan began: scanning anew");
    }
    let (position, files) = context
        .store
        .run(|store| Ok((store.position("members")?, store.files()?)))
        .await?;
    let projection = context.projection.clone();
    let read =
        blocking(move || members.read(position.as_deref(), &projection, CHUNK_LINES, batch_rows))
            .await
            .map_err(|error| Reason::Source(error.to_string()))?;
    let staged_bytes = files.iter().map(|file| file.bytes).sum();
    let end = files.last().map_or(FileEnd::empty(1), FileRow::end);
    let mut writer = Writer {
        context,
        exporter: exporter.clone(),
        appender: context.store.append_to(end)?,
        full: vec![],
        max_bytes,
        max_rows,
        staged_bytes,
        chunk: ScanChunk {
            received: read.lines,
            position: read.position,
            ..ScanChunk::default()
        },
        source: read.name,
    };
    for batch in read.batches {
        writer.stage(Arc::new(batch)).await?;
    }
    let mut chunk = writer.finish().await?;
    chunk
        .refused
        .extend(read.bad.into_iter().map(|kept| RefusedRow {
            kept,
            member: None,
            line: 0,
        }));
    let meters = &context.meters;
    meters.scan_bytes.store(read.progress.0, Ordering::Relaxed);
    meters.scan_total.store(read.progress.1, Ordering::Relaxed);
    meters.scan_rows.fetch_add(read.lines, Ordering::Relaxed);
    Ok(Done {
        input: Input::Scanned { end: read.end },
        commit: Commit::Scan(Box::new(chunk)),
    })
}

/// Writes one chunk of the scan into staged files.
struct Writer<'c> {
    context: &'c Arc<Context>,
    /// One version stages all of a chunk.
    exporter: Arc<dyn Exporter>,
    appender: Appender,
    /// Files that were completed by this chunk.
    full: Vec<FileEnd>,
    max_bytes: u64,
    max_rows: u64,
    /// Bytes of all staged files.
    staged_bytes: u64,
    chunk: ScanChunk,
    source: String,
}

impl Writer<'_> {
    async fn stage(&mut self, batch: Arc<ScannedBatch>) -> Result<(), Halt> {
        let mut done = 0;
        // A piece that would make the file too long is staged anew, as the beginning of the next.
        while done < batch.rows.len() {
            if self.appender.end.rows > 0
                && (self.appender.end.rows + (batch.rows.len() - done) as u64 > self.max_rows
                    || self.appender.end.bytes >= self.max_bytes)
            {
                self.next_file().await?;
            }
            let offset = self.appender.end.bytes;
            done += self.stage_from(&batch, done, offset).await?;
        }
        Ok(())
    }

    /// Stages the rows from `done` on; answers how many are settled.
    async fn stage_from(
        &mut self,
        batch: &Arc<ScannedBatch>,
        done: usize,
        offset: u64,
    ) -> Result<usize, Halt> {
        let columns = self.context.projection.columns();
        let isolated = isolate(batch.rows.len() - done, |range| {
            let rows = batch
                .rows
                .slice(range.start + done..range.end + done, columns);
            // Only the first piece of a file begins with the header.
            let offset = if range.start == 0 || range.is_empty() {
                offset
            } else {
                offset.max(1)
            };
            let exporter = self.exporter.clone();
            async move { exporter.stage(&rows, offset).await }
        })
        .await;
        let mut settled = 0;
        let mut header_due = offset == 0;
        for (range, piece) in isolated.pieces {
            let rows = range.start + done..range.end + done;
            match piece {
                Piece::Answer(staged) => {
                    let fits =
                        self.appender.end.bytes + staged.bytes.len() as u64 <= self.max_bytes;
                    let restage = header_due && staged.start == 0 && range.start > 0;
                    if restage || (!fits && self.appender.end.rows > 0) {
                        if !fits {
                            self.next_file().await?;
                        }
                        return Ok(settled);
                    }
                    header_due = false;
                    self.context.poison.store(0, Ordering::Relaxed);
                    self.append(batch, rows.clone(), &staged)?;
                }
                Piece::Poison(error) => {
                    self.context.poisoned(&error)?;
                    self.refuse(
                        batch,
                        rows.start,
                        None,
                        format!("the plugin failed on this row: {error}"),
                    );
                }
            }
            settled += rows.len();
        }
        match isolated.error {
            Some(error) => Err(error.into()),
            None => Ok(settled),
        }
    }

    fn append(
        &mut self,
        batch: &ScannedBatch,
        rows: std::ops::Range<usize>,
        staged: &Staged,
    ) -> Result<(), Halt> {
        self.take(staged.bytes.len() as u64)?;
        let FileEnd {
            number: file,
            bytes: base,
            ..
        } = self.appender.end;
        let members = &batch.members[rows.clone()];
        let lines = &batch.lines[rows.clone()];
        let (added, sum) = staged_rows(staged, members, lines, file, base);
        let of_file = self.chunk.digests.entry(file).or_default();
        *of_file = of_file.plus(sum);
        self.appender.append(&staged.bytes, added.len() as u64)?;
        self.chunk.rows.extend(added);
        for rejection in &staged.rejected {
            let row = rows.start + rejection.row as usize;
            self.refuse(
                batch,
                row,
                rejection.field.clone(),
                rejection.reason.clone(),
            );
        }
        Ok(())
    }

    fn refuse(&mut self, batch: &ScannedBatch, row: usize, field: Option<String>, reason: String) {
        let payload = self.context.projection.describe(&batch.rows, row);
        let member = identity("member:", &batch.members[row]);
        self.chunk.refused.push(RefusedRow {
            member: Some(member),
            line: batch.lines[row],
            kept: Quarantined {
                position: format!("{}:{}", self.source, batch.lines[row]),
                member: Some(batch.members[row].clone()),
                kind: Some(Kind::Scan),
                field,
                reason,
                digest: row_digest(&member, payload.as_bytes()),
                payload: Some(payload),
            },
        });
    }

    /// Counts bytes that are about to be staged; an error if they are more than the export may.
    fn take(&mut self, bytes: u64) -> Result<(), Reason> {
        let limit = self.context.spec.limits.staged_bytes;
        self.staged_bytes += bytes;
        if self.staged_bytes > limit {
            self.context.usage.limit("staged_mib");
            return Err(Reason::Limit(format!(
                "`stage` ran into limit `staged_mib` = {}: its staged files would have {} bytes. Raise the \
                 limit if the audience is that large",
                limit >> 20,
                self.staged_bytes
            )));
        }
        Ok(())
    }

    async fn next_file(&mut self) -> Result<(), Halt> {
        let number = self.appender.end.number + 1;
        let limit = self.context.spec.limits.staged_files;
        if number > limit {
            self.context.usage.limit("staged_files");
            return Err(Reason::Limit(format!(
                "`stage` ran into limit `staged_files` = {limit}: there is more. Raise the limit, or let a \
                 file be larger (`staged_file_max_bytes`, `staged_file_max_rows`)"
            ))
            .into());
        }
        let next = self.context.store.append_to(FileEnd::empty(number))?;
        let full = std::mem::replace(&mut self.appender, next);
        self.full.push(full.end);
        // Synced and closed at once: a plugin says how long a file is, and so how many there are; the
        // process has only so many to open, for all exports.
        self.context.store.run(move |_| full.sync()).await?;
        Ok(())
    }

    /// Everything on disk, so that it may be committed.
    async fn finish(mut self) -> Result<ScanChunk, StoreError> {
        let last = self.appender;
        self.chunk.files = self.full;
        self.chunk.files.push(last.end);
        self.context.store.run(move |_| last.sync()).await?;
        Ok(self.chunk)
    }
}

/// What an answer adds to a staged file that is `base` bytes long so far: the rows that were not
/// rejected, and their share of the checksum. `contract` has seen to it that every offset and index
/// is in range.
pub(super) fn staged_rows(
    staged: &Staged,
    members: &[String],
    lines: &[u64],
    file: u32,
    base: u64,
) -> (Vec<StagedRow>, Digest) {
    let mut rows = vec![];
    let mut sum = Digest::default();
    let mut of_row = vec![None; members.len()];
    let mut start = staged.start;
    let mut rejected = vec![false; members.len()];
    for rejection in &staged.rejected {
        rejected[rejection.row as usize] = true;
    }
    for (index, &end) in staged.ends.iter().enumerate() {
        if !rejected[index] {
            of_row[index] = Some(rows.len());
            let member = identity("member:", &members[index]);
            let bytes = &staged.bytes[start as usize..end as usize];
            sum = sum.plus(row_digest(&member, bytes));
            rows.push(StagedRow {
                file,
                start: base + u64::from(start),
                end: base + u64::from(end),
                identities: vec![member],
                line: lines[index],
            });
        }
        start = end;
    }
    let mut begin = 0;
    for (&end, &row) in staged.identity_ends.iter().zip(&staged.identity_rows) {
        if let Some(row) = of_row[row as usize] {
            let text = &staged.identities[begin..end as usize];
            rows[row].identities.push(destination_identity(text));
        }
        begin = end as usize;
    }
    (rows, sum)
}

/// Half of a SHA-256 over the kind and the text of an identity.
pub(super) fn identity(kind: &str, text: &str) -> Identity {
    let mut hash = Sha256::new();
    hash.update(kind);
    hash.update(text);
    let mut identity = Identity::default();
    identity.copy_from_slice(&hash.finalize()[..16]);
    identity
}

/// By what the destination knows a member.
pub(super) fn destination_identity(text: &str) -> Identity {
    identity("destination:", text)
}

/// What a row of the backfill adds to the checksum.
pub(super) fn row_digest(member: &Identity, text: &[u8]) -> Digest {
    Digest::of(&[b"row", member, text])
}
