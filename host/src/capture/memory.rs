//! What a call found of what its plugin remembers, and what it changed of it, as they are written down. Pure.

use serde::{Deserialize, Serialize};

/// What stood under a key when a call came to it. Of what the call itself has put there nothing is written
/// down: that follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedText {
    /// The key.
    pub key: String,
    /// How often the call had come to this key before. Nothing but the first time, unless another call
    /// was faster in between, or it was not done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u32,
    /// What was there.
    pub found: Found,
}

/// What was there, or why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Nothing.
    Nothing,
    /// This text.
    Text(String),
    /// It was not granted.
    Denied(String),
    /// The limit on what may be remembered was reached.
    TooLarge(String),
    /// The host could not.
    Unavailable(String),
    /// The call was over before.
    Never,
}

/// A change of what a plugin remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedChange {
    /// Under which key.
    pub key: String,
    /// What was to stand there; nothing where it was to be taken out.
    pub value: Option<String>,
    /// Whether it was made.
    pub made: bool,
}

/// All of a call's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memories {
    /// What it found.
    pub state: Vec<CapturedText>,
    /// What it changed, in order.
    pub remembers: Vec<CapturedChange>,
}

impl Memories {
    /// About what they take in memory.
    pub fn bytes(&self) -> usize {
        let state = self.state.iter().map(CapturedText::bytes);
        let remembers = self.remembers.iter().map(CapturedChange::bytes);
        state.chain(remembers).sum()
    }
}

impl CapturedText {
    pub(super) fn bytes(&self) -> usize {
        64 + self.key.len() + self.found.text().map_or(0, str::len)
    }
}

impl CapturedChange {
    pub(super) fn bytes(&self) -> usize {
        64 + self.key.len() + self.value.as_ref().map_or(0, String::len)
    }
}

impl Found {
    /// What stands there now.
    pub(super) fn now(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Never => None,
            Self::Text(text)
            | Self::Denied(text)
            | Self::TooLarge(text)
            | Self::Unavailable(text) => Some(text),
        }
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
