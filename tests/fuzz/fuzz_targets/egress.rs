//! URL, path, query and headers of a request, before the gate.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sluice::fuzzing::egress(data);
});
