//! Which places of two lists differ: what was put in between shifts nothing. Pure.

use std::hash::Hash;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Items of both lists together that are aligned: it takes the product of how many there are and how many differ.
const ALIGNED: usize = 4_000;

/// The places that differ, in order: then and now. Longer lists that differ in much are compared place by place.
pub(super) fn differing<T: Hash + Ord>(
    then: &[T],
    now: &[T],
) -> Vec<(Option<usize>, Option<usize>)> {
    let begin = then
        .iter()
        .zip(now)
        .take_while(|(was, is)| was == is)
        .count();
    let (then, now) = (&then[begin..], &now[begin..]);
    let ends = then.iter().rev().zip(now.iter().rev());
    let end = ends.take_while(|(was, is)| was == is).count();
    let (then, now) = (&then[..then.len() - end], &now[..now.len() - end]);
    let ops = match then.len() + now.len() > ALIGNED {
        false => capture_diff_slices(Algorithm::Myers, then, now),
        true => vec![DiffOp::Replace {
            old_index: 0,
            old_len: then.len(),
            new_index: 0,
            new_len: now.len(),
        }],
    };
    let mut found = vec![];
    for op in ops {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (old, new) = (op.old_range(), op.new_range());
        for index in 0..old.len().max(new.len()) {
            let was = (index < old.len()).then(|| begin + old.start + index);
            let is = (index < new.len()).then(|| begin + new.start + index);
            let same = was
                .zip(is)
                .is_some_and(|(was, is)| then[was - begin] == now[is - begin]);
            if !same {
                found.push((was, is));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_between_shifts_nothing() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        let at = |was: i64, is: i64| (usize::try_from(was).ok(), usize::try_from(is).ok());
        for (then, now, expected) in [
            ("abc", "abc", vec![]),
            ("abc", "xabc", vec![at(-1, 0)]),
            ("abc", "ac", vec![at(1, -1)]),
            ("abc", "axc", vec![at(1, 1)]),
            ("abcd", "axbcy", vec![at(-1, 1), at(3, 4)]),
            ("", "ab", vec![at(-1, 0), at(-1, 1)]),
        ] {
            assert_eq!(
                differing(&letters(then), &letters(now)),
                expected,
                "{then} {now}"
            );
        }
        // Place by place.
        let (then, mut now): (Vec<_>, Vec<_>) = ((0..3_000).collect(), (1..3_001).collect());
        assert_eq!(differing(&then, &now).len(), 3_000);
        now[1_500] = 1_500;
        assert_eq!(differing(&then, &now).len(), 2_999);
    }
}
