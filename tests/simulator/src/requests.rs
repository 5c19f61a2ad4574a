//! The log of requests: what arrived, how it was answered. Never the key.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    next: u64,
    pub(crate) dropped: u64,
    by_status: BTreeMap<u16, u64>,
    lost: u64,
    imports: u64,
    import_rows: u64,
    in_flight: u64,
    max_in_flight: u64,
}

#[derive(Debug)]
pub(crate) struct Entry {
    /// In the order of arrival.
    pub seq: u64,
    pub at_ms: u64,
    /// Microseconds of the wall's time since the account's start.
    pub wall_us: u64,
    pub method: String,
    /// With its query.
    pub path: String,
    /// Nothing where the connection was reset instead.
    pub status: Option<u16>,
    pub fault: Option<&'static str>,
    pub what: What,
}

#[derive(Debug, Default)]
pub(crate) enum What {
    #[default]
    Other,
    User {
        body: Bytes,
        /// The place in the order of effects, if there was one.
        effect: Option<u64>,
    },
    Import {
        job: Option<u64>,
        files: Vec<Value>,
        fields: BTreeMap<String, String>,
        rows: u64,
    },
}

impl Log {
    pub(crate) fn arrived(&mut self) -> u64 {
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        self.next += 1;
        self.next
    }

    pub(crate) fn answered(&mut self, entry: Entry, cap: usize) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match entry.status {
            Some(status) => *self.by_status.entry(status).or_default() += 1,
            None => self.lost += 1,
        }
        if let What::Import {
            job: Some(_), rows, ..
        } = &entry.what
        {
            self.imports += 1;
            self.import_rows += rows;
        }
        self.entries.push_back(entry);
        while self.entries.len() > cap {
            self.entries.pop_front();
            self.dropped += 1;
        }
    }

    /// A request whose sender went away before it was answered.
    pub(crate) fn abandoned(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(crate) fn clear(&mut self) {
        *self = Self {
            in_flight: self.in_flight,
            ..Self::default()
        };
    }

    pub(crate) fn entries(&self) -> Vec<Value> {
        self.entries.iter().map(Entry::show).collect()
    }

    pub(crate) fn stats(&self) -> Value {
        let mut by_status: BTreeMap<String, u64> = self
            .by_status
            .iter()
            .map(|(status, n)| (status.to_string(), *n))
            .collect();
        if self.lost > 0 {
            by_status.insert("reset".into(), self.lost);
        }
        json!({
            "requests": self.next,
            "requests_by_status": by_status,
            "requests_not_in_log": self.dropped,
            "max_in_flight": self.max_in_flight,
            "imports": self.imports,
            "rows": self.import_rows,
        })
    }
}

impl Entry {
    fn show(&self) -> Value {
        let mut shown = json!({
            "seq": self.seq,
            "at_ms": self.at_ms,
            "wall_us": self.wall_us,
            "method": self.method,
            "path": self.path,
            "status": self.status,
        });
        if let Some(fault) = self.fault {
            shown["fault"] = json!(fault);
        }
        match &self.what {
            What::Other => {}
            What::User { body, effect } => {
                let body: Value = serde_json::from_slice(body)
                    .unwrap_or_else(|_| json!(String::from_utf8_lossy(body)));
                shown["record_id"] = body.get("record_id").cloned().unwrap_or_default();
                shown["email"] = body.get("email").cloned().unwrap_or_default();
                shown["effect"] = json!(effect);
                shown["body"] = body;
            }
            What::Import {
                job,
                files,
                fields,
                rows,
            } => {
                shown["job"] = json!(job.map(|id| id.to_string()));
                shown["files"] = json!(files);
                shown["fields"] = json!(fields);
                shown["rows"] = json!(rows);
            }
        }
        shown
    }
}
