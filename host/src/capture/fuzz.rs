//! A capture's file, which may come from a stranger.

use super::compare::{Show, compare};
use super::file::Capture;
use super::mask::Mask;
use super::outcome::Outcome;
use super::replay::Replayed;
use crate::usage::Used;

/// Any bytes are a capture or an error that quotes nothing of them; what was read is written and read the
/// same, fits a plugin's border, and differs from itself in nothing.
pub fn capture(data: &[u8]) {
    let capture = match Capture::read(data) {
        Ok(capture) => capture,
        Err(error) => {
            assert!(!error.to_string().contains(char::is_control));
            return;
        }
    };
    let again = Capture::read(&capture.write()).expect("what was written is read");
    assert_eq!(again, capture);
    let shown = |text: &str| assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    if let Err(error) = capture.header.rig() {
        shown(&error.to_string());
    }
    let mask = Mask::new([7; 32]);
    for (index, call) in capture.calls.iter().enumerate() {
        let rows = call.input.rows();
        let flat = super::call::flat(rows);
        assert_eq!(flat.len(), rows.len());
        assert!(flat.batch(capture.header.columns.len()).ends.is_sorted());
        assert_eq!(mask.rows(rows).len(), rows.len());
        let same = Replayed {
            exchanges: call
                .exchanges
                .iter()
                .cloned()
                .zip((0..).map(Some))
                .collect(),
            left: vec![],
            state: call.state.clone(),
            remembers: call.remembers.clone(),
            outcome: call.outcome.clone(),
            used: Used::default(),
        };
        for show in [Show::All, Show::Masked] {
            assert!(compare(&capture.header, index + 1, call, &same, show).is_none());
            let other = Replayed {
                exchanges: vec![],
                left: (0..call.exchanges.len()).collect(),
                remembers: vec![],
                outcome: Outcome::Checked,
                ..same.clone()
            };
            let differs = compare(&capture.header, index + 1, call, &other, show);
            shown(&format!("{differs:#?}").replace("\\u{", "\u{1b}"));
        }
    }
}
