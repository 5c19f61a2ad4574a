//! How a call ended, as it is written down and compared. Pure.

use serde::{Deserialize, Serialize};

use super::exchange::Bytes;

/// The limits of a call that waits.
const WAITS: [&str; 2] = ["wall_seconds", "upload_wall_seconds"];

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// `check`: all is well.
    Checked,
    /// `stage`: bytes of the staged file.
    Staged {
        /// The bytes.
        bytes: Bytes,
        /// Where the first row begins.
        start: u32,
        /// Where each row ends.
        ends: Vec<u32>,
        /// Rows that cannot be staged.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rejected: Vec<Rejected>,
        /// By what the destination knows the members: the row, and the text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        identities: Vec<(u32, String)>,
    },
    /// `submit`: the job's token.
    Submitted {
        /// The token.
        token: String,
    },
    /// `poll`: it is not done.
    Pending {
        /// What the destination calls that.
        message: String,
        /// Rows done.
        done: Option<u64>,
        /// Rows in all.
        total: Option<u64>,
    },
    /// `poll`: it is done.
    Succeeded(CapturedReport),
    /// `poll`: it will not be done.
    Failed(CapturedReport),
    /// `deliver`: all others are delivered.
    Delivered {
        /// Rows that can never be sent.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rejected: Vec<Rejected>,
        /// Rows to be sent again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        retry: Vec<u32>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Decision>,
    },
    /// It answered with a decision.
    Problem(Decision),
    /// It trapped.
    Trap {
        /// In which function.
        call: String,
        /// The trap.
        reason: String,
    },
    /// It ran into a limit.
    Limit {
        /// In which function.
        call: String,
        /// The limit's key. How far it came by then is not kept: it would differ each time.
        limit: String,
        /// Its value.
        value: u64,
    },
    /// It broke the contract.
    Contract {
        /// In which function.
        call: String,
        /// Which promise.
        reason: String,
    },
}

/// A row that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which row of the call.
    pub row: u32,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

/// A plugin's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The settings cannot work.
    InvalidSettings(Vec<String>),
    /// The credential was refused.
    Unauthorized(String),
    /// Too many requests.
    Throttled {
        /// What was said.
        message: String,
        /// How long to wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    },
    /// It may work later.
    Transient(String),
    /// It cannot work.
    Fatal(String),
}

/// How an import job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedReport {
    /// What was said.
    pub message: String,
    /// Rows that were taken.
    pub accepted: Option<u64>,
    /// Users that were not there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// Users that were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<u64>,
    /// Users that were as the row says already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<u64>,
    /// Rows that were refused.
    pub refused: Option<u64>,
    /// Those, as far as they are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<CapturedRefusal>,
}

/// A row that an import job refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedRefusal {
    /// Which row of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// One of its identities, if there is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why.
    pub reason: String,
}

impl Outcome {
    /// How it ended in the host's words, without any of the plugin's.
    pub fn summary(&self) -> String {
        match self {
            Self::Checked => "checked".to_owned(),
            Self::Staged { ends, rejected, .. } => {
                let staged = ends.len().saturating_sub(rejected.len());
                format!("{staged} rows staged, {} rejected", rejected.len())
            }
            Self::Submitted { .. } => "import job started".to_owned(),
            Self::Pending { .. } => "import job pending".to_owned(),
            Self::Succeeded(_) => "import job succeeded".to_owned(),
            Self::Failed(_) => "import job failed".to_owned(),
            Self::Delivered {
                rejected,
                retry,
                why,
            } => {
                let why = why
                    .as_ref()
                    .map_or(String::new(), |why| format!(" ({})", why.name()));
                format!(
                    "{} rows rejected, {} to retry{why}",
                    rejected.len(),
                    retry.len()
                )
            }
            Self::Problem(decision) => decision.name().to_owned(),
            Self::Trap { call, reason } => format!("`{call}` trapped: {reason}"),
            Self::Limit { call, limit, value } => {
                format!("`{call}` ran into its limit `{limit}` = {value}")
            }
            Self::Contract { call, reason } => format!("`{call}` broke the contract: {reason}"),
        }
    }

    /// Whether somebody may want to see how it came to this: the plugin failed, or gave rows up.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Staged { rejected, .. } | Self::Delivered { rejected, .. } => {
                !rejected.is_empty()
            }
            Self::Problem(decision) => {
                matches!(decision, Decision::Fatal(_) | Decision::InvalidSettings(_))
            }
            Self::Trap { .. } | Self::Limit { .. } | Self::Contract { .. } => true,
            Self::Checked
            | Self::Submitted { .. }
            | Self::Pending { .. }
            | Self::Succeeded(_)
            | Self::Failed(_) => false,
        }
    }

    /// Itself, if it is that the call waited for longer than it may: there is nothing of the plugin's in it.
    pub(super) fn of_waiting(&self) -> Option<Self> {
        let waited = matches!(self, Self::Limit { limit, .. } if WAITS.contains(&limit.as_str()));
        waited.then(|| self.clone())
    }

    /// Whether another ended the same way, for the same rows, whatever the plugin says of it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let rows = |outcome: &Self| -> Vec<u32> {
            let rejected = outcome.rejected().iter();
            let mut rows: Vec<_> = rejected.map(|rejected| rejected.row).collect();
            if let Self::Delivered { retry, .. } = outcome {
                rows.extend(retry);
            }
            rows
        };
        self.summary() == other.summary() && rows(self) == rows(other)
    }

    /// About what it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let rejected = self.rejected().iter();
        let rejected: usize = rejected.map(|one| 64 + one.reason.len()).sum();
        rejected
            + match self {
                Self::Staged {
                    bytes,
                    ends,
                    identities,
                    ..
                } => {
                    let known = identities.iter().map(|(_, text)| 32 + text.len());
                    bytes.0.len() + 4 * ends.len() + known.sum::<usize>()
                }
                Self::Delivered { retry, .. } => 4 * retry.len(),
                Self::Succeeded(report) | Self::Failed(report) => {
                    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                    let rows = report.rows.iter();
                    let rows = rows.map(|row| 128 + row.reason.len() + text(&row.identity));
                    report.message.len() + rows.sum::<usize>()
                }
                _ => 0,
            }
    }

    /// Whether the plugin itself failed.
    pub fn is_crash(&self) -> bool {
        matches!(
            self,
            Self::Trap { .. } | Self::Limit { .. } | Self::Contract { .. }
        )
    }

    /// Rows that it gave up.
    pub fn rejected(&self) -> &[Rejected] {
        match self {
            Self::Staged { rejected, .. } | Self::Delivered { rejected, .. } => rejected,
            _ => &[],
        }
    }
}

impl Decision {
    /// The contract's name for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidSettings(_) => "invalid-settings",
            Self::Unauthorized(_) => "unauthorized",
            Self::Throttled { .. } => "throttled",
            Self::Transient(_) => "transient",
            Self::Fatal(_) => "fatal",
        }
    }
}
