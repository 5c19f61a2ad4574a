//! Whether what is in a row reaches the destination as it is: what was sent is read as it reads it.

use crate::plugin::flat::{Kind, Rows, cell};

use super::answers::Good;
use super::bench::Bench;
use super::bodies::{Read, read};
use super::deliver::decide;
use super::report::{Outcome, broken, skip};
use super::rows::{AWKWARD, FAITHFUL};
use super::subject::Subject;

/// More columns than these show nothing more.
const COLUMNS: usize = 3;

/// Every text by itself in every column, for a row may be rejected.
pub async fn frames(bench: &Bench, subject: &Subject, good: &Good) -> Outcome {
    let mut texts: Vec<String> = FAITHFUL
        .iter()
        .chain(&AWKWARD)
        .map(|&t| t.to_owned())
        .collect();
    texts.push("\u{feff}after a mark".to_owned());
    texts.push("long \"é\\ ".repeat(410) + "end");
    let free = subject.samples.iter().enumerate();
    let free = free.filter(|(_, sample)| sample.is_free_text());
    let columns: Vec<usize> = free.map(|(column, _)| column).take(COLUMNS).collect();
    let (mut tried, mut unknown) = (0, 0);
    for &column in &columns {
        for text in &texts {
            let mut rows = Rows::default();
            subject.row(&mut rows, 1, Kind::Update, &[(column, cell::TEXT, text)]);
            let decided = decide(bench, subject, &rows, good.delivered.script()).await?;
            if decided.delivered.is_empty() {
                continue;
            }
            tried += 1;
            let mut found = false;
            let mut readable = true;
            for asked in &decided.asked {
                match read(&asked.request) {
                    Read::Texts(all) => found |= all.iter().any(|sent| holds(sent, text)),
                    Read::Unknown => readable = false,
                    Read::Garbled(what) => {
                        return broken(format!(
                            "column {column} with {}: a body is sent as {what}, and is none",
                            shown(text)
                        ));
                    }
                }
            }
            if !readable {
                unknown += 1;
            } else if !found {
                return broken(format!(
                    "column {column} with {}: it counts as delivered, and stands in no request",
                    shown(text)
                ));
            }
        }
    }
    match tried {
        _ if columns.is_empty() => skip("no field takes any text"),
        0 => skip("no row with an awkward text was delivered"),
        all if all == unknown => skip("what it sends is neither JSON nor a form nor a table"),
        _ => Ok(()),
    }
}

/// Whether a text that was sent holds another: but for white space and control characters, which a
/// destination may rule out.
fn holds(sent: &str, text: &str) -> bool {
    let kept = |text: &str| -> String {
        let chars = text.chars();
        chars
            .filter(|c| !c.is_control() && !c.is_whitespace())
            .collect()
    };
    sent.contains(text) || kept(sent).contains(&kept(text))
}

/// One of the suite's own texts, shortened.
fn shown(text: &str) -> String {
    let head: String = text.chars().take(40).collect();
    match text.len() {
        0..=40 => format!("{head:?}"),
        bytes => format!("{head:?}… ({bytes} bytes)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_by_what_keeps_all_that_can_be_seen_of_it() {
        for (sent, text, expected) in [
            ("two\nlines", "two\nlines", true),
            ("two lines", "two\nlines", true),
            ("two\\nlines", "two\nlines", false),
            ("say hi", "say \"hi\"", false),
            ("after a mark", "\u{feff}after a mark", false),
            ("nulhere", "nul\0here", true),
            ("x of y", "x", true),
        ] {
            assert_eq!(holds(sent, text), expected, "{sent:?} {text:?}");
        }
    }
}
