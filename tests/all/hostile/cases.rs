//! What each hostile guest does, and what is to become of it.

use super::case::{Case, Ends, PLAIN, delivers, imports, not_started};

use Ends::{Live, Parked, Settled, Trying};

/// Why an export is parked whose plugin fails whatever it is given.
pub const FAILS: &str = "plugin-fails";

pub const LOOPS: &[Case] = &[
    // Is asked only whether the destination can be reached: the work goes on without an answer.
    imports("loop_check", PLAIN, Live(&[])),
    imports(
        "loop_stage",
        PLAIN,
        Parked(FAILS, &["`stage` ran into its limit `cpu_ms` = 200"]),
    ),
    imports(
        "loop_submit",
        PLAIN,
        Parked(FAILS, &["`submit` ran into its limit `cpu_ms` = 200"]),
    ),
    imports(
        "loop_poll",
        PLAIN,
        Parked(FAILS, &["`poll` ran into its limit `cpu_ms` = 200"]),
    ),
    delivers(
        "loop_deliver",
        PLAIN,
        Parked(FAILS, &["`deliver` ran into its limit `cpu_ms` = 200"]),
    ),
    delivers(
        "loop_post_return",
        PLAIN,
        Parked(FAILS, &["`deliver` ran into its limit `cpu_ms` = 200"]),
    ),
    delivers(
        "loop_realloc",
        &[
            "one",
            "a text that is so long that the guest looks for room for it without end",
        ],
        Live(&[(1, "`deliver` ran into its limit `cpu_ms` = 200")]),
    ),
];

pub const MEMORY: &[Case] = &[
    delivers(
        "memory_bomb",
        PLAIN,
        Parked(FAILS, &["`deliver` ran into its limit `memory_mib` = 16"]),
    ),
    delivers(
        "memories",
        PLAIN,
        Parked(FAILS, &["`deliver` ran into its limit `memory_mib` = 16"]),
    ),
    delivers(
        "table",
        PLAIN,
        Parked(
            FAILS,
            &["`deliver` ran into its limit `table_elements` = 100000"],
        ),
    ),
    // A Rust guest runs off its own stack, which lies below its data.
    delivers(
        "recursion",
        PLAIN,
        Parked(FAILS, &["`deliver` trapped", "out of bounds memory access"]),
    ),
    delivers(
        "hoarder",
        &["one of many"; 24],
        Live(&[(24, "0 calls, 0 texts and 0 traces")]),
    ),
    delivers("dump_memory", &["one", "dump"], Live(&[])),
];

pub const ANSWERS: &[Case] = &[
    imports(
        "long_lists",
        PLAIN,
        Parked(FAILS, &["`stage` broke the contract", "200000 offsets"]),
    )
    .named("long_stage"),
    delivers(
        "long_lists",
        PLAIN,
        Parked(FAILS, &["`deliver` broke the contract"]),
    ),
    imports(
        "huge_token",
        PLAIN,
        Parked(FAILS, &["the job token has 1048576 bytes"]),
    ),
    delivers("huge_problem", PLAIN, Parked("fatal", &["broken"])),
    imports("huge_reason", PLAIN, Live(&[(8, "no")])),
    delivers(
        "aliased_lists",
        PLAIN,
        Parked(FAILS, &["`deliver` ran into its limit `lift_mib` = 32"]),
    ),
    delivers(
        "invalid_text",
        &["reason", "path", "line", "level", "outside", "fine"],
        Live(&[(5, "`deliver` trapped"), (1, "got through")]),
    ),
    delivers(
        "wrong_values",
        &["r", "p", "l", "n", "m", "o", "a", "fine"],
        Live(&[(7, "`deliver` trapped")]),
    ),
];

