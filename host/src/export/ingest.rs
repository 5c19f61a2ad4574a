//! Accepting changes: from the first second on, whatever phase the export is in.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use crate::config::ChangesFrom;
use crate::source::ChangeSource;
use crate::store::{Store, StoreError};

/// How long to wait before a source that cannot be read is tried again.
const AGAIN_MS: u64 = 5_000;

/// Waits while the log is full: then the source has to wait, and nothing is lost. `false` if the
/// host stops meanwhile.
///
/// # Errors
/// The store's.
pub(super) async fn room(context: &Context) -> Result<bool, StoreError> {
    let limit = context.spec.tuning.log_max_mib << 20;
    let mut activity = context.activity.listen();
    let mut told = false;
    loop {
        activity.note();
        if context.store.run(Store::log_bytes).await? < limit {
            return Ok(true);
        }
        if !std::mem::replace(&mut told, true) {
            let message = format!(
                "the log is full ({} MiB, `log_max_mib`): the source waits until changes are delivered",
                limit >> 20
            );
            tracing::warn!(export = %context.name, "{message}");
            context.note(message, None).await?;
        }
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(false),
            () = activity.heard() => {}
        }
    }
}

/// Reads the changes source until the host stops, or until it is closed.
///
/// # Errors
/// The store's.
pub(super) async fn ingest(context: Arc<Context>, from: ChangesFrom) -> Result<(), StoreError> {
    let streams = match from {
        ChangesFrom::File(_) => "changes",
        ChangesFrom::Stdin(_) => "stdin",
    };
    let mut accepted = context
        .store
        .run(move |store| store.position(streams))
        .await?;
    let mut source = ChangeSource::open(&from, accepted.as_deref());
    let stream = source.stream();
    let format = context.spec.line_format();
    loop {
        if !room(&context).await? {
            return Ok(());
        }
        let read = tokio::select! {
            biased;
            () = context.stop.cancelled() => return Ok(()),
            read = source.read(accepted.as_deref(), &format) => read,
        };
        let changes = match read {
            Ok(changes) => changes,
            Err(error) => {
                tracing::error!(export = %context.name, %error, "changes are not read");
                context.note(error.to_string(), Some(AGAIN_MS)).await?;
                // Nobody knows what it still has.
                context.source_at_end.send_replace(false);
                tokio::select! {
                    biased;
                    () = context.stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(Duration::from_millis(AGAIN_MS)) => {}
                }
                // A person may have said meanwhile where to go on.
                accepted = context
                    .store
                    .run(move |store| store.position(streams))
                    .await?;
                continue;
            }
        };
        if !changes.position.is_empty() && accepted.as_ref() != Some(&changes.position) {
            let (incoming, position) = (changes.incoming, changes.position.clone());
            let shared = context.clone();
            context
                .store
                .run(move |store| {
                    store.append(
                        &incoming,
                        &shared.together,
                        Some((stream, &position)),
                        shared.by().names(),
                        shared.now_ms(),
                    )
                })
                .await?;
            accepted = Some(changes.position);
            context.bump();
        }
        let done = match from {
            ChangesFrom::File(_) => changes.at_end,
            ChangesFrom::Stdin(_) => changes.closed,
        };
        context
            .source_at_end
            .send_if_modified(|at_end| std::mem::replace(at_end, done) != done);
        if changes.closed {
            return Ok(());
        }
        if changes.at_end && matches!(from, ChangesFrom::File(_)) {
            tokio::select! {
                biased;
                () = context.stop.cancelled() => return Ok(()),
                () = source.wait() => {}
            }
        }
    }
}
