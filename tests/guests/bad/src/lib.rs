//! The webhook exporter, and one fault that it is asked for: so what the conformance suite finds is that
//! fault and nothing else. Each is a thing that somebody has written somewhere.

// Its own modules, so that it is good until it is asked.
#[path = "../../../../examples/plugins/webhook/src/answer.rs"]
mod answer;
#[path = "../../../../examples/plugins/webhook/src/deliver.rs"]
mod deliver;
mod faults;
#[path = "../../../../examples/plugins/webhook/src/import.rs"]
mod import;
mod kinds;
#[path = "../../../../examples/plugins/webhook/src/manifest.rs"]
mod manifest;
#[path = "../../../../examples/plugins/webhook/src/member.rs"]
mod member;
#[path = "../../../../examples/plugins/webhook/src/options.rs"]
mod options;
mod spoilt;

use sluice_guest::Manifest;
use sluice_guest::http::{Body, Request};

pub use faults::{Bad, open};
#[doc(hidden)]
pub use sluice_guest as guest;

/// Makes a component of it, whose manifest is spoilt by this.
#[macro_export]
macro_rules! bad {
    (|$manifest:ident| $spoil:expr) => {
        struct Exporter;

        impl $crate::guest::Destination for Exporter {
            fn describe() -> $crate::guest::Manifest {
                #[allow(unused_mut, reason = "one guest spoils nothing")]
                let mut $manifest = $crate::describe();
                $spoil;
                $manifest
            }
            fn open(settings: $crate::guest::Settings) -> Result<(), $crate::guest::Problem> {
                $crate::open(settings)
            }
            fn check() -> Result<(), $crate::guest::Problem> {
                $crate::Bad::check()
            }
            fn stage(
                rows: $crate::guest::Batch,
                offset: u64,
            ) -> Result<$crate::guest::Staged, $crate::guest::Problem> {
                $crate::Bad::stage(rows, offset)
            }
            fn submit(file: $crate::guest::File) -> Result<String, $crate::guest::Problem> {
                $crate::Bad::submit(file)
            }
            fn poll(token: String) -> Result<$crate::guest::ImportStatus, $crate::guest::Problem> {
                $crate::Bad::poll(token)
            }
            fn deliver(
                rows: $crate::guest::Batch,
            ) -> Result<$crate::guest::Delivery, $crate::guest::Problem> {
                $crate::Bad::deliver(rows)
            }
        }

        $crate::guest::export!(Exporter);
    };
}

/// The webhook's manifest, with the option that asks for a fault.
pub fn describe() -> Manifest {
    let mut manifest = manifest::describe();
    manifest.name = "bad".to_owned();
    manifest.options_schema = manifest.options_schema.replacen(
        "\"properties\": {",
        "\"properties\": {\n\"how\": {\"type\": \"string\", \"default\": \"\", \
         \"description\": \"Which rule to break.\"},\n\
         \"kind\": {\"type\": \"string\", \"default\": \"\", \
         \"description\": \"Which kind of destination it is.\"},",
        1,
    );
    manifest
}

/// A request without a query, headers or a body.
fn request(method: &str, path: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers: vec![],
        body: Body::None,
        extra: vec![],
    }
}
