//! This track's answers as the newest's. Only names change hands: no list is copied.

use super::exports::sluice::sink::exporter as old;
use crate::plugin::instance::Newest;
use crate::plugin::types as new;

impl Newest for old::Manifest {
    type Newest = new::Manifest;

    fn newest(self) -> new::Manifest {
        new::Manifest {
            name: self.name,
            version: self.version,
            description: self.description,
            auth_methods: all(self.auth_methods, |method| new::AuthMethod {
                id: method.id,
                label: method.label,
                credentials: all(method.credentials, |credential| new::Credential {
                    id: credential.id,
                    label: credential.label,
                    description: credential.description,
                }),
                headers: method.headers,
            }),
            endpoint: self.endpoint,
            routes: all(self.routes, |route| new::Route {
                method: route.method,
                path: route.path,
                purpose: route.purpose,
            }),
            fields: all(self.fields, |field| new::Field {
                name: field.name,
                type_: kind(field.type_),
                format: field.format,
                required: field.required,
                composable: field.composable,
                description: field.description,
            }),
            custom_fields: self.custom_fields,
            options_schema: self.options_schema,
            limits: new::Limits {
                file_bytes: self.limits.file_bytes,
                file_rows: self.limits.file_rows,
                stage_rows: self.limits.stage_rows,
                deliver_rows: self.limits.deliver_rows,
            },
            extra: self.extra,
        }
    }
}

fn all<O, N>(items: Vec<O>, newest: impl Fn(O) -> N) -> Vec<N> {
    items.into_iter().map(newest).collect()
}

fn kind(kind: old::FieldType) -> new::FieldType {
    match kind {
        old::FieldType::Text => new::FieldType::Text,
        old::FieldType::Integer => new::FieldType::Integer,
        old::FieldType::Decimal => new::FieldType::Decimal,
        old::FieldType::Boolean => new::FieldType::Boolean,
        old::FieldType::Date => new::FieldType::Date,
        old::FieldType::Timestamp => new::FieldType::Timestamp,
        old::FieldType::Json => new::FieldType::Json,
    }
}

impl Newest for old::Staged {
    type Newest = new::Staged;

    fn newest(self) -> new::Staged {
        new::Staged {
            bytes: self.bytes,
            start: self.start,
            ends: self.ends,
            rejected: self.rejected,
            identities: self.identities,
            identity_ends: self.identity_ends,
            identity_rows: self.identity_rows,
            extra: self.extra,
        }
    }
}

impl Newest for old::Delivery {
    type Newest = new::Delivery;

    fn newest(self) -> new::Delivery {
        new::Delivery {
            rejected: self.rejected,
            retry: self.retry,
            why: self.why,
            extra: self.extra,
        }
    }
}

impl Newest for old::ImportStatus {
    type Newest = new::ImportStatus;

    fn newest(self) -> new::ImportStatus {
        match self {
            Self::Pending(progress) => new::ImportStatus::Pending(new::Progress {
                message: progress.message,
                done: progress.done,
                total: progress.total,
            }),
            Self::Succeeded(report) => new::ImportStatus::Succeeded(report.newest()),
            Self::Failed(report) => new::ImportStatus::Failed(report.newest()),
        }
    }
}

impl Newest for old::Report {
    type Newest = new::Report;

    /// Here a destination told rows by their numbers alone, and not what it did to them.
    fn newest(self) -> new::Report {
        new::Report {
            message: self.message,
            counts: new::Counts {
                accepted: self.accepted,
                created: None,
                updated: None,
                unchanged: None,
                refused: self.refused,
            },
            rows: all(self.rows, |row| new::RefusedRow {
                row: Some(row.row),
                identity: None,
                field: None,
                reason: row.reason,
            }),
            extra: self.extra,
        }
    }
}

impl From<&new::File> for old::File {
    fn from(file: &new::File) -> Self {
        Self {
            id: file.id.clone(),
            bytes: file.bytes,
            rows: file.rows,
            number: file.number,
            created_at: file.created_at.clone(),
            extra: file.extra.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_report_keeps_its_rows_and_counts() {
        let report = old::Report {
            message: "done".to_owned(),
            accepted: Some(8),
            refused: Some(2),
            rows: vec![old::RefusedRow {
                row: 3,
                reason: "taken".to_owned(),
            }],
            extra: vec![("a".to_owned(), "b".to_owned())],
        };
        let wanted = new::Report {
            message: "done".to_owned(),
            counts: new::Counts {
                accepted: Some(8),
                created: None,
                updated: None,
                unchanged: None,
                refused: Some(2),
            },
            rows: vec![new::RefusedRow {
                row: Some(3),
                identity: None,
                field: None,
                reason: "taken".to_owned(),
            }],
            extra: vec![("a".to_owned(), "b".to_owned())],
        };
        let failed = old::ImportStatus::Failed(report.clone()).newest();
        assert_eq!(failed, new::ImportStatus::Failed(wanted.clone()));
        let succeeded = old::ImportStatus::Succeeded(report).newest();
        assert_eq!(succeeded, new::ImportStatus::Succeeded(wanted));
    }
}
