//! The bounds of a plugin, each with its reason, and the keys by which an operator turns them. Pure.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The bounds of an export's calls, and of what it may leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Guest memory in bytes, over all memories of the component. 64 MiB holds a batch of 1,000
    /// rows a hundred times over, and an interpreter beside it.
    pub memory_bytes: usize,
    /// Table elements over all tables. The largest guest language measured needs some ten thousand.
    pub table_elements: usize,
    /// Core instances, memories and tables of one component, each: interpreters need a dozen or two.
    pub parts: usize,
    /// Processor time of guest code in one call, without what it waits for. A batch takes
    /// milliseconds; 5 s leaves room for an interpreter on a busy machine.
    pub cpu: Duration,
    /// Time that a whole call may take, from the start of its instance on: `open` and the host's work for
    /// it included. Ten times the longest wait for one answer, for a batch that meets a slow destination.
    pub wall: Duration,
    /// The same for `submit`, which uploads a whole staged file: a gigabyte at 300 kB/s.
    pub upload_wall: Duration,
    /// Bytes that one call may make the host copy out of the guest, for arguments of imports and
    /// for results. A batch of 1,000 wide rows is a few megabytes.
    pub lift_bytes: usize,
    /// Requests of one call: two for each row of the largest batch.
    pub requests: u32,
    /// Requests of one call that are under way at a time. The authorization's quota holds as well.
    pub requests_at_once: u32,
    /// What a component has the host hold for it at a time: with WASI streams, requests, headers, things to
    /// wait for; and handles, also those of resources of its own, as well as what is lent of them. An interpreter
    /// holds a dozen; each request under way adds half a dozen. At their largest (headers) these take as much as
    /// its memory may.
    pub resources: u32,
    /// Path, query and headers of one request. What most servers take of them in all is 8 KiB.
    pub header_bytes: usize,
    /// Bytes of an answer's body. Answers about one user or one job are a few kilobytes; a job's
    /// list of row errors may be long.
    pub answer_bytes: usize,
    /// Bytes of all staged files of an export. A hundred million members of 300 bytes, and no more
    /// of the disk than an operator expects one export to take.
    pub staged_bytes: u64,
    /// Staged files of an export, and so import jobs that it starts.
    pub staged_files: u32,
    /// Texts that a plugin remembers of an export. They are ids of what it made at the destination: a
    /// list, some fields, a job; a plugin with more takes it for a database.
    pub state_keys: u32,
    /// Bytes of these texts and their keys in all: a thousand ids a hundred times over.
    pub state_bytes: u64,
    /// Looks at them and changes of them in one call: one for each row of the largest batch. Each change
    /// is synced to the disk, which the export's other work waits for.
    pub state_calls: u32,
    /// Lines that an export's plugin may write in a second. More is no line for a person.
    pub log_lines_per_second: u32,
    /// Bytes of such lines in a second.
    pub log_bytes_per_second: u32,
}

/// The bounds of loading a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// The component's file in bytes. The largest guest language measured makes 18 MB.
    pub component_bytes: u64,
    /// Time for compiling it. The largest measured takes 7 s.
    pub compile: Duration,
    /// Memory of the process that compiles it. The largest measured takes 400 MiB.
    pub compile_memory_bytes: u64,
    /// The code that is made of it, in bytes. Of our exporter it is three times the component, and so much
    /// would be made of the largest component that is taken.
    pub code_bytes: u64,
    /// Compiled code of all plugins that is kept on disk, in bytes: eight of the largest, or some versions of
    /// each plugin of a house full of tenants. What was not used for longest goes first.
    pub cache_bytes: u64,
    /// What the component says of itself. A manifest is shown to people; the largest text in one is
    /// the schema of its options.
    pub manifest_bytes: usize,
    /// Guest stack. Interpreters need a mebibyte.
    pub stack_bytes: usize,
}

impl LoadLimits {
    /// Of each limit the larger one.
    pub fn or_larger(&self, other: &Self) -> Self {
        Self {
            component_bytes: self.component_bytes.max(other.component_bytes),
            compile: self.compile.max(other.compile),
            compile_memory_bytes: self.compile_memory_bytes.max(other.compile_memory_bytes),
            code_bytes: self.code_bytes.max(other.code_bytes),
            cache_bytes: self.cache_bytes.max(other.cache_bytes),
            manifest_bytes: self.manifest_bytes.max(other.manifest_bytes),
            stack_bytes: self.stack_bytes.max(other.stack_bytes),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            parts: 64,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(600),
            upload_wall: Duration::from_secs(3600),
            lift_bytes: 32 << 20,
            requests: 2_000,
            requests_at_once: 64,
            resources: 2_000,
            header_bytes: 8 << 10,
            answer_bytes: 8 << 20,
            staged_bytes: 32 << 30,
            staged_files: 1_000,
            state_keys: 1_000,
            state_bytes: 1 << 20,
            state_calls: 1_000,
            log_lines_per_second: 50,
            log_bytes_per_second: 16 << 10,
        }
    }
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            compile: Duration::from_secs(60),
            compile_memory_bytes: 2 << 30,
            code_bytes: 256 << 20,
            cache_bytes: 2 << 30,
            manifest_bytes: 1 << 20,
            stack_bytes: 1 << 20,
        }
    }
}

