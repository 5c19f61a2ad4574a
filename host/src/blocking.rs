//! Work that blocks a thread: the database's and the disk's.

/// Does the work where blocking is allowed. What was begun is done, also if nobody waits for it
/// any more.
///
/// # Panics
/// Those of `work`.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
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
