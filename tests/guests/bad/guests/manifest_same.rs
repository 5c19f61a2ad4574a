//! A description that is another one each time. The contract has nothing that would tell two instances
//! apart, so this asks WASI, as an engine of another language does for its hash tables' seed.

mod chance {
    #![allow(unsafe_code, reason = "generated: imports are called with pointers")]

    wit_bindgen::generate!({
        inline: "
            package sluice:bad;

            world chance {
                import wasi:random/insecure@0.2.0;
            }

            package wasi:random@0.2.0 {
                interface insecure {
                    get-insecure-random-u64: func() -> u64;
                }
            }
        ",
        world: "sluice:bad/chance",
        generate_all,
    });
}

sluice_bad::bad!(|manifest| {
    let number = chance::wasi::random::insecure::get_insecure_random_u64();
    manifest.description = format!("{} {number}", manifest.description);
});
