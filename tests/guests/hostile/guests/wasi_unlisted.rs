//! Wants of WASI what is not on the host's list.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        Err(Problem::Fatal(wasi::keyvalue::store::get("key")))
    }
}

wit_bindgen::generate!({
    inline: "
        package wasi:keyvalue@0.2.0;
        interface store {
            get: func(key: string) -> string;
        }
        world keeper {
            import store;
        }
    ",
});

hostile!(Guest);
