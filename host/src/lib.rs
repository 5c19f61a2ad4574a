//! sluice: run a data destination as a sandboxed plugin.
//!
//! [`plugin::Engine`] loads a component, [`export::Export`] runs one audience through it, and
//! [`config`] reads what an operator wrote. The `sluice` program is a thin face of this library;
//! `examples/embed.rs` is another.
#![deny(missing_docs)]

pub mod admin;
mod blocking;
pub mod capability;
pub mod capture;
pub mod config;
pub mod conformance;
pub mod deploy;
pub mod export;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod plugin;
pub mod registry;
pub mod source;
pub mod store;
pub mod usage;
