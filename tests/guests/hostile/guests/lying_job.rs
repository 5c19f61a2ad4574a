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
            report.accepted = Some(u64::MAX);
        }
        if how("refused") {
            report.accepted = Some(0);
            report.refused = Some(u64::MAX);
        }
        if how("rows") {
            report.refused = Some(1);
            report.rows = [0, 1, 1, 1, u64::MAX]
                .map(|row| RefusedRow {
                    row,
                    reason: "no".to_owned(),
                })
                .to_vec();
        }
        Ok(ImportStatus::Succeeded(report))
    }
}

hostile!(Guest);
