//! Lines of members and changes, into a flat batch and back.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sluice::fuzzing::ndjson(data);
});
