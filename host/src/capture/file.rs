//! A capture as a file: one JSON object a line, first what all calls have in common, then the calls. Whoever
//! reads one may have it from a stranger. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, CapturedRow};
use super::replay::Rig;
use crate::capability::http::{Policy, PolicyRecord, PolicyRecordError};
use crate::plugin::limits::{KEYS, Limits};
use crate::plugin::types::{Column, Settings};
use crate::plugin::{Plugin, Turns, tidy};

/// The version of this format. Goes up with a change that an older reader would misread.
pub const FORMAT: u32 = 1;

/// Bytes of the longest file that is read: a thousand calls of ordinary size.
pub const LONGEST_FILE: u64 = 512 << 20;

/// Rows of one call at most, as many as no host hands out.
const MOST_ROWS: usize = 1_000_000;

/// Bytes of what is said of a policy, which may quote what a stranger wrote.
const POLICY_BYTES: usize = 256;

/// Captured calls of one export under one version of its plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// What they have in common.
    pub header: Header,
    /// The calls, in the order in which they ended.
    pub calls: Vec<Call>,
}

/// What the calls of a capture have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The format's version.
    #[serde(rename = "sluice_capture")]
    pub format: u32,
    /// The host's version.
    pub sluice: String,
    /// The export's name.
    pub export: String,
    /// The version of the plugin that was called.
    pub plugin: Version,
    /// Whether it holds nothing of any member.
    pub masked: bool,
    /// How many calls were asked for.
    pub wanted: u32,
    /// How many there are.
    pub calls: u32,
    /// The mapping: source and destination of each column.
    pub columns: Vec<(String, String)>,
    /// The plugin's options.
    pub options: Map<String, Value>,
    /// The contract's room to grow, in the settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
    /// The bounds of a call, by the keys of the configuration.
    pub limits: BTreeMap<String, u64>,
    /// What may be asked for.
    pub policy: PolicyRecord,
}

/// Which component it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// The version of the contract that it was built for.
    pub contract: String,
}

/// Why a file is no capture that can be used. Quotes nothing of the file, which may hold anything, but an
/// endpoint or route that is none.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A line is not what belongs there.
    #[error(
        "line {line} is {what}; a capture is written by `sluice capture`, and has to be as it was written"
    )]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It is of another format.
    #[error(
        "it is a capture of format {found}; this program reads format {FORMAT}. Use the version of sluice that wrote it, or capture anew"
    )]
    Format {
        /// Its format.
        found: u32,
    },
    /// It ends too early, or too late.
    #[error(
        "it has {found} calls, and was written with {written}: it was cut off or added to. Capture anew"
    )]
    Cut {
        /// As it says.
        written: u32,
        /// As there are.
        found: usize,
    },
    /// A call does not fit what all have in common.
    #[error("line {line}: {what}")]
    Unfit {
        /// Which line, from 1.
        line: usize,
        /// What does not fit.
        what: String,
    },
    /// What may be asked for is no policy.
    #[error("its policy cannot be used: {}", tidy::line(&.0.to_string(), POLICY_BYTES))]
    Policy(#[from] PolicyRecordError),
    /// The disk.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// More than anybody reads.
    #[error("it is larger than {} MiB, which is more than a capture is", LONGEST_FILE >> 20)]
    Large,
}

impl Version {
    /// That of a plugin.
    pub(crate) fn of(plugin: &Plugin) -> Self {
        Self {
            name: plugin.manifest.name.clone(),
            version: plugin.manifest.version.clone(),
            sha256: plugin.inspection.sha256.clone(),
            contract: plugin.inspection.contract.clone(),
        }
    }
}

impl Header {
    /// Of calls under this rig.
    pub(crate) fn of(export: &str, plugin: &Plugin, rig: &Rig, masked: bool) -> Self {
        let column = |column: &Column| (column.source.clone(), column.destination.clone());
        let keys = KEYS
            .iter()
            .map(|key| (key.name.to_owned(), (key.get)(&rig.limits)));
        Self {
            format: FORMAT,
            sluice: env!("CARGO_PKG_VERSION").to_owned(),
            export: export.to_owned(),
            plugin: Version::of(plugin),
            masked,
            wanted: 0,
            calls: 0,
            columns: rig.settings.columns.iter().map(column).collect(),
            options: serde_json::from_str(&rig.settings.options).unwrap_or_default(),
            extra: rig.settings.extra.clone(),
            limits: keys.collect(),
            policy: rig.policy.record(),
        }
    }

    /// What a plugin works under when the calls are made again.
    ///
    /// # Errors
    /// The policy cannot be used.
    pub fn rig(&self) -> Result<Rig, CaptureError> {
        let mut limits = Limits::default();
        for key in &KEYS {
            if let Some(n) = self.limits.get(key.name) {
                // A stranger grants itself no more than an operator can.
                (key.set)(
                    &mut limits,
                    (*n).clamp(*key.range.start(), *key.range.end()),
                );
            }
        }
        let column = |(source, destination): &(String, String)| Column {
            source: source.clone(),
            destination: destination.clone(),
        };
        Ok(Rig {
            settings: Settings {
                columns: self.columns.iter().map(column).collect(),
                options: Value::Object(self.options.clone()).to_string(),
                extra: self.extra.clone(),
            },
            limits,
            policy: Policy::try_from(&self.policy)?,
            turns: Turns::default(),
        })
    }
}

