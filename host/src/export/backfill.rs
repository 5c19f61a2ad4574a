//! From staged files to import jobs that have ended: seal, submit, poll.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::{Commit, Context, Done, Halt};
use super::machine::{Input, Reason};
use super::refused::refused;
use super::retry::POLLS;
use super::versions;
use crate::capability::StagedFile;
use crate::plugin::types::{File, ImportStatus};
use crate::store::{Did, FileRow, Imported, Store};

pub(super) async fn seal(context: &Arc<Context>) -> Result<Done, Halt> {
    let now = context.now_ms();
    let files = context
        .store
        .run(move |store| {
            store.find_superseded()?;
            for file in store
                .files()?
                .iter()
                .filter(|file| file.sealed_ms.is_none())
            {
                store.seal(file, now)?;
            }
            store.files()
        })
        .await?;
    let files = files
        .iter()
        .filter(|file| file.rows > 0)
        .map(|file| file.number)
        .collect();
    Ok(Done {
        input: Input::Sealed { files },
        commit: Commit::Sealed,
    })
}

async fn file(context: &Context, number: u32) -> Result<FileRow, Halt> {
    let files = context.store.run(Store::files).await?;
    files
        .into_iter()
        .find(|file| file.number == number)
        .ok_or_else(|| {
            Reason::Fatal(format!(
                "the store knows no staged file {number}; it was changed from outside"
            ))
            .into()
        })
}

pub(super) async fn submit(context: &Arc<Context>, number: u32) -> Result<Done, Halt> {
    let row = file(context, number).await?;
    let path = context.store.staged_path(&row.name);
    let wanted = row.clone();
    context
        .store
        .run(move |store| store.verify(&wanted))
        .await?;
    let id = context.spec.file_id(number);
    let sent = context.meters.upload_sent.clone();
    sent.store(0, Ordering::Relaxed);
    context
        .meters
        .upload_total
        .store(row.bytes, Ordering::Relaxed);
    let staged = StagedFile {
        id: id.clone(),
        path,
        bytes: row.bytes,
        sent,
    };
    let created =
        jiff::Timestamp::from_millisecond(row.sealed_ms.unwrap_or_default()).unwrap_or_default();
    let file = File {
        id,
        bytes: row.bytes,
        rows: row.rows,
        number,
        created_at: created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        extra: vec![],
    };
    let exporter = context.exporter();
    // A submission that is cut off is made again: the destination takes a file twice.
    let token = tokio::select! {
        biased;
        () = context.stop.cancelled() => return Err(Halt::Stopped),
        token = exporter.submit(staged, &file) => token?,
    };
    tracing::info!(export = %context.name, file = number, rows = row.rows, bytes = row.bytes, "import job started");
    Ok(Done {
        input: Input::Submitted { file: number },
        commit: Commit::Submitted {
            file: number,
            token,
            by: exporter.component().to_owned(),
        },
    })
}

pub(super) async fn poll(context: &Arc<Context>, number: u32, looks: u32) -> Result<Done, Halt> {
    let wait = POLLS.look_ms(looks, context.clock.dice());
    context.pause(wait).await?;
    let row = file(context, number).await?;
    let Some(token) = row.token.clone() else {
        return Err(Reason::Fatal(format!(
            "the store has lost the job token of staged file {number}; it was changed from outside"
        ))
        .into());
    };
    let status = versions::poll(context, number, &token).await?;
    match status {
        ImportStatus::Pending(progress) => {
            let meters = &context.meters;
            meters
                .import_done
                .store(progress.done.unwrap_or(0), Ordering::Relaxed);
            meters
                .import_total
                .store(progress.total.unwrap_or(row.rows), Ordering::Relaxed);
            meters.say(&progress.message);
            let limit = context.spec.tuning.import_timeout_minutes;
            Ok(Done::nothing(Input::Pending {
                waited_ms: wait,
                limit_ms: limit.saturating_mul(60_000),
            }))
        }
        ImportStatus::Failed(report) => Ok(Done::nothing(Input::ImportFailed(report.message))),
        ImportStatus::Succeeded(report) => {
            tracing::info!(export = %context.name, file = number, rows = row.rows, "import job succeeded");
            let line_end = context
                .store
                .run(|store| store.line())
                .await?
                .map_or(0, |(_, end)| end);
            let refused = refused(context, &report, &row).await?;
            Ok(Done {
                input: Input::Imported {
                    file: number,
                    line_end,
                },
                commit: Commit::Imported(Box::new(Imported {
                    file: row,
                    refused: refused.named,
                    unnamed: refused.unnamed,
                    did: Did::of(&report.counts),
                    message: report.message,
                })),
            })
        }
    }
}
