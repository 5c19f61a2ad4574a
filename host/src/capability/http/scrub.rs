//! Finding a credential in what comes back, in any spelling that a server may give it. Pure.
//!
//! It is looked for in the bytes as they are, and in what they are once JSON's and URLs' escapes are
//! taken away, also one within the other. Every search takes time in proportion to the bytes, and
//! there is a fixed number of them. What is looked for is kept in memory that is overwritten.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use zeroize::Zeroizing;

/// A secret shorter than this would be found by chance in every second answer.
pub(super) const SHORTEST: usize = 6;

/// What stands where a credential stood.
const SCRUBBED: &str = "[credential]";

/// Escapes within escapes: JSON in JSON, a URL in JSON.
const DEPTH: usize = 2;

/// The texts to remove.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Scrubber {
    needles: Vec<Zeroizing<Vec<u8>>>,
    /// The same in lower case, for names of headers.
    folded: Vec<Zeroizing<Vec<u8>>>,
}

impl Scrubber {
    /// One for these texts, none of them shorter than [`SHORTEST`].
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut needles: Vec<Zeroizing<Vec<u8>>> = vec![];
        for needle in texts.into_iter().flat_map(spellings) {
            if needle.len() >= SHORTEST && !needles.contains(&needle) {
                needles.push(needle);
            }
        }
        let folded = needles
            .iter()
            .map(|needle| Zeroizing::new(needle.to_ascii_lowercase()))
            .collect();
        Self { needles, folded }
    }

    /// The same bytes without the texts.
    pub fn scrub(&self, bytes: Vec<u8>) -> Vec<u8> {
        let found = self.find(&bytes, DEPTH);
        if found.is_empty() {
            return bytes;
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for span in found {
            clean.extend_from_slice(&bytes[from..span.start]);
            clean.extend_from_slice(SCRUBBED.as_bytes());
            from = span.end;
        }
        clean.extend_from_slice(&bytes[from..]);
        clean
    }

    /// The same text without the texts.
    pub fn scrub_text(&self, text: String) -> String {
        // What is cut out begins and ends with ASCII, so what is left is UTF-8.
        String::from_utf8_lossy(&self.scrub(text.into_bytes())).into_owned()
    }

    /// The name of a header, which comes in lower case, or what stands for one with a text in it.
    pub fn scrub_name(&self, name: &str) -> String {
        let held = |needle: &Zeroizing<Vec<u8>>| memmem::find(name.as_bytes(), needle).is_some();
        match self.folded.iter().any(held) {
            true => SCRUBBED.to_owned(),
            false => self.scrub_text(name.to_owned()),
        }
    }

    /// Where the texts stand, in order, none touching another.
    fn find(&self, bytes: &[u8], depth: usize) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = vec![];
        for needle in &self.needles {
            let at = memmem::find_iter(bytes, needle.as_slice());
            found.extend(at.map(|at| at..at + needle.len()));
        }
        if depth > 0 {
            for coding in [Coding::Json, Coding::Percent] {
                if let Some(plain) = coding.decode(bytes) {
                    let within = self.find(&plain, depth - 1);
                    found.extend(coding.map_back(bytes, &within));
                }
            }
        }
        found.sort_unstable_by_key(|span| span.start);
        found.dedup_by(|next, before| {
            let one = next.start <= before.end;
            if one {
                before.end = before.end.max(next.end);
            }
            one
        });
        found
    }
}

/// A way to write a byte as several.
#[derive(Clone, Copy)]
enum Coding {
    /// `\/`, `\"`, `\\`, `\u002F`.
    Json,
    /// `%2F`.
    Percent,
}

impl Coding {
    /// The first byte of a text that is not empty, and how many bytes it is written with.
    fn first(self, bytes: &[u8]) -> (u8, usize) {
        match (self, bytes) {
            (Self::Json, [b'\\', quoted @ (b'/' | b'"' | b'\\'), ..]) => (*quoted, 2),
            (Self::Json, [b'\\', b'u', b'0', b'0', high, low, ..])
            | (Self::Percent, [b'%', high, low, ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, self.length()),
                _ => (bytes[0], 1),
            },
            _ => (bytes[0], 1),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Json => 6,
            Self::Percent => 3,
        }
    }

