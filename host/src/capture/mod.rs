//! Captures: what calls of a plugin were given, asked for, were answered and made of it, written down so
//! that the same calls can be made again, anywhere, under any version, and nothing is sent.
//!
//! `call`, `exchange` and `memory` are what is written down of a call, `file` how a capture reads and looks; `mask`
//! takes members' attributes out and keeps their shape (all of these are pure). `replay` makes a call again
//! from its tape, `develop` makes a masked call of a real one, `compare` says what differs (pure).
//! `capturing` is what a running export does about it, `folder` the only one here that touches the disk.
//! `remembering` tapes what a plugin finds and changes of what it remembers, and plays it again.
//! *Not here:* sending; the tape of requests is the HTTP gate's stand-in (`capability/http/tape.rs`).

mod began;
mod blind;
mod call;
mod capturing;
mod compare;
mod develop;
mod digest;
mod exchange;
mod file;
pub mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod json;
mod mask;
mod memory;
mod outcome;
mod plain;
mod remembering;
mod replay;
mod seen;
mod taken;
mod vocabulary;
mod words;

pub use began::Began;
pub(crate) use call::Asked;
pub use call::{Call, CallKind, CapturedCell, CapturedRow, CellKind, Input};
pub(crate) use capturing::Capturing;
pub use compare::{CallDifference, Change, RequestDifference, Show, compare};
pub use digest::Digests;
pub use exchange::{Answer, Bytes, CapturedExchange, CapturedRequest, RequestBody};
pub use file::{Capture, CaptureError, Header, LONGEST_FILE, Version};
pub use memory::{CapturedChange, CapturedText, Found};
pub use outcome::{Decision, Outcome, Rejected};
pub use replay::{Replayed, Rig};
pub(crate) use seen::Seen;
pub(crate) use taken::Scene;
