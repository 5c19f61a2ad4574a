//! Whether a text looks like an email address.

use email_address::{EmailAddress, Options};

/// Longest part before the `@`, in bytes (RFC 5321).
const MAX_LOCAL: usize = 64;
/// Longest part after the `@`, in bytes.
const MAX_DOMAIN: usize = 254;
/// Longest label of the domain, in bytes (RFC 1034).
const MAX_LABEL: usize = 63;

/// Whether `text` looks like an address that mail can be sent to: no display name, a domain name
/// of two labels or more.
pub fn is_address(text: &str) -> bool {
    // Nearly every address is plain, and the grammar for the rest allocates and is slow.
    is_plain(text) || is_unusual(text)
}

fn is_unusual(text: &str) -> bool {
    let options = Options::default()
        .with_minimum_sub_domains(2)
        .without_domain_literal()
        .without_display_text();
    !text.contains(char::is_control) && EmailAddress::parse_with_options(text, options).is_ok()
}

/// ASCII letters, digits and the usual marks around one `@`. One pass, since every row has one.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = None;
    let mut dots = false;
    // Where the present atom or label began.
    let mut start = 0;
    // Ends the atom or label before `end`: an empty one is none, and a label neither begins nor
    // ends with a hyphen.
    let is_part = |start: usize, end: usize, is_label: bool| {
        start < end
            && (!is_label
                || (end - start <= MAX_LABEL && bytes[start] != b'-' && bytes[end - 1] != b'-'))
    };
    for (here, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'A'..=b'Z' | b'-' => continue,
            b'_' | b'+' if at.is_none() => continue,
            b'.' => dots = true,
            b'@' if at.is_none() => {
                at = Some(here);
                dots = false;
            }
            _ => return false,
        }
        if !is_part(start, here, at.is_some_and(|at| at < here)) {
            return false;
        }
        start = here + 1;
    }
    at.is_some_and(|at| at <= MAX_LOCAL && bytes.len() - at - 1 <= MAX_DOMAIN)
        && dots
        && is_part(start, bytes.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        let long = |n: usize| "a".repeat(n);
        for (text, expected) in [
            ("a@b.co", true),
            ("First.Last+tag@Mail.Example.COM", true),
            ("o'brien@example.ie", true),
            ("\"odd name\"@example.com", true),
            ("jörg@müller.de", true),
            ("1@2.3", true),
            ("x@a-b.example", true),
            (&format!("{}@b.co", long(64)), true),
            (&format!("{}@b.co", long(65)), false),
            (&format!("a@{}.co", long(64)), false),
            (&format!("a@{}co", "b.".repeat(130)), false),
            ("", false),
            ("@", false),
            ("a@", false),
            ("@b.co", false),
            ("a@b", false),
            ("a@localhost", false),
            ("a@[127.0.0.1]", false),
            ("a@b..co", false),
            ("a@.co", false),
            ("a@b.co.", false),
            (".a@b.co", false),
            ("a.@b.co", false),
            ("a..b@b.co", false),
            ("a@-b.co", false),
            ("a@b-.co", false),
            ("a@b@c.co", false),
            ("a b@c.co", false),
            ("A <a@b.co>", false),
            ("<a@b.co>", false),
            ("a@b.co, c@d.co", false),
            ("a@b.co\n", false),
            ("a@b.c\0o", false),
            ("not an address", false),
        ] {
            assert_eq!(is_address(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_short_cut_takes_nothing_that_the_grammar_refuses(
            text in "[a-c.@_+-]{1,12}@[a-c0.-]{1,12}"
        ) {
            prop_assert!(!is_plain(&text) || is_unusual(&text));
        }
    }
}
