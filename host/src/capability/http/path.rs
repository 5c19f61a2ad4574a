//! Which texts are paths: segments that no server can read as a way out, however often it decodes
//! them. Pure.

use percent_encoding::percent_decode;

/// A path longer than this is no path: servers and proxies take 8 KiB for the whole first line.
const LONGEST: usize = 4 << 10;

/// How often a segment is decoded to see what a chain of servers could make of it. One decodes once,
/// some twice; what still changes after that is made to hide something.
const DECODED: usize = 3;

/// A path whose segments are plain text: nothing that a server could read as a way out. A `%` is
/// one of many characters, which the host escapes, unless what follows spells such a way.
pub(super) fn well_formed(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    path.len() <= LONGEST
        && !path.contains(['?', '#'])
        && rest
            .split('/')
            .all(|segment| !segment.is_empty() && harmless(segment))
}

fn harmless(segment: &str) -> bool {
    let mut bytes = segment.as_bytes().to_owned();
    for _ in 0..DECODED {
        if leads_out(&bytes) {
            return false;
        }
        let decoded: Vec<u8> = percent_decode(&bytes).collect();
        if decoded == bytes {
            return true;
        }
        bytes = decoded;
    }
    // Still not at its end.
    false
}

/// Whether a server that takes these bytes for a segment could leave the folder, or see several.
fn leads_out(bytes: &[u8]) -> bool {
    // Some servers cut parameters off, and some trim spaces, before they look for dots.
    let name = bytes.split(|byte| *byte == b';').next().unwrap_or_default();
    let name = name.trim_ascii();
    if name == b"." || name == b".." || bytes.iter().any(|byte| matches!(byte, b'/' | b'\\')) {
        return true;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().any(char::is_control),
        // Longer spellings of ASCII than UTF-8 has, which careless decoders take: `%c0%ae` is a dot.
        Err(_) => {
            bytes
                .iter()
                .any(|byte| byte.is_ascii_control() || matches!(byte, 0xc0 | 0xc1))
                || bytes
                    .windows(2)
                    .any(|two| matches!(two, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_plain_text() {
        for path in [
            "/users",
            "/users/a b",
            "/users/zoë",
            "/a/b/c",
            "/users/...",
            "/users/.hidden",
            "/users/a..b",
            "/users/ada@example.com",
            "/users/a;b",
            // A percent sign is one of many characters.
            "/users/50%",
            "/users/100%25",
            "/users/a%40b",
            "/users/%zz",
            "/users/%",
            "/users/%2",
            "/users/%ff",
            "/users/%20",
        ] {
            assert!(well_formed(path), "{path}");
        }
        for path in [
            "",
            "/",
            "users",
            "//users",
            "//evil.test/users",
            "/users/",
            "/users//a",
            "https://evil.test/users",
            "https:/evil.test",
            "/users?admin=1",
            "/users#a",
            "@evil.test/users",
            "/users\\..\\admin",
            "\\\\evil.test\\users",
            "/users/a\tb",
            "/users/a\r\nHost: evil.test",
            "/users/\u{85}",
            "/users/\0",
        ] {
            assert!(!well_formed(path), "{path}");
        }
    }

    #[test]
    fn traversal_is_found_in_every_spelling() {
        for segment in [
            ".",
            "..",
            "%2e",
            "%2e%2e",
            "%2E.",
            ".%2e",
            "%252e%252e",
            "%25%32%65%2e",
            "%2f",
            "a%2fb",
            "a%2F..%2Fb",
            "a%252fb",
            "a%5cb",
            "a%255Cb",
            "%00",
            "a%0d%0aX: y",
            "%250a",
            "%7f",
            "%c2%85",
            "..;",
            "..;x=1",
            "%2e%2e;x",
            "..%3b",
            ".. ",
            "%20..",
            "%c0%ae%c0%ae",
            "%c0%af",
            "%e0%80%ae",
            "%f0%80%80%ae",
            "%25252525252e",
        ] {
            for path in [format!("/users/{segment}"), format!("/{segment}/users")] {
                assert!(!well_formed(&path), "{path}");
            }
        }
    }

    #[test]
    fn a_long_path_is_none() {
        assert!(well_formed(&format!("/{}", "a".repeat(LONGEST - 1))));
        assert!(!well_formed(&format!("/{}", "a".repeat(LONGEST))));
    }
}
