//! What a guest may answer, through the contract's checks and what is done with it next.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sluice::fuzzing::answers(data);
});
