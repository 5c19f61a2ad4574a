//! Takes members' attributes out of texts and keeps their shape, so that a plugin still makes of them
//! what it would: a word becomes another of the same length and case, a number another with as many
//! digits, a day another day. Pure.
//!
//! The same word becomes the same word within one capture, in any case of letters, wherever it stands, and no
//! other becomes that one as long as there are enough of its shape: so what a plugin put together, and what a
//! destination said back, still fits, and two members stay two. The key is made for one capture and forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::call::{CapturedCell, CapturedRow, CellKind};
use super::json;
use super::words::{Piece, Words, pieces};

/// No vowels: so nobody's name comes out by accident.
const LETTERS: [char; 20] = [
    'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x',
    'z',
];

/// For letters beyond ASCII: what takes more than a byte still does.
const OTHER_LETTERS: [char; 7] = ['ð', 'þ', 'ñ', 'ç', 'ł', 'š', 'ž'];

/// For what is neither a letter, a digit nor ASCII.
const SYMBOL: char = '◇';

/// Longer numbers begin with 1, so that they still fit where the real ones did.
const LONG_NUMBER: usize = 15;

/// How often another word of the shape is tried before two become the same: of a few, all are taken soon.
const TRIES: u8 = 100;

/// Bytes of the longest exponent that stays, like `e308`.
const EXPONENT: usize = 4;

/// A mask with its key.
pub(super) struct Mask {
    key: [u8; 32],
    table: Mutex<Table>,
}

/// In small letters.
#[derive(Default)]
struct Table {
    /// What every masked word stands for.
    taken: HashMap<String, String>,
    /// At which attempt every word became one.
    attempts: HashMap<String, u8>,
}

