//! What a destination says, made fit for the operator's eyes: short, and without member data.

use crate::fields;

/// Longest message that is handed on, in characters.
const LONGEST: usize = 200;
/// How much of a message is looked at, in characters: more is never needed to fill the above.
const LOOKED_AT: usize = 2_000;
/// How many digits make a word look like a phone number, a date or a key.
const MANY_DIGITS: usize = 5;
/// What stands for what was masked.
const MASK: &str = "***";

/// The message with everything masked that looks like member data: the given values, addresses,
/// quoted text other than field names, and words with many digits. At most 200 characters.
pub fn message(text: &str, values: &[&str]) -> String {
    let text: String = text
        .chars()
        .take(LOOKED_AT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let mut hidden = vec![false; text.len()];
    hide_values(&text, values, &mut hidden);
    hide_quoted(&text, &mut hidden);
    hide_words(&text, &mut hidden);

    let mut shown = String::new();
    let mut masked = false;
    for (at, c) in text.char_indices() {
        if !hidden[at] {
            shown.push(c);
        } else if !masked {
            shown.push_str(MASK);
        }
        masked = hidden[at];
    }
    match shown.char_indices().nth(LONGEST) {
        None => shown,
        Some(_) => shown.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

fn hide_values(text: &str, values: &[&str], hidden: &mut [bool]) {
    /// Shorter ones are masked only where they stand as a word of their own.
    const SHORT: usize = 3;
    for value in values {
        // A message is one line with single spaces, so the value is looked for as such, too.
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        if value.is_empty() || value.len() > text.len() {
            continue;
        }
        let whole_word = value.chars().nth(SHORT - 1).is_none();
        for (start, _) in text.char_indices() {
            let end = start + value.len();
            let is_same = text
                .get(start..end)
                .is_some_and(|t| t.eq_ignore_ascii_case(&value));
            if is_same && (!whole_word || (is_edge(text, start) && is_edge(text, end))) {
                hidden[start..end].fill(true);
            }
        }
    }
}

/// Whether no word runs across this offset.
fn is_edge(text: &str, at: usize) -> bool {
    let before = text[..at]
        .chars()
        .next_back()
        .is_some_and(char::is_alphanumeric);
    let after = text[at..].chars().next().is_some_and(char::is_alphanumeric);
    !(before && after)
}

fn hide_quoted(text: &str, hidden: &mut [bool]) {
    let mut from = 0;
    while let Some((start, open)) = text[from..]
        .char_indices()
        .find(|(_, c)| closing(*c).is_some())
    {
        let start = from + start;
        let inner = start + open.len_utf8();
        from = inner;
        // An apostrophe inside a word opens nothing.
        if text[..start]
            .chars()
            .next_back()
            .is_some_and(char::is_alphanumeric)
        {
            continue;
        }
        let Some(close) = closing(open) else { continue };
        let end = text[inner..]
            .char_indices()
            .map(|(at, c)| (inner + at, c))
            .find(|(at, c)| {
                let next = text[at + c.len_utf8()..].chars().next();
                *c == close && !next.is_some_and(char::is_alphanumeric)
            });
        // What is never closed runs to the end: too much is better hidden than too little.
        let end = end.map_or(text.len(), |(at, _)| at);
        if fields::by_name(&text[inner..end]).is_none() {
            hidden[inner..end].fill(true);
        }
        from = text[end..]
            .chars()
            .next()
            .map_or(end, |c| end + c.len_utf8());
    }
}

fn closing(open: char) -> Option<char> {
    Some(match open {
        '"' | '\'' | '`' => open,
        '“' | '„' => '”',
        '‘' => '’',
        '«' => '»',
        _ => return None,
    })
}

fn hide_words(text: &str, hidden: &mut [bool]) {
    let mut start = 0;
    for word in text.split(' ') {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        // Several may stand together, and the first sign need not be an address's.
        let is_address = word
            .match_indices('@')
            .any(|(at, _)| at > 0 && at + 1 < word.len());
        if is_address || digits >= MANY_DIGITS {
            hidden[start..start + word.len()].fill(true);
        }
        start += word.len() + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_looks_like_member_data_is_masked() {
        let values = ["Ann Example", "München", "m", "", "  ", "ß"];
        for (text, expected) in [
            ("email is invalid", "email is invalid"),
            ("Email a@b.co is taken", "Email *** is taken"),
            ("conflict (email=A@B.co, id 7)", "conflict *** id 7)"),
            ("taken: @x,a@b.co", "taken: ***"),
            ("ANN EXAMPLE is unknown", "*** is unknown"),
            ("Ann  Example\nis unknown", "*** is unknown"),
            ("no such city: München!", "no such city: ***!"),
            ("gender m is not male", "gender *** is not male"),
            ("value \"blue\" for `email`", "value \"***\" for `email`"),
            ("it's 'blue' and can't be", "it's '***' and can't be"),
            ("value “blau” or «bleu»", "value “***” or «***»"),
            ("never closed \"blue is", "never closed \"***"),
            ("call +1-555-0100 now", "call *** now"),
            ("code 422, row 17", "code 422, row 17"),
            ("", ""),
            ("\0\u{7f}\u{1b}[31mred", "[31mred"),
        ] {
            assert_eq!(message(text, &values), expected, "{text}");
        }
    }

    #[test]
    fn messages_are_shortened_to_200_characters() {
        let long = message(&"é".repeat(5_000), &[]);
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with('…'));
        assert_eq!(message(&"é".repeat(200), &[]), "é".repeat(200));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_long_value_is_shown(
            before in any::<String>(), value in "[a-zé]{3,9}", after in any::<String>()
        ) {
            let shown = message(&format!("{before} {value} {after}"), &[&value]);
            prop_assert!(shown.chars().count() <= LONGEST);
            prop_assert!(!shown.contains(&value));
        }
    }
}