pub const ACCOUNTS: &[Case] = &[
    imports(
        "wrong_rows",
        &["rejected", "fine", "far", "identity", "fine"],
        Live(&[(3, "`stage` broke the contract")]),
    )
    .named("wrong_staged_rows"),
    delivers(
        "wrong_rows",
        &[
            "rejected",
            "fine",
            "far",
            "retry",
            "fine",
            "retry without a reason",
        ],
        Live(&[(4, "`deliver` broke the contract")]),
    ),
    imports(
        "twice",
        &["fine", "rejected", "fine"],
        Live(&[(1, "a row is rejected twice")]),
    )
    .named("twice_staged"),
    delivers(
        "twice",
        &["rejected", "fine", "retry", "both", "fine"],
        Live(&[(1, "rejected twice"), (2, "stands twice")]),
    ),
    imports(
        "lying_stage",
        &[
            "too few",
            "too many",
            "fine",
            "beyond",
            "start",
            "bytes left",
            "rejected with bytes",
            "identities",
            "identities descend",
        ],
        Live(&[(8, "`stage` broke the contract")]),
    ),
    imports("lying_job", PLAIN, Trying("importing", &[]))
        .how("progress")
        .named("lying_progress"),
    imports("lying_job", PLAIN, Live(&[])).how("accepted"),
    imports("lying_job", PLAIN, Settled(""))
        .how("refused")
        .named("lying_refused"),
    imports(
        "lying_job",
        PLAIN,
        Live(&[(1, "the import job refused it")]),
    )
    .how("rows")
    .named("lying_rows"),
    imports(
        "lying_job",
        PLAIN,
        // The second entry stands for two rows.
        Live(&[
            (1, "the import job refused it"),
            (1, "refused 2 of 4 rows"),
            (1, "without saying which"),
        ]),
    )
    .how("names")
    .named("lying_names"),
    imports("moody", &MOODS, Settled("trapped")).changes(&MOODS),
    imports(
        "staged_flood",
        &["one"; 8],
        Parked("limit", &["`stage` ran into limit `staged_mib` = 4"]),
    )
    .limits(&[("staged_mib", 4)]),
];

pub const FILES: &[Case] = &[
    imports(
        "tiny_files",
        &["one"; 400],
        Parked("limit", &["`stage` ran into limit `staged_files` = 300"]),
    )
    .limits(&[("staged_files", 300)]),
    delivers("greedy", &["one"; 3_000], Live(&[])),
];

pub const MOODS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z",
];

pub const LOGS: &[Case] = &[delivers(
    "log_flood",
    &["lines", "bytes", "forged"],
    Live(&[(3, "wrote")]),
)];
/// Few and small, so that the plugin comes to their end.
pub const STATE: &[Case] = &[delivers(
    "state_flood",
    &["calls", "keys", "bytes", "value", "name", "fine"],
    Live(&[
        (1, "`deliver` ran into its limit `state_calls` = 50"),
        (
            1,
            "`k3` would be one key more than the limit `state_keys` = 3",
        ),
        (1, "with `k1` there would be"),
        (1, "the value of `long` has 20000 bytes; at most 16384"),
        (1, "denied: the key holds a control character, or one"),
        (1, "fine"),
    ]),
)
.limits(&[("state_calls", 50), ("state_keys", 3), ("state_kib", 1)])];

/// What is not even started.
pub const UNLOADABLE: &[Case] = &[
    not_started(
        "loop_describe",
        "loop_describe.wasm: `describe` ran into its limit `cpu_ms` = 200",
    ),
    not_started(
        "loop_start",
        "loop_start.wasm: `instantiate` ran into its limit `cpu_ms` = 200",
    ),
    not_started("loop_open", "`open` ran into its limit `cpu_ms` = 200"),
    not_started(
        "parts",
        "parts.wasm: `instantiate` ran into its limit `parts` = 64",
    ),
    not_started(
        "huge_manifest",
        "huge_manifest.wasm: `describe` ran into its limit `manifest_kib` = 1024",
    ),
    not_started(
        "many_routes",
        "many_routes.wasm: `describe` ran into its limit `manifest_kib` = 1024",
    )
    // They have to fit into the guest first.
    .limits(&[("memory_mib", 96), ("cpu_ms", 5_000)]),
    not_started(
        "foreign_import",
        "foreign_import.wasm: imports evil:files/open, which",
    ),
];
