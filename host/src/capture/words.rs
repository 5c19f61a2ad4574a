//! A text taken apart into words, days, times and what stands between them; and sets of words. Pure.

use std::collections::HashSet;

use serde_json::Value;

/// A piece of a text. All pieces together are the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Letters, digits, and whatever else is neither ASCII punctuation nor white space.
    Word(&'a str),
    /// `YYYY-MM-DD`.
    Day(&'a str),
    /// `hh:mm`, perhaps with seconds, behind a day.
    Time(&'a str),
    /// What stays: punctuation, white space, and what joins a day, a time and its zone.
    Between(&'a str),
}

/// Words, in any case of letters.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(HashSet<String>);

impl Words {
    /// Adds every word, day and time of a text; of JSON also what its texts say.
    pub fn add(&mut self, text: &str) {
        self.add_but(text, &Self::default());
    }

    /// Adds its words, but for numbers.
    pub fn add_names(&mut self, text: &str) {
        for piece in pieces(text) {
            if let Piece::Word(text) = piece
                && text.contains(|c: char| !c.is_numeric())
            {
                self.0.insert(text.to_lowercase());
            }
        }
    }

    /// Adds the words of a text but for those that these have.
    pub fn add_but(&mut self, text: &str, kept: &Self) {
        self.add_plain(text, kept);
        // Escaped, a word looks like another one.
        if text.contains('\\')
            && let Ok(value) = serde_json::from_str(text)
        {
            self.add_value(&value, kept);
        }
    }

    fn add_plain(&mut self, text: &str, kept: &Self) {
        for piece in pieces(text) {
            let (Piece::Word(text) | Piece::Day(text) | Piece::Time(text)) = piece else {
                continue;
            };
            if !kept.spells(text) {
                // A day may be said in another order.
                for part in runs(text).filter(|part| *part != text) {
                    self.0.insert(part.to_lowercase());
                }
                self.0.insert(text.to_lowercase());
            }
        }
    }

    fn add_value(&mut self, value: &Value, kept: &Self) {
        match value {
            Value::String(text) => self.add_plain(text, kept),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item, kept)),
            Value::Object(object) => {
                for (name, value) in object {
                    self.add_plain(name, kept);
                    self.add_value(value, kept);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Adds all of these.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    pub fn has(&self, word: &str) -> bool {
        self.0.contains(&word.to_lowercase())
    }

    /// Whether they have the word, or something that stands in it between marks.
    pub fn are_in(&self, word: &str) -> bool {
        self.has(word) || runs(word).any(|run| self.has(run))
    }

    /// Whether they have the word, or all that it is put together from, like `rowCount`.
    pub fn spells(&self, word: &str) -> bool {
        self.has(word) || {
            let humps = humps(word);
            humps.len() > 1 && humps.iter().all(|hump| self.has(hump))
        }
    }
}

/// What stands in a piece between marks that are neither letters nor digits, like quotes that are no ASCII.
fn runs(piece: &str) -> impl Iterator<Item = &str> {
    let all = piece.split(|c: char| !c.is_alphanumeric());
    all.filter(|run| !run.is_empty())
}

/// The words of a word whose capitals part them.
fn humps(word: &str) -> Vec<&str> {
    let small = |c: char| c.is_lowercase();
    let begins = word.char_indices().zip(word.chars().skip(1));
    let begins = begins.filter(|((_, one), next)| small(*one) && next.is_uppercase());
    let mut humps = vec![];
    let mut begin = 0;
    for ((at, last), _) in begins {
        let end = at + last.len_utf8();
        humps.push(&word[begin..end]);
        begin = end;
    }
    humps.push(&word[begin..]);
    humps
}

/// Takes a text apart.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if day(rest) {
            found.push(Piece::Day(take(&mut rest, 10)));
            let joined = rest.starts_with(['T', 't', ' ']);
            let time = rest.get(1..).map_or(0, time_bytes);
            if joined && time > 0 {
                found.push(Piece::Between(take(&mut rest, 1)));
                found.push(Piece::Time(take(&mut rest, time)));
                let zone = zone_bytes(rest);
                if zone > 0 {
                    found.push(Piece::Between(take(&mut rest, zone)));
                }
            }
        } else {
            let of_word = is_of_word(first);
            let end = rest.find(|c| is_of_word(c) != of_word);
            let end = end.unwrap_or(rest.len());
            let taken = take(&mut rest, end);
            found.push(match of_word {
                true => Piece::Word(taken),
                false => Piece::Between(taken),
            });
        }
    }
    found
}

fn take<'a>(rest: &mut &'a str, bytes: usize) -> &'a str {
    let (head, tail) = rest.split_at(bytes);
    *rest = tail;
    head
}

