//! What a component may ask the host to do: requests through the gate, lines for the operator, texts to
//! remember.
//!
//! The only room that opens a client socket. A capability is a folder or file of its own with its
//! policy as pure code; nothing here knows wasmtime or the store.

pub mod http;
mod log;
pub mod state;

pub use http::{Http, StagedFile};
pub use log::LogSink;

pub use state::State;
