//! Keeps what it sees, and looks for what an earlier call has kept: in a variable, and in all of its
//! memory. Rejects each row with what it has found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use sluice_hostile::*;

static CALLS: AtomicU32 = AtomicU32::new(0);
static KEPT: Mutex<Vec<String>> = Mutex::new(vec![]);

/// What is looked for, veiled: else the look would find itself.
const TRACE: [u8; 8] = [0xd1, 0x4c, 0x93, 0x2e, 0x77, 0xb8, 0x05, 0xea];
const VEIL: u8 = 0x5a;

struct Guest;

impl Tame for Guest {
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        hoard(&rows);
        Ok(stage(&rows, offset).finish())
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        let found = hoard(&rows);
        Ok(attempt(&rows, |_| found.clone()))
    }
}

fn hoard(rows: &Batch) -> String {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed);
    let traces = traces();
    let mut kept = KEPT.lock().expect("one thread");
    let texts = kept.len();
    kept.extend(each(rows).map(|row| row.cell(0).text.to_owned()));
    // Spread far and wide, where no allocator has been yet.
    let trace: Vec<u8> = TRACE.iter().map(|byte| byte ^ VEIL).collect();
    let mut everywhere = trace.repeat((4 << 20) / trace.len());
    everywhere[0] = 0;
    std::mem::forget(std::hint::black_box(everywhere));
    format!("{calls} calls, {texts} texts and {traces} traces of earlier calls")
}

/// How often the trace stands in this instance's memory.
#[cfg(target_arch = "wasm32")]
fn traces() -> usize {
    // Whatever an earlier instance had beyond what this one has touched.
    core::arch::wasm32::memory_grow(0, 96);
    let bytes = core::arch::wasm32::memory_size(0) << 16;
    // SAFETY: all of it is this instance's, and nothing else runs meanwhile.
    let memory = unsafe { std::slice::from_raw_parts(std::ptr::without_provenance(8), bytes - 8) };
    memory
        .windows(TRACE.len())
        .filter(|window| {
            window
                .iter()
                .zip(TRACE)
                .all(|(byte, trace)| byte ^ VEIL == trace)
        })
        .count()
}

#[cfg(not(target_arch = "wasm32"))]
fn traces() -> usize {
    0
}

hostile!(Guest);
