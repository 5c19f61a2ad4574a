//! What the plugin of an export remembers, in the export's store.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::clock::Clock;
use crate::capability::state::{Change, Memory};
use crate::plugin::types::StateFailure as Failure;
use crate::store::{Store, StoreError};

/// A plugin's memory: that of the export, whichever version of the plugin works for it.
pub(super) struct StoreMemory {
    pub store: Store,
    /// The version that writes.
    pub plugin_version: String,
    pub clock: Clock,
}

impl Memory for StoreMemory {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        let found = self.store.run(move |store| store.recall(&key));
        found
            .map(|found| found.map_err(|error| unavailable(&error)))
            .boxed()
    }

    fn compare_and_set(&self, change: Change) -> BoxFuture<'_, Result<(), Failure>> {
        let (version, now) = (self.plugin_version.clone(), self.clock.now_ms());
        let made = self.store.run(move |store| {
            let (key, value) = (&change.key, change.value.as_deref());
            store.remember(key, value, &version, now, |now, beside| {
                change.judge(now, beside)
            })
        });
        made.map(|made| made.unwrap_or_else(|error| Err(unavailable(&error))))
            .boxed()
    }
}

/// The plugin hears no path of this machine. Whoever else works on the store meets the same error, and
/// the export ends with it.
fn unavailable(error: &StoreError) -> Failure {
    tracing::warn!("what a plugin remembers cannot be reached: {error}");
    Failure::Unavailable("the host's store cannot be reached".to_owned())
}
