//! From staged files to import jobs that have ended: seal, submit, poll.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::{Commit, Context, Done, Halt};
use super::machine::{Input, Reason, State};
use super::now_ms;
use super::retry::POLLS;
use crate::capability::StagedFile;
use crate::plugin::CallError;
use crate::plugin::flat::Kind;
use crate::plugin::types::{File, ImportStatus, Report};
use crate::store::{FileRow, Imported, Quarantined, Store};

pub(super) async fn seal(context: &Arc<Context>) -> Result<Done, Halt> {
    let files = context
        .store
        .run(|store| {
            store.find_superseded()?;
            for file in store
                .files()?
                .iter()
                .filter(|file| file.sealed_ms.is_none())
            {
                store.seal(file, now_ms())?;
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

pub(super) async fn submit(
    context: &Arc<Context>,
    number: u32,
    crash: impl Fn(CallError) -> Halt,
) -> Result<Done, Halt> {
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
    let call = async {
        let session = context.session(Some(staged)).await?;
        session.submit(&file).await
    };
    // A submission that is cut off is made again: the destination takes a file twice.
    let token = tokio::select! {
        token = call => token.map_err(crash)?,
        () = context.stop.cancelled() => return Err(Halt::Stopped),
    };
    tracing::info!(export = %context.name, file = number, rows = row.rows, bytes = row.bytes, "import job started");
    Ok(Done {
        input: Input::Submitted {
            file: number,
            now_ms: now_ms(),
        },
        commit: Commit::Submitted {
            file: number,
            token,
        },
    })
}

pub(super) async fn poll(
    context: &Arc<Context>,
    number: u32,
    state: &State,
    attempt: u32,
    crash: impl Fn(CallError) -> Halt,
) -> Result<Done, Halt> {
    if !context.pause(POLLS.look_ms(attempt, rand::random())).await {
        return Err(Halt::Stopped);
    }
    let row = file(context, number).await?;
    let Some(token) = row.token.clone() else {
        return Err(Reason::Fatal(format!(
            "the store has lost the job token of staged file {number}; it was changed from outside"
        ))
        .into());
    };
    let call = async { context.session(None).await?.poll(&token).await };
    let status = tokio::select! {
        status = call => status.map_err(crash)?,
        () = context.stop.cancelled() => return Err(Halt::Stopped),
    };
    let nothing = |input| Done {
        input,
        commit: Commit::Nothing,
    };
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
            Ok(nothing(Input::Pending {
                over_limit: over_limit(context, state),
            }))
        }
        ImportStatus::Failed(report) => Ok(nothing(Input::ImportFailed(report.message))),
        ImportStatus::Succeeded(report) => {
            tracing::info!(export = %context.name, file = number, rows = row.rows, "import job succeeded");
            let line_end = context
                .store
                .run(|store| store.line())
                .await?
                .map_or(0, |(_, end)| end);
            let refused = refused(&report, &row);
            let unnamed = report
                .refused
                .unwrap_or(0)
                .saturating_sub(refused.len() as u64);
            Ok(Done {
                input: Input::Imported {
                    file: number,
                    line_end,
                },
                commit: Commit::Imported(Box::new(Imported {
                    file: row,
                    refused,
                    unnamed,
                    message: report.message,
                })),
            })
        }
    }
}

fn over_limit(context: &Context, state: &State) -> Option<String> {
    let State::Importing { since_ms, .. } = state else {
        return None;
    };
    let limit = context.spec.tuning.import_timeout_minutes;
    let minutes = now_ms().saturating_sub(*since_ms) / 60_000;
    (minutes >= limit as i64).then(|| {
        format!(
            "pending for {minutes} minutes; `import_timeout_minutes` allows {limit}. Look at the \
             job in the destination; starting sluice again submits the file anew"
        )
    })
}

/// The rows that the destination named. The staged file stays, so that they can be found in it.
fn refused(report: &Report, file: &FileRow) -> Vec<Quarantined> {
    let mut rows: Vec<_> = report
        .rows
        .iter()
        .filter(|row| row.row > 0 && row.row <= file.rows)
        .collect();
    rows.sort_by_key(|row| row.row);
    rows.dedup_by_key(|row| row.row);
    rows.into_iter()
        .map(|row| Quarantined {
            position: format!("{} row {}", file.name, row.row),
            member: None,
            kind: Some(Kind::Scan),
            field: None,
            reason: format!("the import job refused it: {}", row.reason),
            payload: None,
        })
        .collect()
}