impl Capture {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(bytes: &[u8]) -> Result<Self, CaptureError> {
        let mut lines = bytes.split(|byte| *byte == b'\n').enumerate();
        let (_, first) = lines.next().unwrap_or_default();
        #[derive(Deserialize)]
        struct Any {
            sluice_capture: u32,
        }
        let any: Any = line(1, first)?;
        if any.sluice_capture != FORMAT {
            return Err(CaptureError::Format {
                found: any.sluice_capture,
            });
        }
        let header: Header = line(1, first)?;
        let Version {
            name,
            version,
            sha256,
            contract,
        } = &header.plugin;
        let shown = [&header.export, name, version, sha256, contract];
        if !shown.into_iter().all(|text| tidy::is_plain(text)) {
            return Err(CaptureError::Unfit {
                line: 1,
                what: "a name holds a character that no name may".to_owned(),
            });
        }
        let mut calls = vec![];
        for (index, text) in lines.filter(|(_, text)| !text.is_empty()) {
            let call: Call = line(index + 1, text)?;
            fits(&header, &call).map_err(|what| CaptureError::Unfit {
                line: index + 1,
                what,
            })?;
            calls.push(call);
        }
        if calls.len() != header.calls as usize {
            return Err(CaptureError::Cut {
                written: header.calls,
                found: calls.len(),
            });
        }
        Ok(Self { header, calls })
    }

    /// As a file.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![];
        // Texts, numbers and lists of them: there is nothing that JSON could not hold.
        serde_json::to_writer(&mut bytes, &self.header).expect("a header is JSON");
        bytes.push(b'\n');
        for call in &self.calls {
            serde_json::to_writer(&mut bytes, call).expect("a call is JSON");
            bytes.push(b'\n');
        }
        bytes
    }
}

/// One line. What serde says of it would quote it.
fn line<'a, T: Deserialize<'a>>(number: usize, text: &'a [u8]) -> Result<T, CaptureError> {
    use serde_json::error::Category;
    serde_json::from_slice(text).map_err(|error| {
        let column = error.column();
        let what = match error.classify() {
            Category::Data => format!("JSON, but not what belongs there (column {column})"),
            Category::Eof => "cut off".to_owned(),
            Category::Syntax | Category::Io => format!("no JSON (column {column})"),
        };
        CaptureError::Line { line: number, what }
    })
}

/// What a host promises a plugin holds for these rows.
fn fits(header: &Header, call: &Call) -> Result<(), String> {
    let rows = call.input.rows();
    if rows.len() > MOST_ROWS {
        return Err(format!(
            "it has {} rows; no call has more than {MOST_ROWS}",
            rows.len()
        ));
    }
    let columns = header.columns.len();
    let wrong = |row: &CapturedRow| row.cells.len() != columns;
    match rows.iter().position(wrong) {
        None => Ok(()),
        Some(row) => Err(format!(
            "row {row} has {} cells, and the mapping has {columns} columns",
            rows[row].cells.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &[u8] = include_bytes!("../../../tests/fuzz/seeds/capture/every_kind");

    #[test]
    fn every_kind_of_call_is_read_and_written_the_same() {
        let capture = Capture::read(SEED).unwrap();
        assert_eq!(capture.calls.len(), 4);
        assert_eq!(Capture::read(&capture.write()).unwrap(), capture);
        let rig = capture.header.rig().unwrap();
        // A stranger's limits are an operator's at most.
        assert_eq!(
            (rig.limits.memory_bytes, rig.limits.cpu.as_secs()),
            (1 << 20, 600)
        );
    }

    #[test]
    fn what_is_cut_off_anywhere_is_an_error() {
        // Without the line break at its end it is whole.
        for end in 0..SEED.len() - 1 {
            assert!(Capture::read(&SEED[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_error_names_the_line_and_quotes_nothing() {
        let text = String::from_utf8(SEED.to_vec()).unwrap();
        for (from, to, says) in [
            (
                "\"offset\": 0",
                "\"offset\": \"Quokka\"",
                "line 2 is JSON, but not",
            ),
            (
                "[\"boolean\", \"true\"]",
                "[\"Quokka\", \"true\"]",
                "line 5 is JSON, but not",
            ),
            (
                "[\"absent\", \"\"], ",
                "",
                "line 5: row 1 has 1 cells, and the mapping has 2",
            ),
            (
                "\"calls\": 4",
                "\"calls\": 3",
                "has 4 calls, and was written with 3",
            ),
            ("\"sluice_capture\": 1", "\"sluice_capture\": 7", "format 7"),
        ] {
            let altered = text.replacen(from, to, 1);
            assert_ne!(altered, text, "{from}");
            let error = Capture::read(altered.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("Quokka"), "{error}");
        }
        let policy = text.replacen("POST /users/*", "Quokka", 1);
        let error = Capture::read(policy.as_bytes())
            .unwrap()
            .header
            .rig()
            .err()
            .unwrap();
        assert!(error.to_string().contains("is no route"), "{error}");
    }
}
