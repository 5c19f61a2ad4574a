//! Writes down what a call finds and changes of what its plugin remembers, beside whoever keeps it; and
//! stands in for that keeper where the call is made again.
//!
//! Calls of an export run side by side. So it is not enough to know what stood there before the call: what
//! another call put there meanwhile is written down with how often this one had come to the key by then,
//! and the stand-in puts it there at that moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::memory::{CapturedChange, CapturedText, Found, Memories};
use crate::capability::http::TAPE_BYTES;
use crate::capability::state::{Change, Memory, Scratch};
use crate::plugin::types::StateFailure as Failure;

/// Hands on, and writes down. As much as a tape of requests may hold.
pub(super) struct Remembering {
    inner: Arc<dyn Memory>,
    reel: Mutex<Reel>,
}

#[derive(Default)]
struct Reel {
    memories: Memories,
    keys: BTreeMap<String, Known>,
    /// Where the call was when it ended.
    under_way: Option<(String, Option<CapturedChange>)>,
    bytes: usize,
    full: bool,
}

/// What the call can know of a key.
#[derive(Default)]
struct Known {
    /// How often it has come to it.
    uses: u32,
    /// What it has left there, or found there last.
    text: Option<Option<String>>,
}

/// How a use of a key went.
struct Went {
    /// What stood there, as far as that was seen.
    met: Option<Option<String>>,
    /// What stands there since.
    left: Option<Option<String>>,
    /// Why it was not done.
    why: Option<Found>,
}

impl Remembering {
    /// Writes down what is done to `inner`.
    pub fn new(inner: Arc<dyn Memory>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            reel: Mutex::default(),
        })
    }

    /// What was written down; `None` if it was more than a tape holds.
    pub fn take(&self) -> Option<Memories> {
        let (memories, whole) = self.take_part();
        whole.then_some(memories)
    }

    /// As much as a tape holds of it, and whether that is all.
    pub fn take_part(&self) -> (Memories, bool) {
        let mut reel = std::mem::take(&mut *self.reel());
        if let Some((key, change)) = reel.under_way.take() {
            let after = reel.keys.get(&key).map_or(0, |known| known.uses);
            reel.found(&key, after, Found::Never);
            reel.changed(change);
        }
        (reel.memories, !reel.full)
    }

    fn begin(&self, key: &str, change: Option<CapturedChange>) {
        self.reel().under_way = Some((key.to_owned(), change));
    }

    fn end(&self, key: &str, change: Option<CapturedChange>, went: Went) {
        let mut reel = self.reel();
        reel.under_way = None;
        if reel.full {
            return;
        }
        let known = reel.keys.entry(key.to_owned()).or_default();
        let after = known.uses;
        known.uses += 1;
        let is_new = went
            .met
            .as_ref()
            .filter(|met| known.text.as_ref() != Some(*met));
        let is_new = is_new.cloned();
        if went.left.is_some() {
            known.text = went.left;
        }
        if let Some(met) = is_new {
            reel.found(key, after, Found::now(met));
        }
        if let Some(why) = went.why {
            reel.found(key, after, why);
        }
        reel.changed(change);
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reel {
    fn found(&mut self, key: &str, after: u32, found: Found) {
        let key = key.to_owned();
        let text = CapturedText { key, after, found };
        if self.room(text.bytes()) {
            self.memories.state.push(text);
        }
    }

    fn changed(&mut self, change: Option<CapturedChange>) {
        if let Some(change) = change
            && self.room(change.bytes())
        {
            self.memories.remembers.push(change);
        }
    }

    /// Makes room for so much; nothing more is written from the first that does not fit.
    fn room(&mut self, bytes: usize) -> bool {
        self.bytes += bytes;
        self.full |= self.bytes > TAPE_BYTES;
        !self.full
    }
}

impl Went {
    fn of_get(answer: &Result<Option<String>, Failure>) -> Self {
        match answer {
            Ok(found) => Self {
                met: Some(found.clone()),
                left: Some(found.clone()),
                why: None,
            },
            Err(failure) => Self::not_done(failure),
        }
    }

    fn of_change(change: &Change, answer: &Result<(), Failure>) -> Self {
        match answer {
            Ok(()) => Self {
                met: Some(change.expected.clone()),
                left: Some(change.value.clone()),
                why: None,
            },
            // It is compared with what stands there before its size is looked at.
            Err(failure @ Failure::TooLarge(_)) => Self {
                met: Some(change.expected.clone()),
                left: Some(change.expected.clone()),
                ..Self::not_done(failure)
            },
            Err(failure) => Self::not_done(failure),
        }
    }

    fn not_done(failure: &Failure) -> Self {
        let why = |why| Self {
            met: None,
            left: None,
            why: Some(why),
        };
        match failure {
            Failure::Changed(now) => Self {
                met: Some(now.clone()),
                left: Some(now.clone()),
                why: None,
            },
            Failure::Denied(said) => why(Found::Denied(said.clone())),
            Failure::TooLarge(said) => why(Found::TooLarge(said.clone())),
            Failure::Unavailable(said) => why(Found::Unavailable(said.clone())),
        }
    }
}

impl Memory for Remembering {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        Box::pin(async move {
            self.begin(&key, None);
            let answer = self.inner.get(key.clone()).await;
            self.end(&key, None, Went::of_get(&answer));
            answer
        })
    }

    fn compare_and_set(&self, change: Change) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let captured = |made| CapturedChange {
                key: change.key.clone(),
                value: change.value.clone(),
                made,
            };
            self.begin(&change.key, Some(captured(false)));
            let answer = self.inner.compare_and_set(change.clone()).await;
            let went = Went::of_change(&change, &answer);
            self.end(&change.key, Some(captured(answer.is_ok())), went);
            answer
        })
    }
}

