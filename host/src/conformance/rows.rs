//! Rows that real audiences hold, and rows that nobody would make up. Pure, the same for a seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::plugin::flat::{Kind, Rows, cell};

/// The contract's code for moments, which sources of this host do not give yet.
const TIMESTAMP: u8 = 6;

/// A kind that no contract has yet.
pub const UNKNOWN: u8 = 250;

/// Texts that must arrive as they are, or not at all: nothing in them is white space or a control
/// character, which a destination may rule out.
pub const FAITHFUL: [&str; 10] = [
    "say \"hi\"",
    "it's",
    "a,b;c|d",
    "back\\slash\\n",
    "<b>&amp;</b>",
    "=1+1",
    "null",
    "{\"a\":1}",
    "😀 👩‍👩‍👧 é e\u{301}",
    "שלום مرحبا",
];

/// Texts that must not break out of their cell.
pub const AWKWARD: [&str; 11] = [
    "",
    " ",
    "two\nlines",
    "two\r\nlines",
    "\n",
    "tab\there",
    "nul\0here",
    "\u{1b}[31m",
    "\u{2028}\u{202e}",
    "\"",
    "\",\"\n",
];

/// Cells of every kind, with what is hard about each.
pub fn awkward() -> Vec<(u8, String)> {
    let texts = AWKWARD.iter().chain(&FAITHFUL);
    let mut cells: Vec<_> = texts.map(|text| (cell::TEXT, (*text).to_owned())).collect();
    let others = [
        (cell::ABSENT, ""),
        (cell::NULL, ""),
        (cell::INTEGER, "123456789012345678901234567890"),
        (cell::INTEGER, "-9007199254740993"),
        (cell::DECIMAL, "1e400"),
        (cell::DECIMAL, "-0.0"),
        (cell::BOOLEAN, "false"),
        (TIMESTAMP, "2026-11-23T10:15:00.123456789+14:00"),
        (cell::JSON, r#"{"a":[1,"\"\n",{"b":null}]}"#),
        (cell::JSON, "{\"a\":\n1}"),
        (cell::JSON, "[]"),
        (cell::JSON, "{broken"),
        (UNKNOWN, "something \"new\""),
    ];
    cells.extend(others.map(|(kind, text)| (kind, text.to_owned())));
    cells.push((cell::JSON, "[".repeat(200) + &"]".repeat(200)));
    cells
}

/// Rows of any cells at all.
pub fn random(seed: u64, count: usize, columns: usize, change: Option<Kind>) -> Rows {
    let mut dice = StdRng::seed_from_u64(seed);
    let known = awkward();
    let mut rows = Rows::default();
    for _ in 0..count {
        for _ in 0..columns {
            if dice.random_range(0..3) == 0 {
                let (kind, text) = &known[dice.random_range(0..known.len())];
                rows.cell(*kind, text);
                continue;
            }
            let length = dice.random_range(0..40);
            let text: String = (0..length)
                .map(|_| match dice.random_range(0..4) {
                    0 => ['"', '\'', ',', '\n', '\\', '{', '%', ':'][dice.random_range(0..8)],
                    1 => char::from_u32(dice.random_range(0..0x11_0000)).unwrap_or('?'),
                    _ => char::from(dice.random_range(b' '..=b'~')),
                })
                .collect();
            // Kinds are the host's promise, their texts are not: a plugin must bear both.
            match dice.random_range(0..9) {
                0 => rows.cell(cell::ABSENT, ""),
                1 => rows.cell(cell::NULL, ""),
                8 => rows.cell(UNKNOWN, &text),
                kind => rows.cell(kind, &text),
            }
        }
        let any = [Kind::Enter, Kind::Update, Kind::Exit][dice.random_range(0..3)];
        rows.end_row(change.unwrap_or(any));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_rows_again() {
        let rows = |seed| random(seed, 20, 3, None);
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
        assert_eq!(rows(7).len(), 20);
    }
}
