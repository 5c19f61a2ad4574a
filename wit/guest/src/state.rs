//! What the plugin remembers of an export. See `wit/0.2/state.wit`: `check` may look, `submit`, `poll` and
//! `deliver` may also change.

use crate::Problem;
use crate::bindings::sluice::sink::state;

pub use state::Failure;

/// What most plugins make of it, as `wit/0.2/state.wit` says.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(reason) | Failure::TooLarge(reason) => Self::Fatal(reason),
            Failure::Unavailable(reason) => Self::Transient(reason),
            Failure::Changed(_) => {
                Self::Transient("another call changed what is remembered".to_owned())
            }
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_stands_in_the_way_is_not() {
        let reason = || "no".to_owned();
        for (failure, passes) in [
            (Failure::Changed(Some("x".to_owned())), true),
            (Failure::Unavailable(reason()), true),
            (Failure::Denied(reason()), false),
            (Failure::TooLarge(reason()), false),
        ] {
            let problem = Problem::from(failure);
            assert_eq!(
                matches!(problem, Problem::Transient(_)),
                passes,
                "{problem:?}"
            );
        }
    }
}
