//! Countries: what people write, and the code that the destination wants.

use std::cmp::Ordering;

use crate::country_table::{CODES, NAMES};

/// Bytes of one entry in [`CODES`].
const ENTRY: usize = 5;

/// The code of the country that `text` names: `US`, `UK`, or the ISO 3166 two-letter code. Takes
/// two- and three-letter codes and English names, in any case, with or without accents, dots and
/// a leading `the`.
pub fn code(text: &str) -> Option<&'static str> {
    let upper = |at: usize| text.as_bytes().get(at).map_or(0, u8::to_ascii_uppercase);
    let code = match text.len() {
        2 => by_alpha2([upper(0), upper(1)]),
        3 => by_alpha3([upper(0), upper(1), upper(2)]),
        _ => None,
    };
    let code = code.or_else(|| by_name(text))?;
    // The destination calls this one differently from ISO.
    Some(if code == "GB" { "UK" } else { code })
}

fn by_alpha2(wanted: [u8; 2]) -> Option<&'static str> {
    let (mut low, mut high) = (0, CODES.len() / ENTRY);
    while low < high {
        let middle = low + (high - low) / 2;
        let code = CODES.get(middle * ENTRY..middle * ENTRY + 2)?;
        match code.as_bytes().cmp(&wanted) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Some(code),
            Ordering::Greater => high = middle,
        }
    }
    None
}

fn by_alpha3(wanted: [u8; 3]) -> Option<&'static str> {
    let entry = CODES
        .as_bytes()
        .chunks_exact(ENTRY)
        .position(|entry| entry[2..] == wanted)?;
    CODES.get(entry * ENTRY..entry * ENTRY + 2)
}

fn by_name(text: &str) -> Option<&'static str> {
    /// Longer than any name, so that a hostile cell costs nothing.
    const LONGEST: usize = 100;
    if text.len() > LONGEST {
        return None;
    }
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' => name.push(c),
            'A'..='Z' => name.push(c.to_ascii_lowercase()),
            '&' => name.push_str("and"),
            'å' | 'Å' | 'ã' | 'Ã' => name.push('a'),
            'ç' | 'Ç' => name.push('c'),
            'é' | 'É' => name.push('e'),
            'í' | 'Í' => name.push('i'),
            'ô' | 'Ô' => name.push('o'),
            'ü' | 'Ü' => name.push('u'),
            c if c.is_alphanumeric() => return None,
            _ => {}
        }
    }
    let name = name.strip_prefix("the").unwrap_or(&name);
    let found = NAMES
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    Some(NAMES[found].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_english_names_become_the_code_that_the_destination_wants() {
        for (text, expected) in [
            ("US", "US"),
            ("us", "US"),
            ("USA", "US"),
            ("U.S.A.", "US"),
            ("United States", "US"),
            ("united states of america", "US"),
            ("The United States of America", "US"),
            ("America", "US"),
            ("UK", "UK"),
            ("gb", "UK"),
            ("GBR", "UK"),
            ("United Kingdom", "UK"),
            ("England", "UK"),
            ("Great Britain", "UK"),
            ("Scotland", "UK"),
            ("Wales", "UK"),
            ("DE", "DE"),
            ("deu", "DE"),
            ("Germany", "DE"),
            ("France", "FR"),
            ("Netherlands", "NL"),
            ("The Netherlands", "NL"),
            ("Holland", "NL"),
            ("South Korea", "KR"),
            ("Korea", "KR"),
            ("North Korea", "KP"),
            ("Republic of Korea", "KR"),
            ("Russia", "RU"),
            ("Russian Federation", "RU"),
            ("Czech Republic", "CZ"),
            ("Czechia", "CZ"),
            ("Vietnam", "VN"),
            ("Viet Nam", "VN"),
            ("Turkey", "TR"),
            ("Türkiye", "TR"),
            ("Ivory Coast", "CI"),
            ("Côte d'Ivoire", "CI"),
            ("Curaçao", "CW"),
            ("Bosnia & Herzegovina", "BA"),
            ("Trinidad and Tobago", "TT"),
            ("United Arab Emirates", "AE"),
            ("UAE", "AE"),
            ("Taiwan", "TW"),
            ("Hong Kong", "HK"),
            ("Macau", "MO"),
            ("Bahamas", "BS"),
            ("The Bahamas", "BS"),
            ("Philippines", "PH"),
            ("Iran", "IR"),
            ("Syria", "SY"),
            ("Venezuela", "VE"),
            ("Bolivia", "BO"),
            ("Tanzania", "TZ"),
            ("Moldova", "MD"),
            ("Laos", "LA"),
            ("Brunei", "BN"),
            ("Cape Verde", "CV"),
            ("Swaziland", "SZ"),
            ("Myanmar", "MM"),
            ("Vatican City", "VA"),
            ("Palestine", "PS"),
            ("North Macedonia", "MK"),
            ("Macedonia", "MK"),
            ("East Timor", "TL"),
            ("Gambia", "GM"),
            ("Dominican Republic", "DO"),
            ("Puerto Rico", "PR"),
            ("New Zealand", "NZ"),
            ("South Africa", "ZA"),
            ("Saudi Arabia", "SA"),
            ("Samoa", "WS"),
            ("American Samoa", "AS"),
            ("Korea, Republic of", "KR"),
            ("Kosovo", "XK"),
            ("u.k.", "UK"),
        ] {
            assert_eq!(code(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_country() {
        for text in [
            "",
            "x",
            "XX",
            "ZZZ",
            "Atlantis",
            "é",
            "日本",
            "the",
            &"a".repeat(10_000),
        ] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[test]
    fn the_tables_are_in_order_and_agree() {
        let entries: Vec<_> = CODES.as_bytes().chunks(ENTRY).collect();
        assert_eq!(entries.len(), 250);
        assert!(entries.is_sorted() && entries.iter().all(|entry| entry.len() == ENTRY));
        for entry in &entries {
            let (two, three) = str::from_utf8(entry).unwrap().split_at(2);
            let expected = Some(if two == "GB" { "UK" } else { two });
            assert_eq!((code(two), code(three)), (expected, expected), "{two}");
            assert!(
                NAMES.iter().any(|(_, code)| *code == two),
                "{two} has no name"
            );
        }
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, two) in NAMES {
            assert!(
                by_alpha2(two.as_bytes().try_into().unwrap()).is_some(),
                "{name}"
            );
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            assert!(!name.starts_with("the"), "{name}");
        }
    }
}
