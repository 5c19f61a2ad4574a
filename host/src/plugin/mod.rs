//! Loading and calling components: the only room that names wasmtime.
//!
//! [`Engine`] compiles a file to a [`Plugin`]; [`Plugin::open`] gives a [`Session`]: one fresh
//! instance with the operator's settings, good for one call. What a component may do besides
//! computing, it does through the capabilities in its [`Grant`].

mod compile;
mod component;
mod contract;
mod engine;
mod error;
pub mod flat;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod grant;
mod guard;
mod inspect;
mod instance;
pub mod limits;
mod moment;
mod session;
pub(crate) mod tidy;
mod track;
mod track_0_1;
mod track_0_2;
mod turn;
mod wasi;

pub use compile::{Program, Workshop, compile_from_stdin};
pub use component::ComponentFile;
pub use contract::TOKEN_LIMIT_BYTES;
pub use engine::{Engine, Plugin};
pub use error::{CallError, LoadError, Reached};
pub use grant::Grant;
pub use inspect::Inspection;
pub use limits::{Limits, LoadLimits};
pub use moment::Moment;
pub use session::Session;
pub use track::{Track, Tracks};
pub use turn::Turns;

/// The contract's own types, of the newest track that this host serves.
pub mod types {
    #![allow(missing_docs, reason = "generated from wit/, documented there")]
    pub use super::track_0_2::exports::sluice::sink::exporter::{
        AuthMethod, Counts, Credential, Delivery, Field, FieldType, File, ImportStatus, Limits,
        Manifest, Progress, RefusedRow, Report, Route, Staged,
    };
    pub use super::track_0_2::sluice::sink::http::{
        Body, Content, Failure, Part, Request, Response,
    };
    pub use super::track_0_2::sluice::sink::log::Level;
    pub use super::track_0_2::sluice::sink::state::Failure as StateFailure;
    pub use super::track_0_2::sluice::sink::types::{
        Batch, Column, Finding, Place, Problem, Rejection, Settings, Throttle,
    };
}
