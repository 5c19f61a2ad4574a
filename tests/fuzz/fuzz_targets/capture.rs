//! A capture's file, from a stranger.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sluice::fuzzing::capture(data);
});
