//! Counts an import job wrongly: the option `how` says where.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn poll(token: String) -> Result<ImportStatus, Problem> {
        let mut report = report(token.parse().ok());
        if how("progress") {
            return Ok(ImportStatus::Pending(Progress {
                message: "nearly there".to_owned(),
                done: Some(u64::MAX),
                total: Some(1),
            }));
        }
        if how("accepted") {
            report.counts.accepted = Some(u64::MAX);
        }
        if how("refused") {
            report.counts.accepted = Some(0);
            report.counts.refused = Some(u64::MAX);
        }
        if how("rows") {
            report.counts.refused = Some(1);
            report.rows = [0, 1, 1, 1, u64::MAX]
                .map(|row| RefusedRow {
                    row: Some(row),
                    identity: None,
                    field: None,
                    reason: "no".to_owned(),
                })
                .to_vec();
        }
        if how("names") {
            // One of the file's rows, once by number; and what nobody knows.
            let named = |row, identity: Option<&str>| RefusedRow {
                row,
                identity: identity.map(str::to_owned),
                field: Some("what\nnot".repeat(1_000)),
                reason: "no".to_owned(),
            };
            report.rows = vec![
                named(Some(2), Some("nobody")),
                named(Some(2), None),
                named(None, Some("nobody")),
                named(None, None),
            ];
        }
        Ok(ImportStatus::Succeeded(report))
    }
}

hostile!(Guest);
