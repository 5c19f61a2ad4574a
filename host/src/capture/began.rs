//! When a call began and what chance it had, as it is written down. Pure.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::plugin::Moment;

/// What a component with clocks and chance goes by. Neither tells of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub struct Began(pub(super) Moment);

#[derive(Serialize, Deserialize)]
struct Spelled {
    at_ms: u64,
    /// 32 bytes, as base64.
    seed: String,
}

impl From<Began> for Spelled {
    fn from(Began(moment): Began) -> Self {
        Self {
            at_ms: u64::try_from(moment.at.as_millis()).unwrap_or(u64::MAX),
            seed: STANDARD.encode(moment.seed),
        }
    }
}

impl TryFrom<Spelled> for Began {
    type Error = &'static str;

    fn try_from(spelled: Spelled) -> Result<Self, Self::Error> {
        let seed = STANDARD.decode(spelled.seed).unwrap_or_default();
        Ok(Self(Moment {
            at: Duration::from_millis(spelled.at_ms),
            seed: seed.try_into().map_err(|_| "a seed is 32 bytes")?,
        }))
    }
}
