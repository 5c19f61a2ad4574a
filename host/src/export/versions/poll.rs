//! Asking about an import job that another version may have begun.

use std::sync::Arc;

use super::start::meter;
use crate::export::context::{Context, Halt};
use crate::export::exporter::Exporter;
use crate::plugin::CallError;
use crate::plugin::types::{ImportStatus, Problem};
use crate::store::Store;

/// Asks the version that works now. If it cannot make anything of the token of an older one, that one
/// stays for this job.
pub(in crate::export) async fn poll(
    context: &Arc<Context>,
    file: u32,
    token: &str,
) -> Result<ImportStatus, Halt> {
    let exporter = context.exporter();
    let asked = context.unless_halted(exporter.poll(token)).await?;
    let error = match asked {
        Err(error) if cannot(&error) => error,
        answer => return Ok(answer?),
    };
    let Some(older) = began(context, file, exporter.as_ref()).await? else {
        return Err(error.into());
    };
    let answer = context.unless_halted(older.poll(token)).await?;
    if answer.is_ok() {
        tracing::warn!(
            export = %context.name, file, version = %older.version(), %error,
            "the version that began the import job is asked about it, since the active one cannot be"
        );
    }
    Ok(answer?)
}

/// The version that began a job, if it is another one and can be had.
async fn began(
    context: &Arc<Context>,
    file: u32,
    active: &dyn Exporter,
) -> Result<Option<Arc<dyn Exporter>>, Halt> {
    let by = context
        .store
        .run(move |store: &Store| store.submitted_by(file))
        .await?;
    let Some(by) = by.filter(|by| by != active.component()) else {
        return Ok(None);
    };
    if let Some(known) = context.versions.known(&by) {
        return Ok(Some(known));
    }
    match context.unless_halted(context.bring.bring(&by)).await? {
        Ok(older) => {
            let (by, now) = (older.clone(), context.now_ms());
            context
                .store
                .run(move |store| meter(store, by.as_ref(), now))
                .await?;
            context.versions.keep(&older);
            Ok(Some(older))
        }
        Err(unfit) => {
            tracing::warn!(export = %context.name, file, %unfit, "the version that began the import job cannot be loaded");
            Ok(None)
        }
    }
}

/// Whether the version is to blame, and not the destination or the way there.
fn cannot(error: &CallError) -> bool {
    match error {
        CallError::Trap { .. } | CallError::Contract { .. } | CallError::Limit(_) => true,
        CallError::Problem(problem) => {
            matches!(problem, Problem::Fatal(_) | Problem::InvalidSettings(_))
        }
    }
}
