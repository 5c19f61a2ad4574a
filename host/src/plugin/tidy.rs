//! What a component says for people, made fit to be kept and shown: one line of bounded length,
//! without anything that a terminal obeys or that looks like another line. Pure.

use super::types::{
    Delivery, Finding, ImportStatus, Place, Problem, Rejection, Report, Staged, Throttle,
};

/// Why something went wrong: some sentences. What is longer is a page that somebody pasted.
const REASON_BYTES: usize = 1024;

/// The name of a field or an option.
const NAME_BYTES: usize = 256;

/// Findings about settings, all of them: as many as a person corrects at a time.
const FINDINGS_BYTES: usize = 8 << 10;

/// A text as one line of at most `bytes` bytes; `…` stands for what was cut off.
pub(crate) fn line(text: &str, bytes: usize) -> String {
    const CUT: char = '…';
    let whole = text.len() <= bytes;
    let end = match whole {
        true => bytes,
        false => bytes - CUT.len_utf8(),
    };
    let kept = text.floor_char_boundary(end);
    let shown = text[..kept].chars().map(|c| if plain(c) { c } else { ' ' });
    shown.chain((!whole).then_some(CUT)).collect()
}

/// Whether a text is one line that a terminal shows as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    text.chars().all(plain)
}

/// Neither a control character nor one that ends a line or turns letters around.
pub(crate) fn plain(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns
}

fn shorten(text: &mut String, bytes: usize) {
    *text = line(text, bytes);
}

pub(super) fn problem(problem: Problem) -> Problem {
    match problem {
        Problem::InvalidSettings(findings) => Problem::InvalidSettings(few(findings)),
        Problem::Unauthorized(message) => Problem::Unauthorized(line(&message, REASON_BYTES)),
        Problem::Throttled(throttle) => Problem::Throttled(Throttle {
            message: line(&throttle.message, REASON_BYTES),
            ..throttle
        }),
        Problem::Transient(message) => Problem::Transient(line(&message, REASON_BYTES)),
        Problem::Fatal(message) => Problem::Fatal(line(&message, REASON_BYTES)),
    }
}

fn few(findings: Vec<Finding>) -> Vec<Finding> {
    let mut room = FINDINGS_BYTES;
    let short = findings.into_iter().map(|finding| Finding {
        message: line(&finding.message, REASON_BYTES),
        place: match finding.place {
            Place::Option(name) => Place::Option(line(&name, NAME_BYTES)),
            place => place,
        },
    });
    short
        .take_while(|finding| {
            let fits = finding.message.len() < room;
            room = room.saturating_sub(finding.message.len() + 1);
            fits
        })
        .collect()
}

pub(super) fn staged(staged: &mut Staged) {
    staged.rejected.iter_mut().for_each(rejection);
}

pub(super) fn delivery(delivery: &mut Delivery) {
    delivery.rejected.iter_mut().for_each(rejection);
    delivery.why = delivery.why.take().map(problem);
}

fn rejection(rejection: &mut Rejection) {
    shorten(&mut rejection.reason, REASON_BYTES);
    if let Some(field) = &mut rejection.field {
        shorten(field, NAME_BYTES);
    }
}

pub(super) fn status(status: &mut ImportStatus) {
    match status {
        ImportStatus::Pending(progress) => shorten(&mut progress.message, REASON_BYTES),
        ImportStatus::Succeeded(report) | ImportStatus::Failed(report) => self::report(report),
    }
}

fn report(report: &mut Report) {
    shorten(&mut report.message, REASON_BYTES);
    for row in &mut report.rows {
        shorten(&mut row.reason, REASON_BYTES);
        if let Some(field) = &mut row.field {
            shorten(field, NAME_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_of_bounded_length() {
        assert_eq!(
            line("a\r\nERROR forged\u{1b}[31m", 100),
            "a  ERROR forged [31m"
        );
        assert_eq!(line("a\u{2028}b\u{202e}c\u{9b}d", 100), "a b c d");
        assert_eq!(line("short", 5), "short");
        assert_eq!(line("longer", 5), "lo…");
        let cut = line(&"é".repeat(1_000), 100);
        assert!(cut.len() <= 100 && cut.ends_with("é…"), "{cut}");
    }

    #[test]
    fn findings_are_as_many_as_a_person_can_read() {
        let finding = Finding {
            place: Place::Option("o".repeat(10_000)),
            message: "m".repeat(10_000),
        };
        let Problem::InvalidSettings(few) =
            problem(Problem::InvalidSettings(vec![finding; 10_000]))
        else {
            panic!("another problem");
        };
        assert_eq!(few.len(), 7);
        let bytes: usize = few.iter().map(|finding| finding.message.len()).sum();
        assert!(bytes <= FINDINGS_BYTES, "{bytes}");
    }
}
