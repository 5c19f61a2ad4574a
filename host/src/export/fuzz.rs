//! What the export does with answers that passed the checks of `contract`.

use super::batch::sort;
use super::clock::Clock;
use super::retry::{CALLS, RETRY_AFTER_CAP_MS};
use super::scan::staged_rows;
use crate::plugin::types::{Delivery, Staged};
use crate::store::{Outcome, Pending};

/// The rows of a file: side by side, within it, and as many as were not rejected.
pub(crate) fn staged(answer: &Staged, rows: usize) {
    /// Where the file ends so far.
    const BASE: u64 = 1 << 40;
    let members: Vec<String> = (0..rows).map(|row| row.to_string()).collect();
    let lines: Vec<u64> = (1..=rows as u64).collect();
    let (staged, _) = staged_rows(answer, &members, &lines, 7, BASE);
    assert_eq!(staged.len() + answer.rejected.len(), rows);
    let mut at = BASE + u64::from(answer.start);
    for row in &staged {
        assert_eq!((row.file, row.start), (7, at));
        assert!(row.end >= row.start && !row.identities.is_empty());
        at = row.end;
    }
    // Every byte behind the header is some row's.
    assert_eq!(at, BASE + answer.bytes.len() as u64);
    assert!(staged.is_sorted_by_key(|row| row.line));
}

/// The rows of a batch: each settled as the answer says, or left for the next try.
pub(crate) fn delivery(answer: Delivery, rows: usize) {
    let rejected: Vec<u32> = answer.rejected.iter().map(|one| one.row).collect();
    let retry = answer.retry.clone();
    let mut settled = vec![];
    let began = Clock::System.now_ms();
    let pending = |row: usize| Pending::example(row as i64);
    let hindrance = sort(&Clock::System, answer, rows, pending, &mut settled);
    assert!(settled.is_sorted_by_key(|(pending, _)| pending.seq));
    let mut left = 0;
    let mut settled = settled.into_iter().peekable();
    for row in 0..rows as u32 {
        let outcome = settled.next_if(|(pending, _)| pending.seq == i64::from(row));
        match outcome.map(|(_, outcome)| outcome) {
            Some(Outcome::Rejected { .. }) => assert!(rejected.contains(&row)),
            Some(Outcome::Delivered) => {
                assert!(!rejected.contains(&row) && !retry.contains(&row));
            }
            Some(Outcome::Retry { not_before_ms, .. }) => {
                let longest = (CALLS.cap_ms + RETRY_AFTER_CAP_MS) as i64;
                assert!(retry.contains(&row) && hindrance.is_none());
                assert!(
                    not_before_ms >= began && not_before_ms <= Clock::System.now_ms() + longest
                );
            }
            None => {
                assert!(retry.contains(&row) && hindrance.is_some());
                left += 1;
            }
        }
    }
    assert!(settled.next().is_none());
    assert!(left == 0 || left == retry.len());
}
