//! Metrics and health for whoever watches the process: `/metrics`, `/healthz`, `/readyz`.
//!
//! The only room that listens. It reads and never writes, answers three questions and takes no body.
//! `answer` decides what is asked and whether it may be (pure), `text` makes the metrics out of `samples` (pure),
//! `board` knows the exports, `server` keeps connections within bounds, `token` and `process` read
//! the token's file and the process's own numbers.

mod answer;
mod board;
mod place;
mod process;
mod samples;
mod server;
mod text;
mod token;

pub use board::Board;
pub use place::{DEFAULT, Place};
pub use server::{Admin, AdminError, Serving};
pub use token::{Token, TokenError};