/// Remembers what was written down. Of a key that is not, it knows nothing.
pub(super) struct Recalling {
    scratch: Scratch,
    keys: Mutex<BTreeMap<String, Turns>>,
    ended: Notify,
}

/// What is found under a key, and when: in the order of time.
#[derive(Default)]
struct Turns {
    uses: u32,
    to_come: Vec<(u32, Found)>,
}

impl Recalling {
    /// Of what a call found.
    pub fn new(state: impl IntoIterator<Item = CapturedText>) -> Arc<Self> {
        let mut keys: BTreeMap<String, Turns> = BTreeMap::new();
        for CapturedText { key, after, found } in state {
            keys.entry(key).or_default().to_come.push((after, found));
        }
        Arc::new(Self {
            scratch: Scratch::default(),
            keys: Mutex::new(keys),
            ended: Notify::new(),
        })
    }

    /// Returns when something was asked that was never answered: from here on nothing is known.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// The call comes to a key: what others did is done, and what was not done is not.
    fn come_to(&self, key: &str) -> Option<Found> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = keys.get_mut(key)?;
        let now = turns.uses;
        turns.uses += 1;
        let due = turns.to_come.iter().filter(|(after, _)| *after == now);
        let mut not_done = None;
        for (_, found) in due {
            match found {
                Found::Nothing => self.scratch.put(key, None),
                Found::Text(text) => self.scratch.put(key, Some(text)),
                failure => not_done = Some(failure.clone()),
            }
        }
        not_done
    }

    /// What is answered in the place of the scratch.
    async fn not_done(&self, found: Option<Found>) -> Result<(), Failure> {
        Err(match found {
            None | Some(Found::Nothing | Found::Text(_)) => return Ok(()),
            Some(Found::Denied(why)) => Failure::Denied(why),
            Some(Found::TooLarge(why)) => Failure::TooLarge(why),
            Some(Found::Unavailable(why)) => Failure::Unavailable(why),
            Some(Found::Never) => {
                self.ended.notify_one();
                // Whoever replays gives the call up.
                std::future::pending().await
            }
        })
    }
}

impl Memory for Recalling {
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        Box::pin(async move {
            // A look is never too large: another version looks where this one made a change.
            let found = self.come_to(&key);
            let found = found.filter(|found| !matches!(found, Found::TooLarge(_)));
            self.not_done(found).await?;
            self.scratch.get(key).await
        })
    }

    fn compare_and_set(&self, change: Change) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let found = self.come_to(&change.key);
            self.not_done(found).await?;
            self.scratch.compare_and_set(change).await
        })
    }
}

#[cfg(test)]
#[path = "remembering_tests.rs"]
mod tests;
