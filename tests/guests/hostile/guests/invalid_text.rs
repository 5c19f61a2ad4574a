//! Hands over what is no text and no value of the contract: a row's cell says what.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| {
            let text = b"\xff\xfe no text";
            // SAFETY: unsound on purpose: safe code cannot make what the host must refuse. Nothing
            // here reads the text as one.
            let reason = unsafe { String::from_utf8_unchecked(text.to_vec()) };
            match what {
                "reason" => return reason,
                "path" => drop(http::send(&request("POST", &reason))),
                // SAFETY: the host checks what it is given; this guest means it to.
                "line" => unsafe { write(1, text.as_ptr(), text.len()) },
                // SAFETY: as above.
                "level" => unsafe { write(77, text.as_ptr().wrapping_add(3), 7) },
                // SAFETY: as above.
                "outside" => unsafe { write(1, std::ptr::without_provenance(usize::MAX - 7), 64) },
                _ => {}
            }
            "got through".to_owned()
        }))
    }
}

// The import as it is beneath the generated code, which would not compile with these values.
#[link(wasm_import_module = "sluice:sink/log@0.2.0")]
unsafe extern "C" {
    fn write(level: i32, message: *const u8, bytes: usize);
}

hostile!(Guest);
