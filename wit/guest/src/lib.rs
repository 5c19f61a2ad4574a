//! What a Rust plugin needs to speak the sluice contract.
//!
//! Implement [`Destination`] for a type and name it in [`export!`]; read batches with [`Rows`] and
//! answer `stage` with [`Staging`]. Everything else is the contract's own types, re-exported under
//! the names that they have in `wit/`.
//!
//! It speaks the newest track of the contract; with the feature `track-0-1` that one. A source that
//! builds an import job's report from [`Ended`], and does without [`state`], is good for both.
#![deny(missing_docs)]

mod ended;
mod rows;
mod staging;
#[cfg(not(feature = "track-0-1"))]
pub mod state;

#[cfg(not(feature = "track-0-1"))]
pub use bindings::exports::sluice::sink::exporter::Counts;
pub use bindings::exports::sluice::sink::exporter::{
    self, AuthMethod, Credential, Delivery, Field, FieldType, File, Guest as Destination,
    ImportStatus, Limits, Manifest, Progress, RefusedRow, Report, Route, Staged,
};
pub use bindings::sluice::sink::types::{
    Batch, Column, Finding, Place, Problem, Rejection, Settings, Throttle,
};
pub use bindings::sluice::sink::{http, log};
pub use ended::{Ended, Refused};
pub use rows::{Cell, Change, Kind, Row, Rows};
pub use staging::Staging;

/// Makes a type that implements [`Destination`] the component's exporter. Outside WebAssembly, where
/// a plugin's own tests run, it does nothing: no native linker takes a component's export names.
#[macro_export]
macro_rules! export {
    ($ty:ident) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "generated: exports are called with pointers")]
        const _: () = {
    $crate::bindings::export!($ty with_types_in $crate::bindings);
        };
    };
}

/// The code generated from `wit/`. Plugins use the names above.
#[doc(hidden)]
#[allow(missing_docs, reason = "generated; documented in wit/")]
#[allow(
    unsafe_code,
    clippy::mem_forget,
    reason = "generated: texts cross the border as pointers"
)]
pub mod bindings {
    #[cfg(feature = "track-0-1")]
    wit_bindgen::generate!({
        path: "../0.1",
        world: "destination",
        pub_export_macro: true,
        additional_derives: [Clone, PartialEq],
    });
    #[cfg(not(feature = "track-0-1"))]
    wit_bindgen::generate!({
        path: "../0.2",
        world: "destination",
        pub_export_macro: true,
        additional_derives: [Clone, PartialEq],
    });
}
