//! What a call answers, as an outcome. Pure.

use super::exchange::Bytes;
use super::outcome::{CapturedRefusal, CapturedReport, Decision, Outcome, Rejected};
use crate::plugin::CallError;
use crate::plugin::types::{Delivery, ImportStatus, Problem, Rejection, Report, Staged};

impl Outcome {
    pub(crate) fn of<A: Seen>(answer: &Result<A, CallError>) -> Self {
        match answer {
            Ok(answer) => answer.seen(),
            Err(CallError::Problem(problem)) => Self::Problem(problem.into()),
            Err(CallError::Trap { call, reason }) => Self::Trap {
                call: (*call).to_owned(),
                reason: reason.clone(),
            },
            Err(CallError::Limit(reached)) => Self::Limit {
                call: reached.call.to_owned(),
                limit: reached.limit.to_owned(),
                value: reached.value,
            },
            Err(CallError::Contract { call, reason }) => Self::Contract {
                call: (*call).to_owned(),
                reason: reason.clone(),
            },
        }
    }
}

impl From<&Problem> for Decision {
    fn from(problem: &Problem) -> Self {
        match problem {
            Problem::InvalidSettings(findings) => {
                let all = findings.iter().map(|finding| finding.message.clone());
                Self::InvalidSettings(all.collect())
            }
            Problem::Unauthorized(message) => Self::Unauthorized(message.clone()),
            Problem::Throttled(throttle) => Self::Throttled {
                message: throttle.message.clone(),
                retry_after_ms: throttle.retry_after_ms,
            },
            Problem::Transient(message) => Self::Transient(message.clone()),
            Problem::Fatal(message) => Self::Fatal(message.clone()),
        }
    }
}

/// What a function answers, as an outcome.
pub(crate) trait Seen {
    fn seen(&self) -> Outcome;
}

impl Seen for () {
    fn seen(&self) -> Outcome {
        Outcome::Checked
    }
}

impl Seen for String {
    fn seen(&self) -> Outcome {
        Outcome::Submitted {
            token: self.clone(),
        }
    }
}

impl Seen for Staged {
    fn seen(&self) -> Outcome {
        let mut begin = 0;
        let mut identity = |(&end, &row): (&u32, &u32)| {
            let text = self.identities.get(begin..end as usize).unwrap_or_default();
            begin = end as usize;
            (row, text.to_owned())
        };
        let ends = self.identity_ends.iter().zip(&self.identity_rows);
        Outcome::Staged {
            bytes: Bytes(self.bytes.clone()),
            start: self.start,
            ends: self.ends.clone(),
            rejected: self.rejected.iter().map(rejected).collect(),
            identities: ends.map(&mut identity).collect(),
        }
    }
}

impl Seen for ImportStatus {
    fn seen(&self) -> Outcome {
        match self {
            Self::Pending(progress) => Outcome::Pending {
                message: progress.message.clone(),
                done: progress.done,
                total: progress.total,
            },
            Self::Succeeded(report) => Outcome::Succeeded(reported(report)),
            Self::Failed(report) => Outcome::Failed(reported(report)),
        }
    }
}

impl Seen for Delivery {
    fn seen(&self) -> Outcome {
        Outcome::Delivered {
            rejected: self.rejected.iter().map(rejected).collect(),
            retry: self.retry.clone(),
            why: self.why.as_ref().map(Into::into),
        }
    }
}

fn rejected(rejection: &Rejection) -> Rejected {
    Rejected {
        row: rejection.row,
        field: rejection.field.clone(),
        reason: rejection.reason.clone(),
    }
}

fn reported(report: &Report) -> CapturedReport {
    CapturedReport {
        message: report.message.clone(),
        accepted: report.counts.accepted,
        created: report.counts.created,
        updated: report.counts.updated,
        unchanged: report.counts.unchanged,
        refused: report.counts.refused,
        rows: report
            .rows
            .iter()
            .map(|row| CapturedRefusal {
                row: row.row,
                identity: row.identity.clone(),
                field: row.field.clone(),
                reason: row.reason.clone(),
            })
            .collect(),
    }
}
