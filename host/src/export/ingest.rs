//! Accepting changes: from the first second on, whatever phase the export is in.

use std::sync::Arc;

use super::context::Context;
use super::now_ms;
use crate::config::ChangesFrom;
use crate::source::ChangeSource;
use crate::store::StoreError;

/// How long to wait before a source that cannot be read is tried again.
const AGAIN_MS: u64 = 5_000;

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
        let read = tokio::select! {
            () = context.stop.cancelled() => return Ok(()),
            read = source.read(accepted.as_deref(), &format) => read,
        };
        let changes = match read {
            Ok(changes) => changes,
            Err(error) => {
                tracing::error!(export = %context.name, %error, "changes are not read");
                context.note(error.to_string()).await?;
                // Nobody knows what it still has.
                context.source_at_end.send_replace(false);
                if !context.pause(AGAIN_MS).await {
                    return Ok(());
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
                        shared.by(),
                        now_ms(),
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
                () = context.stop.cancelled() => return Ok(()),
                () = source.wait() => {}
            }
        }
    }
}
