//! What an export's plugin remembers, for looking and trying out: what it changes is forgotten.

use std::sync::Arc;

use super::Deployed;
use crate::capability::State;
use crate::capability::state::Scratch;
use crate::store::{Store, StoreError};

impl Deployed {
    /// A copy of what the plugin remembers.
    ///
    /// # Errors
    /// The store is there and cannot be read.
    pub fn memory(&self) -> Result<State, StoreError> {
        let texts = match Store::exists(&self.directory) {
            true => match Store::open_read_only(&self.directory) {
                Ok(store) => store.texts()?,
                // Before this format nothing was remembered.
                Err(StoreError::Format {
                    found, expected, ..
                }) if found < expected => vec![],
                Err(error) => return Err(error),
            },
            false => vec![],
        };
        Ok(State::Kept(Arc::new(Scratch::with(texts))))
    }
}
