//! What a destination answers about import jobs, as the Retention Science plugin reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    retention_science::fuzz::job_status(data);
});