impl Mask {
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            table: Mutex::default(),
        }
    }

    /// Rows, every cell of them.
    pub fn rows(&self, rows: &[CapturedRow]) -> Vec<CapturedRow> {
        let one = |row: &CapturedRow| CapturedRow {
            change: row.change,
            cells: row.cells.iter().map(|cell| self.cell(cell)).collect(),
        };
        rows.iter().map(one).collect()
    }

    fn cell(&self, CapturedCell(kind, text): &CapturedCell) -> CapturedCell {
        let masked = match kind {
            CellKind::Absent | CellKind::Null => String::new(),
            // One that says nothing.
            CellKind::Boolean => "true".to_owned(),
            CellKind::Integer | CellKind::Decimal => self.number(text),
            CellKind::Json => json::changed(
                text,
                &json::Change {
                    name: &|name| self.text(name),
                    text: &|text| self.text(text),
                    number: &|number| self.number(number),
                    boolean: &|_| true,
                },
            )
            .unwrap_or_else(|| self.text(text)),
            CellKind::Text | CellKind::Timestamp => self.text(text),
        };
        CapturedCell(*kind, masked)
    }

    /// Every word, day and time of a text.
    pub fn text(&self, text: &str) -> String {
        self.replace(text, |_| true)
    }

    /// Those of these words.
    pub fn only(&self, text: &str, words: &Words) -> String {
        self.replace(text, |word| words.are_in(word))
    }

    /// All but `kept`, unless they are of `members`.
    pub fn but(&self, text: &str, kept: &Words, members: &Words) -> String {
        self.replace(text, |word| members.are_in(word) || !kept.spells(word))
    }

    /// A number as JSON writes it; an exponent stays, if it is no number of somebody's.
    pub fn number(&self, text: &str) -> String {
        let (digits, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
        let exponent = exponent.get(..EXPONENT).unwrap_or(exponent);
        self.text(digits) + exponent
    }

    /// Those that go.
    pub fn replace(&self, text: &str, goes: impl Fn(&str) -> bool) -> String {
        let one = |piece: Piece<'_>| match piece {
            Piece::Word(word) if goes(word) => self.word(word),
            Piece::Day(day) if goes(day) => self.day(day),
            Piece::Time(time) if goes(time) => self.time(time),
            Piece::Word(text) | Piece::Day(text) | Piece::Time(text) | Piece::Between(text) => {
                text.to_owned()
            }
        };
        pieces(text).into_iter().map(one).collect()
    }

    /// The first that none but this one has become.
    fn one(&self, word: &str, masked: impl Fn(&Dice) -> String) -> String {
        let real = word.to_lowercase();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = table.attempts.get(&real) {
            return masked(&self.dice(&real, *attempt));
        }
        for attempt in 0..TRIES {
            let found = masked(&self.dice(&real, attempt));
            let stands_for = table.taken.entry(found.to_lowercase());
            if *stands_for.or_insert_with(|| real.clone()) == real {
                table.attempts.insert(real, attempt);
                return found;
            }
        }
        let found = masked(&self.dice(&real, 0));
        table.attempts.insert(real, 0);
        found
    }

    fn word(&self, word: &str) -> String {
        let is_number = word.chars().all(char::is_numeric);
        let length = word.chars().count();
        self.one(word, |dice| {
            let mut masked: Vec<char> = word
                .chars()
                .enumerate()
                .map(|(at, c)| match at {
                    0 if is_number && length > LONG_NUMBER => '1',
                    0 if is_number => digit(1 + dice.at(at) % 9),
                    _ => stands_for(c, dice.at(at)),
                })
                .collect();
            // Chance may leave a word as it was.
            if masked.iter().copied().eq(word.chars())
                && let Some(last) = masked.last_mut()
            {
                *last = another(*last);
            }
            masked.into_iter().collect()
        })
    }

    /// A day that there is in every calendar.
    fn day(&self, day: &str) -> String {
        self.one(day, |dice| {
            let (year, month) = (1950 + dice.at(0) % 60, 1 + dice.at(1) % 12);
            let masked = format!("{year}-{month:02}-{:02}", 1 + dice.at(2) % 28);
            match masked == day {
                false => masked,
                true => format!("{}-{}", year + 1, &masked[5..]),
            }
        })
    }

    fn time(&self, time: &str) -> String {
        self.one(time, |dice| {
            let mut masked = format!("{:02}:{:02}", dice.at(0) % 24, dice.at(1) % 60);
            if time.len() > 5 {
                masked += &format!(":{:02}", dice.at(2) % 60);
            }
            let parts = time.get(8..).unwrap_or_default().chars().enumerate();
            masked.extend(parts.map(|(at, c)| stands_for(c, dice.at(3 + at))));
            masked
        })
    }

    /// Of a word in small letters.
    fn dice(&self, word: &str, attempt: u8) -> Dice {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length will do");
        mac.update(word.as_bytes());
        if attempt > 0 {
            // No word has this byte.
            mac.update(&[0xFF, attempt]);
        }
        Dice(mac.finalize().into_bytes().into())
    }
}

/// Numbers that follow from a word and the key.
struct Dice([u8; 32]);

impl Dice {
    fn at(&self, index: usize) -> usize {
        // Longer words than it has bytes for go around, another step each time.
        usize::from(self.0[index % 32]) + index / 32
    }
}

fn digit(n: usize) -> char {
    char::from(b'0' + (n % 10) as u8)
}

/// A character of the same kind.
fn stands_for(c: char, dice: usize) -> char {
    let letter = |c: char| match c.is_ascii() {
        true => LETTERS[dice % LETTERS.len()],
        false => OTHER_LETTERS[dice % OTHER_LETTERS.len()],
    };
    match c {
        c if c.is_numeric() => digit(dice),
        c if c.is_uppercase() => letter(c).to_uppercase().next().unwrap_or('X'),
        c if c.is_alphabetic() => letter(c),
        c if c.is_ascii() => c,
        _ => SYMBOL,
    }
}

fn another(c: char) -> char {
    let next = |all: &[char]| {
        let at = all
            .iter()
            .position(|letter| *letter == c.to_lowercase().next().unwrap_or(c));
        at.map(|at| all[(at + 1) % all.len()])
    };
    match next(&LETTERS).or_else(|| next(&OTHER_LETTERS)) {
        Some(other) if c.is_uppercase() => other.to_uppercase().next().unwrap_or('X'),
        Some(other) => other,
        None if c.is_ascii_digit() => digit((c as usize - '0' as usize) % 9 + 1),
        None => 'x',
    }
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