fn is_of_word(c: char) -> bool {
    !(c.is_ascii_punctuation() || c.is_whitespace() || c.is_control())
}

/// Whether bytes stand as `d` says for digits, and as it is for the rest.
fn shaped(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(found, wanted)| match wanted {
                b'd' => found.is_ascii_digit(),
                wanted => found == wanted,
            })
}

/// Whether a text begins with a day that ends there or at a time.
fn day(text: &str) -> bool {
    let ends = |rest: &str| match rest.chars().next() {
        None => true,
        Some('T' | 't') => time_bytes(&rest[1..]) > 0,
        Some(next) => !is_of_word(next),
    };
    shaped(text, "dddd-dd-dd") && ends(&text[10..])
}

fn time_bytes(text: &str) -> usize {
    if !shaped(text, "dd:dd") {
        return 0;
    }
    if !shaped(&text[5..], ":dd") {
        return 5;
    }
    let parts = text[8..].strip_prefix('.').map_or(0, |parts| {
        parts.bytes().take_while(u8::is_ascii_digit).count()
    });
    match parts {
        0 => 8,
        parts => 9 + parts,
    }
}

fn zone_bytes(text: &str) -> usize {
    match text.as_bytes().first() {
        Some(b'Z' | b'z') => 1,
        Some(b'+') if shaped(text, "+dd:dd") => 6,
        Some(b'-') if shaped(text, "-dd:dd") => 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_words_days_times_and_what_stands_between() {
        use Piece::{Between as B, Day as D, Time as T, Word as W};
        for (text, expected) in [
            ("", vec![]),
            ("Zoë.B@x1", vec![W("Zoë"), B("."), W("B"), B("@"), W("x1")]),
            ("🎈 12,5", vec![W("🎈"), B(" "), W("12"), B(","), W("5")]),
            ("1990-05-01", vec![D("1990-05-01")]),
            (
                "1990-05-012",
                vec![W("1990"), B("-"), W("05"), B("-"), W("012")],
            ),
            (
                "on 1990-05-01T23:30:00.5-08:00!",
                vec![
                    W("on"),
                    B(" "),
                    D("1990-05-01"),
                    B("T"),
                    T("23:30:00.5"),
                    B("-08:00"),
                    B("!"),
                ],
            ),
            (
                "1990-05-01 23:30Z",
                vec![D("1990-05-01"), B(" "), T("23:30"), B("Z")],
            ),
            ("1990-05-01 Ann", vec![D("1990-05-01"), B(" "), W("Ann")]),
        ] {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn words_are_known_in_any_case_and_numbers_are_no_names() {
        let mut words = Words::default();
        words.add_names("/import_jobs/17 v3");
        assert!(words.has("JOBS") && words.has("v3") && !words.has("17"));
        words.add("17");
        assert!(words.has("17") && !words.has("18"));
        // Escaped or between marks, it is the same word.
        words.add(r#"["VIP\ngold","Zo\u00eb"]"#);
        words.add("on 1990-05-01");
        for word in ["gold", "vip", "ZOË", "1990", "05"] {
            assert!(words.has(word), "{word}");
        }
        assert!(words.are_in("“Gold”") && words.are_in("gold…") && !words.are_in("golden"));
        words.add_names("row count");
        for (word, spelt) in [
            ("rowCount", true),
            ("RowCount", true),
            ("rowAda", false),
            ("rowcount", false),
            ("éÉ", false),
        ] {
            assert_eq!(words.spells(word), spelt, "{word}");
        }
    }
}
