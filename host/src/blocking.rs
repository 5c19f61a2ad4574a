//! Work that blocks a thread: the database's and the disk's.

use crate::usage::cpu;

/// Does the work where blocking is allowed. What was begun is done, also if nobody waits for it
/// any more. Its processor time is put down to the export whose task this is.
///
/// # Panics
/// Those of `work`.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let payer = cpu::payer();
    let work = move || {
        let _working = payer.as_deref().map(cpu::Working::begin);
        work()
    };
    // In a simulation every piece of work is a place at which the program may be killed.
    #[cfg(test)]
    if let Some(killer) = crate::export::simulation::killer() {
        killer.pass().await;
        let result = work();
        killer.pass().await;
        return result;
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
