//! Gives an account of its bytes that is not true: the first cell that is not `fine` says how.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let wish = wish(&rows);
        let mut staged = stage(&rows, offset).finish();
        match wish {
            Some("too few") => drop(staged.ends.pop()),
            Some("too many") => staged.ends.push(staged.bytes.len() as u32),
            Some("beyond") => staged.ends.fill(u32::MAX),
            Some("start") => staged.start = u32::MAX,
            Some("bytes left") => staged.bytes.extend(b"nobody's\n"),
            Some("rejected with bytes") => staged.rejected = vec![rejection(0, "no")],
            Some("identities") => {
                staged.identities = "é".to_owned();
                staged.identity_ends = vec![1];
                staged.identity_rows = vec![0];
            }
            Some("identities descend") => {
                staged.identities = "ab".to_owned();
                staged.identity_ends = vec![2, 1];
                staged.identity_rows = vec![0, 0];
            }
            _ => {}
        }
        Ok(staged)
    }
}

hostile!(Guest);