    /// The text without its escapes; `None` if it has none.
    fn decode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let sign = match self {
            Self::Json => b'\\',
            Self::Percent => b'%',
        };
        let plain = memchr::memchr(sign, bytes)?;
        let mut decoded = Vec::with_capacity(bytes.len());
        decoded.extend_from_slice(&bytes[..plain]);
        let mut rest = &bytes[plain..];
        while !rest.is_empty() {
            let (byte, length) = self.first(rest);
            decoded.push(byte);
            rest = &rest[length..];
        }
        (decoded.len() < bytes.len()).then_some(decoded)
    }

    /// Where these places of the decoded text, which are in order, stand in the text itself.
    fn map_back(self, bytes: &[u8], spans: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut places = spans
            .iter()
            .flat_map(|span| [span.start, span.end])
            .peekable();
        let mut mapped = Vec::with_capacity(spans.len() * 2);
        let (mut at, mut decoded) = (0, 0);
        while places.peek().is_some() {
            while places.next_if_eq(&decoded).is_some() {
                mapped.push(at);
            }
            if at >= bytes.len() {
                break;
            }
            at += self.first(&bytes[at..]).1;
            decoded += 1;
        }
        mapped
            .chunks_exact(2)
            .map(|pair| pair[0]..pair[1])
            .collect()
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// A text as servers and people write it, escapes aside.
fn spellings(text: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let bytes = text.as_bytes();
    let mut all = vec![Zeroizing::new(bytes.to_owned())];
    if bytes.contains(&b' ') {
        // As forms do it.
        let plus = bytes
            .iter()
            .map(|byte| if *byte == b' ' { b'+' } else { *byte });
        all.push(Zeroizing::new(plus.collect()));
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let mut hex = Zeroizing::new(Vec::with_capacity(bytes.len() * 2));
        for byte in bytes {
            hex.extend([
                digits[usize::from(byte >> 4)],
                digits[usize::from(byte & 15)],
            ]);
        }
        all.push(hex);
    }
    // Base64 of a longer text that holds this one looks different by where it begins among three
    // bytes; the characters at its ends depend on its neighbours, and are left out.
    for shift in 0..3 {
        let mut shifted = Zeroizing::new(Vec::with_capacity(shift + bytes.len()));
        shifted.resize(shift, 0);
        shifted.extend_from_slice(bytes);
        let certain = (shift * 8).div_ceil(6)..shifted.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let mut encoded = Zeroizing::new(vec![0; shifted.len().div_ceil(3) * 4]);
            if engine.encode_slice(&*shifted, &mut encoded).is_ok() {
                all.push(Zeroizing::new(encoded[certain.clone()].to_owned()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "s3/\"c+ret\\k?y~>";

    fn scrubbed(text: &str) -> String {
        Scrubber::new([KEY]).scrub_text(text.to_owned())
    }

    #[test]
    fn a_key_is_found_in_every_spelling() {
        let json = serde_json::to_string(KEY).unwrap();
        let json = json.trim_matches('"');
        let twice = serde_json::to_string(json).unwrap();
        let units: String = KEY.bytes().map(|b| format!("\\u{b:04x}")).collect();
        let percent: String = KEY.bytes().map(|b| format!("%{b:02X}")).collect();
        let lower: String = KEY.bytes().map(|b| format!("%{b:02x}")).collect();
        let hex: String = KEY.bytes().map(|b| format!("{b:02x}")).collect();
        let url = percent_encoding::utf8_percent_encode(KEY, percent_encoding::NON_ALPHANUMERIC);
        for spelled in [
            KEY.to_owned(),
            json.to_owned(),
            json.replace('/', "\\/"),
            twice.trim_matches('"').to_owned(),
            units.clone(),
            units.to_uppercase().replace("\\U", "\\u"),
            units.replace('\\', "\\\\"),
            percent.clone(),
            lower,
            percent.replace('%', "%25"),
            percent.replace('%', "\\u0025"),
            // Only some of its characters.
            KEY.replace('c', "%63").replace('\\', "%5c"),
            json.replace('c', "\\u0063"),
            url.to_string(),
            hex.to_uppercase(),
            hex,
        ] {
            let text = format!("{{\"a\":\"{spelled}\",\"b\":1}}");
            assert_eq!(
                scrubbed(&text),
                "{\"a\":\"[credential]\",\"b\":1}",
                "{spelled}"
            );
        }
    }

    #[test]
    fn a_key_is_found_in_base64_wherever_it_begins() {
        for before in ["", "u", "us", "use", "ApiKey ", "user:"] {
            for after in ["", ":", "ab", "\n"] {
                for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(format!("{before}{KEY}{after}"));
                    for text in [
                        encoded.clone(),
                        encoded.replace('/', "\\/").replace('+', "%2B"),
                    ] {
                        let found = scrubbed(&format!("\"{text}\""));
                        assert!(found.contains(SCRUBBED), "{before:?} {after:?}: {text}");
                        // No more of it is left than the few bits that its neighbours share.
                        let left = found.replace(SCRUBBED, "").len();
                        assert!(left <= (before.len() + after.len()) * 4 / 3 + 6, "{found}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_with_spaces_is_found_in_a_form() {
        let scrubber = Scrubber::new(["ApiKey k-123456"]);
        for text in [
            "a=ApiKey+k-123456",
            "a=ApiKey%20k%2D123456",
            "a=ApiKey+k%2d123456",
        ] {
            assert_eq!(scrubber.scrub_text(text.to_owned()), "a=[credential]");
        }
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        for text in [
            "",
            "nothing here",
            "s3/\"c+ret\\k?y~",
            "100% \\u00e9 \\n %zz \\u00zz \\",
            "%",
            "\\u00",
        ] {
            assert_eq!(scrubbed(text), text);
        }
        assert_eq!(Scrubber::default().scrub(b"x".to_vec()), b"x");
        let two = format!("{KEY}{KEY} é {KEY}");
        assert_eq!(scrubbed(&two), "[credential] é [credential]");
    }

    #[test]
    fn a_name_of_a_header_holds_no_key_either() {
        let scrubber = Scrubber::new(["Key-ABCDEF"]);
        assert_eq!(scrubber.scrub_name("x-key-abcdef-x"), SCRUBBED);
        assert_eq!(scrubber.scrub_name("content-type"), "content-type");
    }

    /// Whatever an answer is made of, looking through it takes time in proportion to its length: a
    /// search that went back at each near match would not end.
    #[test]
    fn the_largest_answer_of_near_matches_is_looked_through() {
        let key = "a".repeat(200) + "b";
        let scrubber = Scrubber::new([key.as_str()]);
        for piece in ["a", "\\u0061", "%61", "\\\\", "%25", "%255Cu0061"] {
            let body = piece.repeat((8 << 20) / piece.len()).into_bytes();
            let length = body.len();
            assert_eq!(scrubber.scrub(body).len(), length, "{piece}");
        }
        let hits = key.repeat((8 << 20) / key.len()).into_bytes();
        assert_eq!(scrubber.scrub(hits), SCRUBBED.as_bytes());
    }
}
