//! What a plugin, a version and a channel may be called. Pure. They become names of files, and are
//! typed by people.

/// Names longer than this are no names.
const LONGEST: usize = 64;

/// A rule that a name breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be {what}: {rule}")]
pub struct BadName {
    /// What was found.
    pub name: String,
    what: &'static str,
    rule: &'static str,
}

/// A plugin's name, as manifests have it.
///
/// # Errors
/// The rule that it breaks.
pub fn name(name: &str) -> Result<(), BadName> {
    let rule = "lower-case letters, digits and `-`, at most 64";
    check(name, "the name of a plugin", rule, is_plain(name))
}

/// A version. It is a name and nothing more: none is newer than another.
///
/// # Errors
/// The rule that it breaks.
pub fn version(version: &str) -> Result<(), BadName> {
    let fine = |c: char| c.is_ascii_alphanumeric() || ".+-_".contains(c);
    let fine = version.chars().all(fine) && !version.starts_with('.');
    let rule = "letters, digits, `.`, `+`, `-` and `_`, at most 64, and no `.` in front";
    check(version, "a version", rule, fine)
}

/// A channel: what moves from version to version.
///
/// # Errors
/// The rule that it breaks.
pub fn channel(channel: &str) -> Result<(), BadName> {
    let rule = "lower-case letters, digits and `-`, at most 64";
    check(channel, "a channel", rule, is_plain(channel))
}

/// The whole SHA-256 of a component.
///
/// # Errors
/// The rule that it breaks.
pub fn sha256(sha256: &str) -> Result<(), BadName> {
    let rule = "64 digits and letters from a to f, as `sluice plugin inspect FILE` shows them";
    let fine = sha256.len() == 64 && is_hex(sha256);
    check(sha256, "a SHA-256", rule, fine)
}

/// Whether it may be the beginning of a SHA-256.
pub(super) fn is_hex(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.chars().all(hex)
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.chars().all(plain)
}

fn check(name: &str, what: &'static str, rule: &'static str, fine: bool) -> Result<(), BadName> {
    if fine && !name.is_empty() && name.len() <= LONGEST {
        return Ok(());
    }
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let name = name.chars().take(LONGEST).collect();
    Err(BadName { name, what, rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_a_file_may_be_called_and_a_person_types() {
        type Rule = fn(&str) -> Result<(), BadName>;
        let sha = "0123456789abcdef".repeat(4);
        let long = "a".repeat(65);
        for (rule, good, bad) in [
            (
                name as Rule,
                vec!["retention-science", "a", "x2"],
                vec!["", "A", "a b", "../a", "a/b", "a@b", long.as_str()],
            ),
            (
                version,
                vec!["0.1.0", "1.0.0-rc.1+build", "2026_11", "v1"],
                vec!["", ".1", "..", "1/2", "1@2", "1 2", "1\n", long.as_str()],
            ),
            (channel, vec!["stable", "next-2"], vec!["", "Stable", "a.b"]),
            (
                sha256,
                vec![sha.as_str()],
                vec!["", "0123456789ab", &sha[1..]],
            ),
        ] {
            for name in good {
                assert_eq!(rule(name), Ok(()), "{name}");
            }
            for name in bad {
                let error = rule(name).expect_err(name).to_string();
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }
}
