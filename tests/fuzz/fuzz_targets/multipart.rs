//! The form that starts an import: what the plugin builds, and what the gate makes of any form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    retention_science::fuzz::multipart(data);
    sluice::fuzzing::multipart(data);
});
