//! Reads all of its own memory and sends it to the destination, piece by piece, if a row's cell is
//! `dump`: what it holds then is what a plugin can know.

use sluice_hostile::*;

const PIECE: usize = 256 << 10;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        if each(&rows).any(|row| row.cell(0).text == "dump") {
            dump();
        }
        Ok(delivered())
    }
}

#[cfg(target_arch = "wasm32")]
fn dump() {
    // Whatever the destination says is part of it.
    let heard = http::send(&request("POST", "/users"));
    let bytes = core::arch::wasm32::memory_size(0) << 16;
    // The first bytes hold nothing, and nothing of Rust's may point at 0.
    for start in (8..bytes).step_by(PIECE) {
        let piece = PIECE.min(bytes - start);
        // SAFETY: all of it is this instance's; it is copied at once.
        let piece =
            unsafe { std::slice::from_raw_parts(std::ptr::without_provenance(start), piece) };
        let mut request = request("POST", "/users");
        request.body = Body::Bytes(piece.to_vec());
        drop(http::send(&request));
    }
    let _ = std::hint::black_box(heard);
}

#[cfg(not(target_arch = "wasm32"))]
fn dump() {}

hostile!(Guest);
