//! Plugins that each do one bad thing, in the real program and beside a good neighbour: each is
//! refused or contained, loses nothing, and nobody else notices.
//!
//! The guests are in `tests/guests/`. `street` says what holds for every one of them.

#[path = "hostile/assemble.rs"]
mod assemble;
#[path = "hostile/case.rs"]
mod case;
#[path = "hostile/destination.rs"]
mod destination;
#[path = "hostile/street.rs"]
mod street;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use case::{Case, Ends, PLAIN, delivers, imports};
use destination::METADATA;
use street::Street;

use Ends::{Live, Parked, Settled, Trying};

const FAILS: &str = "plugin-fails";

const LOOPS: &[Case] = &[
    // Is asked only whether the destination can be reached: the work goes on without an answer.
    imports("loop_check", PLAIN, Live(&[])),
    imports("loop_stage", PLAIN, Parked(FAILS, &["`stage`", "CPU budget"])),
    imports("loop_submit", PLAIN, Parked(FAILS, &["`submit`", "CPU budget"])),
    imports("loop_poll", PLAIN, Parked(FAILS, &["`poll`", "CPU budget"])),
    delivers("loop_deliver", PLAIN, Parked(FAILS, &["`deliver`", "CPU budget"])),
    delivers("loop_post_return", PLAIN, Parked(FAILS, &["`deliver`", "CPU budget"])),
    delivers(
        "loop_realloc",
        &["one", "a text that is long enough to make the guest look for room for it without end"],
        Live(&[(1, "CPU budget")]),
    ),
];

const MEMORY: &[Case] = &[
    delivers("memory_bomb", PLAIN, Parked(FAILS, &["`deliver`", "memory", "16777216"])),
    delivers("memories", PLAIN, Parked(FAILS, &["`deliver`", "memory", "16777216"])),
    delivers("table", PLAIN, Parked(FAILS, &["`deliver`"])),
    delivers("recursion", PLAIN, Parked(FAILS, &["`deliver`", "out of bounds memory access"])),
    delivers("hoarder", HOARDED, Live(&[(24, "0 calls, 0 texts and 0 traces")])),
    delivers("dump_memory", &["one", "dump"], Live(&[])),
];

const HOARDED: &[&str] = &["one of many"; 24];

const ANSWERS: &[Case] = &[
    imports("long_lists", PLAIN, Parked(FAILS, &["`stage`"])).named("long_stage"),
    delivers("long_lists", PLAIN, Parked(FAILS, &["`deliver`"])),
    imports("huge_token", PLAIN, Parked(FAILS, &["the job token has 1048576 bytes"])),
    delivers("huge_problem", PLAIN, Parked("fatal", &["broken"])),
    imports("huge_reason", PLAIN, Live(&[(8, "no")])),
    delivers("aliased_lists", PLAIN, Parked(FAILS, &["`deliver`"])),
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

const ACCOUNTS: &[Case] = &[
    imports(
        "wrong_rows",
        &["rejected", "fine", "far", "identity", "fine"],
        Live(&[(3, "`stage` broke the contract")]),
    )
    .named("wrong_staged_rows"),
    delivers(
        "wrong_rows",
        &["rejected", "fine", "far", "retry", "fine", "retry without a reason"],
        Live(&[(4, "`deliver` broke the contract")]),
    ),
    imports("twice", &["fine", "rejected", "fine"], Live(&[(1, "a row is rejected twice")]))
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
    imports("lying_job", PLAIN, Trying("importing", &[])).how("progress").named("lying_progress"),
    imports("lying_job", PLAIN, Live(&[])).how("accepted"),
    imports("lying_job", PLAIN, Settled("")).how("refused").named("lying_refused"),
    imports("lying_job", PLAIN, Live(&[(1, "the import job refused it")]))
        .how("rows")
        .named("lying_rows"),
    imports("moody", &MOODS, Settled("not today")),
    imports("staged_flood", PLAIN, Live(&[])),
];

const MOODS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "y", "z",
];

const LOGS: &[Case] = &[delivers(
    "log_flood",
    &["lines", "bytes", "forged"],
    Live(&[(3, "wrote")]),
)];

const REQUESTS: &[Case] = &[
    delivers(
        "header_bomb",
        &["many", "large", "long name", "query", "path"],
        Live(&[(5, "denied: ")]),
    ),
    delivers("forbidden_requests", &FORBIDDEN, Live(&[(0, "denied: ")])),
    delivers(
        "redirect",
        &["/answers/redirect"],
        Live(&[(1, "302 to http://169.254.169.254/")]),
    ),
    delivers(
        "slow_answer",
        &["/answers/endless", "/answers/headers"],
        Live(&[(1, "too large: ")]),
    ),
    delivers(
        "request_flood",
        &["at once", "one by one"],
        Live(&[]),
    ),
];

const FORBIDDEN: [&str; 1] = ["CONNECT|/users"];

/// What cannot even be loaded.
const UNLOADABLE: &[&str] = &[
    "loop_describe",
    "loop_start",
    "loop_open",
    "parts",
    "huge_manifest",
    "many_routes",
    "foreign_import",
];

#[tokio::test]
async fn a_call_that_never_ends_is_ended() -> Result<()> {
    Street::live_through(LOOPS).await?;
    Ok(())
}

#[tokio::test]
async fn memory_has_an_end_and_is_never_anothers() -> Result<()> {
    let left = Street::live_through(MEMORY).await?;
    let dumped = left.street.destination.requests("dump_memory");
    let bytes: usize = dumped.iter().map(|request| request.body.len()).sum();
    ensure!(bytes > 1 << 20, "{bytes} bytes of memory");
    let key = crate::world::KEY.as_bytes();
    for request in &dumped {
        ensure!(request.head.contains("ApiKey"), "{}", request.head);
        ensure!(!request.body.windows(key.len()).any(|bytes| bytes == key), "the key");
    }
    Ok(())
}

#[tokio::test]
async fn answers_without_measure_or_sense_are_refused() -> Result<()> {
    Street::live_through(ANSWERS).await?;
    Ok(())
}

#[tokio::test]
async fn accounts_that_are_wrong_lose_nothing() -> Result<()> {
    Street::live_through(ACCOUNTS).await?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() -> Result<()> {
    Street::live_through(LOGS).await?;
    Ok(())
}

#[tokio::test]
async fn requests_that_were_not_granted_are_not_sent() -> Result<()> {
    let left = Street::live_through(REQUESTS).await?;
    let redirected = left.street.destination.requests("redirect");
    ensure!(redirected.len() == 1, "{redirected:?}");
    let _ = METADATA;
    Ok(())
}

/// A guest without a test would prove nothing.
#[test]
fn every_guest_has_a_test() -> Result<()> {
    let tables = [LOOPS, MEMORY, ANSWERS, ACCOUNTS, LOGS, REQUESTS];
    let tested: BTreeSet<String> = tables
        .concat()
        .iter()
        .map(|case| case.guest)
        .chain(UNLOADABLE.iter().copied())
        .map(str::to_owned)
        .collect();
    let mut guests = BTreeSet::new();
    for folder in ["hostile/guests", "wat"] {
        for entry in std::fs::read_dir(assemble::guests().join(folder))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default();
            guests.insert(name.to_string_lossy().into_owned());
        }
    }
    // Not hostile: what the others in WAT are made of.
    guests.remove("tame");
    ensure!(guests == tested, "guests {guests:?}\ntested {tested:?}");
    Ok(())
}
