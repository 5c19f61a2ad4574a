//! What the plugin remembers of an export. See `wit/0.2/state.wit`: `check` may look, `submit`, `poll` and
//! `deliver` may also change.

use crate::bindings::sluice::sink::state;

pub use state::Failure;

/// What stands under a key.
///
/// # Errors
/// Why it cannot be told.
pub fn get(key: &str) -> Result<Option<String>, Failure> {
    state::get(key)
}

/// Puts a text where `expected` stands; `None` is nothing. It is on disk when this returns.
///
/// # Errors
/// [`Failure::Changed`] with what stands there instead, or why it cannot be done. Nothing has changed.
pub fn compare_and_set(
    key: &str,
    expected: Option<&str>,
    value: Option<&str>,
) -> Result<(), Failure> {
    state::compare_and_set(key, expected, value)
}

/// Puts a text there, whatever stands there now. Of two calls at the same time either may have the last
/// word: where that matters, use [`compare_and_set`].
///
/// # Errors
/// Why it cannot be done. Nothing has changed.
pub fn set(key: &str, value: &str) -> Result<(), Failure> {
    whatever(key, Some(value))
}

/// Removes what stands there, if something does.
///
/// # Errors
/// Why it cannot be done. Nothing has changed.
pub fn remove(key: &str) -> Result<(), Failure> {
    whatever(key, None)
}

fn whatever(key: &str, value: Option<&str>) -> Result<(), Failure> {
    let mut now = get(key)?;
    loop {
        match compare_and_set(key, now.as_deref(), value) {
            // Somebody was faster; as many as there are lanes can be.
            Err(Failure::Changed(other)) => now = other,
            done => return done,
        }
    }
}
