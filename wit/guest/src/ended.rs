//! How an import job ended, in words that every track has.

use crate::{RefusedRow, Report};

/// How an import job ended, as far as the destination tells. Becomes a [`Report`] of the track that the
/// plugin is built for: the oldest has no room for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// What the destination said, without any member's data.
    pub message: String,
    /// Rows that it took, whatever came of them.
    pub accepted: Option<u64>,
    /// Of these, users that were not there before.
    pub created: Option<u64>,
    /// Of these, users that were changed.
    pub updated: Option<u64>,
    /// Of these, users that were as the row says already.
    pub unchanged: Option<u64>,
    /// Rows that it refused.
    pub refused: Option<u64>,
    /// Those rows, as far as it names them.
    pub rows: Vec<Refused>,
}

/// A row that an import job refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Which row of the file, from 1, without the header.
    pub row: Option<u64>,
    /// One of the row's identities, if there is no number.
    pub identity: Option<String>,
    /// The destination field at fault.
    pub field: Option<String>,
    /// Why. Never the value.
    pub reason: String,
}

#[cfg(not(feature = "track-0-1"))]
impl From<Ended> for Report {
    fn from(ended: Ended) -> Self {
        Self {
            message: ended.message,
            counts: crate::Counts {
                accepted: ended.accepted,
                created: ended.created,
                updated: ended.updated,
                unchanged: ended.unchanged,
                refused: ended.refused,
            },
            rows: ended
                .rows
                .into_iter()
                .map(|row| RefusedRow {
                    row: row.row,
                    identity: row.identity,
                    field: row.field,
                    reason: row.reason,
                })
                .collect(),
            extra: Vec::new(),
        }
    }
}

/// A row without a number is counted, and a field stands before the reason.
#[cfg(feature = "track-0-1")]
impl From<Ended> for Report {
    fn from(ended: Ended) -> Self {
        let listed = (!ended.rows.is_empty()).then_some(ended.rows.len() as u64);
        Self {
            message: ended.message,
            accepted: ended.accepted,
            refused: ended.refused.max(listed),
            rows: ended
                .rows
                .into_iter()
                .filter_map(|row| {
                    let reason = match &row.field {
                        Some(field) => format!("`{field}`: {}", row.reason),
                        None => row.reason,
                    };
                    let row = row.row?;
                    Some(RefusedRow { row, reason })
                })
                .collect(),
            extra: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_holds_what_its_track_has_room_for() {
        let refused = |row, field: Option<&str>| Refused {
            row,
            field: field.map(str::to_owned),
            reason: "is odd".to_owned(),
            ..Refused::default()
        };
        let report = Report::from(Ended {
            message: "done".to_owned(),
            refused: Some(1),
            created: Some(7),
            rows: vec![refused(Some(3), Some("zip")), refused(None, None)],
            ..Ended::default()
        });
        assert_eq!(report.message, "done");
        #[cfg(not(feature = "track-0-1"))]
        {
            assert_eq!(report.rows.len(), 2);
            assert_eq!(report.rows[0].field.as_deref(), Some("zip"));
            let counts = &report.counts;
            assert_eq!((counts.created, counts.refused), (Some(7), Some(1)));
        }
        #[cfg(feature = "track-0-1")]
        {
            assert_eq!(report.rows.len(), 1);
            assert_eq!(report.rows[0].reason, "`zip`: is odd");
            assert_eq!(report.refused, Some(2));
        }
    }
}