/// One key of an operator's `limits` table.
pub struct Key<L: 'static> {
    /// The key, its unit included.
    pub name: &'static str,
    /// What may be written.
    pub range: RangeInclusive<u64>,
    /// Puts it into effect.
    pub set: fn(&mut L, u64),
    /// Its present value, in the key's unit.
    pub get: fn(&L) -> u64,
}

macro_rules! key {
    ($name:literal, $range:expr, $field:ident, $unit:expr) => {
        Key {
            name: $name,
            range: $range,
            set: |limits, n| limits.$field = n.saturating_mul($unit).try_into().unwrap_or(!0),
            get: |limits| limits.$field as u64 / $unit,
        }
    };
    ($name:literal, $range:expr, $field:ident: $from:path, $to:ident) => {
        Key {
            name: $name,
            range: $range,
            set: |limits, n| limits.$field = $from(n),
            get: |limits| limits.$field.$to() as u64,
        }
    };
}

/// A day: what waits longer has been forgotten.
const DAY: u64 = 24 * 60 * 60;

/// The keys of [`Limits`], for authorizations and exports.
pub const KEYS: [Key<Limits>; 19] = [
    key!("memory_mib", 1..=4096, memory_bytes, 1 << 20),
    key!("table_elements", 1..=10_000_000, table_elements, 1),
    key!("parts", 1..=1000, parts, 1),
    key!("cpu_ms", 10..=600_000, cpu: Duration::from_millis, as_millis),
    key!("wall_seconds", 1..=DAY, wall: Duration::from_secs, as_secs),
    key!("upload_wall_seconds", 1..=DAY, upload_wall: Duration::from_secs, as_secs),
    key!("lift_mib", 1..=1024, lift_bytes, 1 << 20),
    key!("requests", 1..=1_000_000, requests, 1),
    key!("requests_at_once", 1..=1024, requests_at_once, 1),
    key!("resources", 16..=100_000, resources, 1),
    key!("header_bytes", 64..=1_048_576, header_bytes, 1),
    key!("answer_mib", 1..=1024, answer_bytes, 1 << 20),
    key!("staged_mib", 1..=1_048_576, staged_bytes, 1 << 20),
    key!("staged_files", 1..=1_000_000, staged_files, 1),
    key!("state_keys", 1..=100_000, state_keys, 1),
    key!("state_kib", 1..=1_048_576, state_bytes, 1 << 10),
    key!("state_calls", 1..=100_000, state_calls, 1),
    key!("log_lines_per_second", 1..=10_000, log_lines_per_second, 1),
    key!(
        "log_kib_per_second",
        1..=10_240,
        log_bytes_per_second,
        1 << 10
    ),
];

/// The keys of [`LoadLimits`], for authorizations: they say which plugin is loaded.
pub const LOAD_KEYS: [Key<LoadLimits>; 7] = [
    key!("component_mib", 1..=1024, component_bytes, 1 << 20),
    key!("compile_seconds", 1..=3600, compile: Duration::from_secs, as_secs),
    key!(
        "compile_memory_mib",
        64..=65_536,
        compile_memory_bytes,
        1 << 20
    ),
    key!("code_mib", 1..=4096, code_bytes, 1 << 20),
    key!("cache_mib", 1..=1_048_576, cache_bytes, 1 << 20),
    key!("manifest_kib", 1..=65_536, manifest_bytes, 1 << 10),
    key!("stack_kib", 64..=16_384, stack_bytes, 1 << 10),
];

/// What an operator has turned, in the keys' units. Those of an export stand before those of its
/// authorization, and these before the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(pub Vec<(&'static str, u64)>);

impl Overrides {
    /// Puts them into effect where a key is one of `keys`.
    pub fn apply<L>(&self, limits: &mut L, keys: &[Key<L>]) {
        for (name, n) in &self.0 {
            if let Some(key) = keys.iter().find(|key| key.name == *name) {
                (key.set)(limits, *n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_turns_its_own_limit_and_no_other() {
        for key in &KEYS {
            let default = (key.get)(&Limits::default());
            assert!(key.range.contains(&default), "{}: {default}", key.name);
            for wanted in [*key.range.start(), *key.range.end()] {
                let mut limits = Limits::default();
                Overrides(vec![(key.name, wanted)]).apply(&mut limits, &KEYS);
                assert_eq!((key.get)(&limits), wanted, "{}", key.name);
                (key.set)(&mut limits, default);
                assert_eq!(limits, Limits::default(), "{}", key.name);
            }
        }
        for key in &LOAD_KEYS {
            let default = (key.get)(&LoadLimits::default());
            assert!(key.range.contains(&default), "{}: {default}", key.name);
            let mut limits = LoadLimits::default();
            Overrides(vec![(key.name, *key.range.end())]).apply(&mut limits, &LOAD_KEYS);
            assert_eq!((key.get)(&limits), *key.range.end(), "{}", key.name);
            (key.set)(&mut limits, default);
            assert_eq!(limits, LoadLimits::default(), "{}", key.name);
        }
    }

    #[test]
    fn the_last_word_is_the_exports() {
        let mut limits = Limits::default();
        Overrides(vec![("memory_mib", 16), ("cpu_ms", 100)]).apply(&mut limits, &KEYS);
        Overrides(vec![("memory_mib", 8)]).apply(&mut limits, &KEYS);
        assert_eq!(limits.memory_bytes, 8 << 20);
        assert_eq!(limits.cpu, Duration::from_millis(100));
    }
}
