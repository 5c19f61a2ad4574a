//! Digests of what a call was given, asked for and answered: whether two are the same can be told, and
//! nothing else. Pure.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::call::Input;
use super::exchange::CapturedRequest;
use super::memory::CapturedChange;
use super::outcome::Outcome;

/// Digests of one call, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of what it was given.
    pub input: String,
    /// Of each request, in order.
    #[serde(default)]
    pub requests: Vec<String>,
    /// Of each change of what the plugin remembers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembers: Vec<String>,
    /// Of how it ended.
    pub outcome: String,
}

/// How digests are made: SHA-256 of the JSON. In a masked capture under a key that nobody keeps, since
/// whoever guesses a value could find it confirmed by its digest else: so they are compared with
/// each other, and with nothing outside of the file.
pub(super) enum Digester {
    Plain,
    Keyed([u8; 32]),
}

impl Digester {
    pub fn digests<'a>(
        &self,
        input: &Input,
        requests: impl Iterator<Item = &'a CapturedRequest>,
        remembers: &[CapturedChange],
        outcome: &Outcome,
    ) -> Digests {
        Digests {
            input: self.of(input),
            requests: requests.map(|request| self.of(request)).collect(),
            remembers: remembers.iter().map(|change| self.of(change)).collect(),
            outcome: self.of(outcome),
        }
    }

    fn of(&self, value: &impl Serialize) -> String {
        // These are texts, numbers and lists of them.
        let json = serde_json::to_vec(value).unwrap_or_default();
        match self {
            Self::Plain => hex(&Sha256::digest(json)),
            Self::Keyed(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
                mac.update(&json);
                hex(&mac.finalize().into_bytes())
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
