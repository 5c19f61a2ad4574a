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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::state::Bounds;

    fn memory(store: Store) -> StoreMemory {
        StoreMemory {
            store,
            plugin_version: "1.0.0".to_owned(),
            clock: Clock::System,
        }
    }

    fn create(value: String) -> Change {
        Change {
            key: "list".to_owned(),
            expected: None,
            value: Some(value),
            bounds: Bounds {
                keys: 1,
                bytes: 100,
            },
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_lanes_that_claim_a_key_at_once_one_has_it_and_the_others_hear_whose_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let memory = memory(Store::open(directory.path()).unwrap());
        let lanes = (0..16).map(|lane| memory.compare_and_set(create(lane.to_string())));
        let answers = futures_util::future::join_all(lanes).await;
        let kept = memory.get("list".to_owned()).await.unwrap();
        let winners = answers.iter().filter(|answer| answer.is_ok());
        assert_eq!(winners.count(), 1, "{answers:?}");
        let heard = Err(Failure::Changed(kept));
        let losers = answers.iter().filter(|answer| answer.is_err());
        assert!(losers.clone().all(|answer| *answer == heard), "{answers:?}");
    }

    #[tokio::test]
    async fn a_plugin_hears_of_a_store_that_fails_and_no_path_of_this_machine() {
        let directory = tempfile::tempdir().unwrap();
        drop(Store::open(directory.path()).unwrap());
        let memory = memory(Store::open_read_only(directory.path()).unwrap());
        let answer = memory.compare_and_set(create("17".to_owned())).await;
        let Err(Failure::Unavailable(message)) = answer else {
            panic!("{answer:?}");
        };
        assert!(!message.contains('/'), "{message}");
    }
}
