//! What a plugin remembers of an export: which function may look and change, and what a change must keep
//! to. Where it is kept is somebody else's: a [`Memory`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::plugin::Limits;
use crate::plugin::tidy::plain;
use crate::plugin::types::StateFailure as Failure;

/// The longest key. Keys are names, which people read.
const KEY_BYTES: usize = 128;

/// The longest value: some ids, or a short list of them.
const VALUE_BYTES: usize = 16 << 10;

/// What a function of the contract may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Neither.
    None,
    /// Look.
    Read,
    /// Look and change.
    Change,
}

/// What an export's plugin may remember in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Limit `state_keys`.
    pub keys: u64,
    /// Limit `state_kib`, in bytes: of keys and values.
    pub bytes: u64,
}

impl Limits {
    /// What the plugin may remember.
    pub(crate) fn state(&self) -> Bounds {
        Bounds {
            keys: self.state_keys.into(),
            bytes: self.state_bytes,
        }
    }
}

/// One text in the place of another; nothing stands for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Under which key.
    pub key: String,
    /// What must stand there.
    pub expected: Option<String>,
    /// What shall.
    pub value: Option<String>,
    /// What may stand there in all.
    pub bounds: Bounds,
}

/// What is remembered besides the key in question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// How many keys.
    pub keys: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

impl Change {
    /// Whether it may be made where this stands. Pure.
    ///
    /// # Errors
    /// What the plugin is told.
    pub fn judge(&self, now: Option<&str>, beside: Beside) -> Result<(), Failure> {
        if now != self.expected.as_deref() {
            return Err(Failure::Changed(now.map(str::to_owned)));
        }
        let Some(value) = &self.value else {
            return Ok(());
        };
        let (key, Bounds { keys, bytes }) = (&self.key, self.bounds);
        if beside.keys + 1 > keys {
            return Err(Failure::TooLarge(format!(
                "`{key}` would be one key more than the limit `state_keys` = {keys} allows"
            )));
        }
        let all = beside.bytes + (key.len() + value.len()) as u64;
        if all > bytes {
            return Err(Failure::TooLarge(format!(
                "with `{key}` there would be {all} bytes of keys and values; the limit `state_kib` = {} \
                 allows {bytes}",
                bytes >> 10
            )));
        }
        Ok(())
    }
}

/// Where it is kept. A change is made whole or not at all, and is durable when it is answered.
pub trait Memory: Send + Sync {
    /// What stands under a key.
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<String>, Failure>>;
    /// Makes a change, if [`Change::judge`] finds nothing against it.
    fn compare_and_set(&self, change: Change) -> BoxFuture<'_, Result<(), Failure>>;
}

/// What a plugin is given of it.
#[derive(Clone)]
pub enum State {
    /// This.
    Kept(Arc<dyn Memory>),
    /// Nothing: every function is denied.
    Nothing,
}

impl State {
    pub(crate) async fn get(&self, access: Access, key: String) -> Result<Option<String>, Failure> {
        match (self, access) {
            (Self::Kept(memory), Access::Read | Access::Change) => {
                named(&key)?;
                memory.get(key).await
            }
            _ => Err(denied("this function may not look at `state`")),
        }
    }

    pub(crate) async fn compare_and_set(
        &self,
        access: Access,
        change: Change,
    ) -> Result<(), Failure> {
        match (self, access) {
            (Self::Kept(memory), Access::Change) => {
                named(&change.key)?;
                fits(&change)?;
                memory.compare_and_set(change).await
            }
            _ => Err(denied("this function may not change `state`")),
        }
    }
}

fn denied(why: &str) -> Failure {
    Failure::Denied(why.to_owned())
}

/// Keys are shown to people. The key itself is not repeated: it may be anything.
fn named(key: &str) -> Result<(), Failure> {
    match key.len() {
        1..=KEY_BYTES if key.chars().all(plain) => Ok(()),
        1..=KEY_BYTES => Err(denied(
            "the key holds a control character, or one that turns letters around",
        )),
        length => Err(Failure::Denied(format!(
            "the key has {length} bytes; it must have 1 to {KEY_BYTES}"
        ))),
    }
}

fn fits(change: &Change) -> Result<(), Failure> {
    match change.value.as_ref().map_or(0, String::len) {
        0..=VALUE_BYTES => Ok(()),
        length => Err(Failure::TooLarge(format!(
            "the value of `{}` has {length} bytes; at most {VALUE_BYTES} are kept",
            change.key
        ))),
    }
}

/// Remembers as long as it lives: where nothing may be left behind, as in a preview.
#[derive(Debug, Default)]
pub struct Scratch(Mutex<BTreeMap<String, String>>);

impl Scratch {
    /// One that begins with these.
    pub fn with(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Mutex::new(texts.into_iter().collect()))
    }

    /// The names of what it remembers.
    pub(crate) fn keys(&self) -> Vec<String> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.keys().cloned().collect()
    }

    /// Somebody else puts a text there, or takes it out.
    pub(crate) fn put(&self, key: &str, text: Option<&str>) {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Some(text) => drop(texts.insert(key.to_owned(), text.to_owned())),
            None => drop(texts.remove(key)),
        }
    }
}

