//! Wants to open files, which no contract of ours has.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(_: Batch) -> Result<Delivery, Problem> {
        Err(Problem::Fatal(format!(
            "read {} bytes",
            evil::files::open::open("/etc/passwd").len()
        )))
    }
}

wit_bindgen::generate!({
    inline: "
        package evil:files;
        interface open {
            open: func(path: string) -> list<u8>;
        }
        world thief {
            import open;
        }
    ",
});

hostile!(Guest);
