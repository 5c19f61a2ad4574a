//! One call as it is written down: its function, what it was given, what it asked for, and how it ended.

use serde::{Deserialize, Serialize};

use super::began::Began;
use super::digest::Digests;
use super::exchange::CapturedExchange;
use super::memory::{CapturedChange, CapturedText};
use super::outcome::Outcome;
use crate::plugin::flat::{Kind, Rows, cell};
use crate::plugin::types::File;

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The function, and what it was given.
    #[serde(flatten)]
    pub input: Input,
    /// When it began, and what chance it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Began>,
    /// What it asked the destination and was answered, in order.
    #[serde(default)]
    pub exchanges: Vec<CapturedExchange>,
    /// What it found of what the plugin remembers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<CapturedText>,
    /// What it changed of it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembers: Vec<CapturedChange>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the real call was, where this one is not: masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub real: Option<Real>,
    /// Digests of the real call.
    pub digests: Digests,
}

/// What is kept of the real call beside a masked one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Real {
    /// How it ended, in the host's words.
    pub ended: String,
    /// Whether the masked call made as many requests and ended in the same way: whether it shows what
    /// the real one would.
    pub alike: bool,
}

/// The functions whose calls are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// Rows to bytes of the staged file.
    Stage,
    /// Starting an import job.
    Submit,
    /// Asking about it.
    Poll,
    /// Sending changes.
    Deliver,
}

impl CallKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Stage, Self::Submit, Self::Poll, Self::Deliver];

    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Deliver => "deliver",
        }
    }
}

/// What a call was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "lowercase")]
pub enum Input {
    /// Rows, and how long the staged file is so far.
    Stage {
        /// The file's length.
        offset: u64,
        /// The rows.
        rows: Vec<CapturedRow>,
    },
    /// A complete staged file, without its content.
    Submit {
        /// The file.
        file: CapturedFile,
    },
    /// The token of an import job.
    Poll {
        /// The token.
        token: String,
    },
    /// Changes.
    Deliver {
        /// The rows.
        rows: Vec<CapturedRow>,
    },
}

/// One member's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapturedRow {
    /// What happened to the member.
    pub change: Kind,
    /// The mapped attributes, in the order of the columns.
    pub cells: Vec<CapturedCell>,
}

/// What one cell is, and its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapturedCell(pub CellKind, pub String);

/// What a cell is: the contract's codes, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "wit/types.wit says what each is")]
pub enum CellKind {
    Absent,
    Null,
    Text,
    Integer,
    Decimal,
    Boolean,
    Timestamp,
    Json,
}

/// A staged file, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedFile {
    /// What the plugin knows it by.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Which file of the backfill it is.
    pub number: u32,
    /// When it was completed.
    pub created_at: String,
    /// The contract's room to grow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

/// What a call is given, while it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    Stage { rows: &'a Rows, offset: u64 },
    Submit(&'a File),
    Poll(&'a str),
    Deliver(&'a Rows),
}

impl Asked<'_> {
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Stage { .. } => CallKind::Stage,
            Self::Submit(_) => CallKind::Submit,
            Self::Poll(_) => CallKind::Poll,
            Self::Deliver(_) => CallKind::Deliver,
        }
    }

    /// As it is written down; rows have so many columns.
    pub fn input(&self, columns: usize) -> Input {
        match *self {
            Self::Stage { rows, offset } => Input::Stage {
                offset,
                rows: captured(rows, columns),
            },
            Self::Submit(file) => Input::Submit {
                file: CapturedFile {
                    id: file.id.clone(),
                    bytes: file.bytes,
                    rows: file.rows,
                    number: file.number,
                    created_at: file.created_at.clone(),
                    extra: file.extra.clone(),
                },
            },
            Self::Poll(token) => Input::Poll {
                token: token.to_owned(),
            },
            Self::Deliver(rows) => Input::Deliver {
                rows: captured(rows, columns),
            },
        }
    }
}

impl Input {
    /// Which function it is for.
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Stage { .. } => CallKind::Stage,
            Self::Submit { .. } => CallKind::Submit,
            Self::Poll { .. } => CallKind::Poll,
            Self::Deliver { .. } => CallKind::Deliver,
        }
    }

    /// The rows; none for functions that take none.
    pub fn rows(&self) -> &[CapturedRow] {
        match self {
            Self::Stage { rows, .. } | Self::Deliver { rows } => rows,
            Self::Submit { .. } | Self::Poll { .. } => &[],
        }
    }
}

fn captured(rows: &Rows, columns: usize) -> Vec<CapturedRow> {
    let one = |row| CapturedRow {
        change: rows.kind(row),
        cells: rows
            .row(row, columns)
            .map(|(kind, text)| CapturedCell(CellKind::from_code(kind), text.to_owned()))
            .collect(),
    };
    (0..rows.len()).map(one).collect()
}

/// The rows as a plugin takes them.
pub(super) fn flat(rows: &[CapturedRow]) -> Rows {
    let mut flat = Rows::default();
    for row in rows {
        for CapturedCell(kind, text) in &row.cells {
            flat.cell(kind.code(), text);
        }
        flat.end_row(row.change);
    }
    flat
}

/// The file as a plugin takes it.
pub(super) fn file(file: &CapturedFile) -> File {
    File {
        id: file.id.clone(),
        bytes: file.bytes,
        rows: file.rows,
        number: file.number,
        created_at: file.created_at.clone(),
        extra: file.extra.clone(),
    }
}

impl CellKind {
    fn code(self) -> u8 {
        match self {
            Self::Absent => cell::ABSENT,
            Self::Null => cell::NULL,
            Self::Text => cell::TEXT,
            Self::Integer => cell::INTEGER,
            Self::Decimal => cell::DECIMAL,
            Self::Boolean => cell::BOOLEAN,
            Self::Timestamp => 6,
            Self::Json => cell::JSON,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            cell::ABSENT => Self::Absent,
            cell::NULL => Self::Null,
            cell::INTEGER => Self::Integer,
            cell::DECIMAL => Self::Decimal,
            cell::BOOLEAN => Self::Boolean,
            6 => Self::Timestamp,
            cell::JSON => Self::Json,
            _ => Self::Text,
        }
    }
}