impl Memory for Scratch {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = texts.get(&key).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn compare_and_set(&self, change: Change) -> BoxFuture<'_, Result<(), Failure>> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = texts.iter().filter(|(key, _)| **key != change.key);
        let beside = others.fold(Beside::default(), |sum, (key, value)| Beside {
            keys: sum.keys + 1,
            bytes: sum.bytes + (key.len() + value.len()) as u64,
        });
        let now = texts.get(&change.key).map(String::as_str);
        let judged = change.judge(now, beside);
        if judged.is_ok() {
            match change.value {
                Some(value) => drop(texts.insert(change.key, value)),
                None => drop(texts.remove(&change.key)),
            }
        }
        Box::pin(std::future::ready(judged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, expected: Option<&str>, value: Option<&str>) -> Change {
        Change {
            key: key.to_owned(),
            expected: expected.map(str::to_owned),
            value: value.map(str::to_owned),
            bounds: Bounds {
                keys: 2,
                bytes: 100,
            },
        }
    }

    fn state() -> State {
        State::Kept(Arc::new(Scratch::with([("a".to_owned(), "1".to_owned())])))
    }

    #[tokio::test]
    async fn a_change_creates_changes_and_removes_what_is_as_expected() {
        let state = state();
        let changed = |now: Option<&str>| Err(Failure::Changed(now.map(str::to_owned)));
        for (key, expected, value, answer) in [
            ("b", None, Some("2"), Ok(())),
            ("b", None, Some("3"), changed(Some("2"))),
            ("b", Some("1"), Some("3"), changed(Some("2"))),
            ("b", Some("2"), Some("3"), Ok(())),
            ("b", Some("3"), None, Ok(())),
            ("b", Some("3"), None, changed(None)),
            ("b", None, None, Ok(())),
        ] {
            let change = change(key, expected, value);
            let answered = state.compare_and_set(Access::Change, change.clone()).await;
            assert_eq!(answered, answer, "{change:?}");
            let now = state.get(Access::Read, key.to_owned()).await.unwrap();
            if answered.is_ok() {
                assert_eq!(now.as_deref(), value);
            }
        }
        assert_eq!(
            state.get(Access::Read, "a".to_owned()).await,
            Ok(Some("1".to_owned()))
        );
    }

    #[tokio::test]
    async fn only_the_functions_that_may_come_to_it() {
        let denied = |answer: Result<(), Failure>| matches!(answer, Err(Failure::Denied(_)));
        for (state, access, looks, changes) in [
            (state(), Access::None, false, false),
            (state(), Access::Read, true, false),
            (state(), Access::Change, true, true),
            (State::Nothing, Access::Change, false, false),
        ] {
            let looked = state.get(access, "a".to_owned()).await;
            assert_eq!(looked.is_ok(), looks, "{access:?}");
            let changed = state
                .compare_and_set(access, change("b", None, Some("2")))
                .await;
            assert_eq!(denied(changed), !changes, "{access:?}");
        }
    }

    #[tokio::test]
    async fn keys_are_names_and_values_are_short() {
        let state = state();
        for key in [
            "",
            "a\nb",
            "\u{9b}",
            "a\u{202e}b",
            "a\u{2067}",
            &"k".repeat(KEY_BYTES + 1),
        ] {
            let looked = state.get(Access::Change, key.to_owned()).await;
            assert!(matches!(looked, Err(Failure::Denied(_))), "{key:?}");
            let changed = state
                .compare_and_set(Access::Change, change(key, None, None))
                .await;
            assert!(matches!(changed, Err(Failure::Denied(_))), "{key:?}");
        }
        let long = "v".repeat(VALUE_BYTES + 1);
        let changed = state
            .compare_and_set(Access::Change, change("long", None, Some(&long)))
            .await;
        let Err(Failure::TooLarge(message)) = changed else {
            panic!("{changed:?}");
        };
        assert!(
            message.contains("`long`") && !message.contains("vv"),
            "{message}"
        );
    }

    #[test]
    fn what_is_remembered_in_all_is_bounded_and_the_error_names_key_and_limit() {
        let beside = |keys, bytes| Beside { keys, bytes };
        let refused = |change: Change, beside| match change.judge(None, beside) {
            Err(Failure::TooLarge(message)) => message,
            other => panic!("{other:?}"),
        };
        let new = |value| change("key", None, Some(value));
        assert_eq!(new("1234567").judge(None, beside(1, 90)), Ok(()));
        let message = refused(new("12345678"), beside(1, 90));
        assert!(
            message.contains("`key`") && message.contains("`state_kib` = 0"),
            "{message}"
        );
        let message = refused(new(""), beside(2, 0));
        assert!(
            message.contains("`key`") && message.contains("`state_keys` = 2"),
            "{message}"
        );
        // What is over a limit that was lowered can still be removed.
        let removed = change("key", Some("x"), None).judge(Some("x"), beside(9, 900));
        assert_eq!(removed, Ok(()));
    }
}
