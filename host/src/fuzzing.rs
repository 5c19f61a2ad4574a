//! What the fuzz targets in `tests/fuzz/` and the test of their seeds both call: each takes any bytes
//! at all, and panics where a promise does not hold. Every target stands beside the code that it is
//! about.

pub use crate::capability::http::fuzz::{egress, multipart};
pub use crate::capture::fuzz::capture;
pub use crate::config::fuzz::config;
pub use crate::plugin::fuzz::answers;
pub use crate::source::fuzz::ndjson;

#[cfg(test)]
mod tests {
    use super::*;

    type Target = fn(&[u8]);

    /// Every finding became a seed; so none comes back.
    #[test]
    fn every_seed_keeps_every_promise() {
        let targets: [(&str, Target); 6] = [
            ("answers", answers),
            ("capture", capture),
            ("config", config),
            ("egress", egress),
            ("multipart", multipart),
            ("ndjson", ndjson),
        ];
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds");
        let mut broken = vec![];
        for (name, target) in targets {
            let mut found = 0;
            for seed in std::fs::read_dir(seeds.join(name)).unwrap() {
                let path = seed.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                found += 1;
                if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                    broken.push(path);
                }
            }
            assert!(found > 0, "{name} has no seed");
        }
        assert!(broken.is_empty(), "{broken:?}");
    }
}
