//! Plugins that each do one bad thing, in the real program and beside a good neighbour: each is
//! refused or contained, loses nothing, and nobody else notices.
//!
//! The guests are in `tests/guests/`. `street` says what holds for every one of them.

#[path = "hostile/assemble.rs"]
mod assemble;
#[path = "hostile/canary.rs"]
mod canary;
#[path = "hostile/case.rs"]
mod case;
#[path = "hostile/destination.rs"]
pub mod destination;
#[path = "hostile/street.rs"]
mod street;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::world::KEY;

use case::{Case, Ends, PLAIN, delivers, imports};
use street::Street;

use Ends::{Live, NotStarted, Parked, Settled, Trying};

/// Why an export is parked whose plugin fails whatever it is given.
const FAILS: &str = "plugin-fails";

const LOOPS: &[Case] = &[
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

const MEMORY: &[Case] = &[
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

const ANSWERS: &[Case] = &[
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

const ACCOUNTS: &[Case] = &[
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

const FILES: &[Case] = &[
    imports(
        "tiny_files",
        &["one"; 400],
        Parked("limit", &["`stage` ran into limit `staged_files` = 300"]),
    )
    .limits(&[("staged_files", 300)]),
    delivers("greedy", &["one"; 3_000], Live(&[])),
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
    delivers(
        "forbidden_requests",
        FORBIDDEN,
        Live(&[
            (5, "denied: the method must be one of"),
            (13, "denied: the path must begin with"),
            (6, "denied: no route of the manifest allows this"),
            (9, "is set by the host"),
            (3, "denied: a header's name or value holds"),
            (2, "denied: a part's name, file name or content type holds"),
            (1, "denied: a part names a staged file"),
        ]),
    ),
    delivers("redirect", &["/answers/redirect"], Live(&[(1, REDIRECTED)])),
    delivers("slow_answer", &["/answers/drip"], SLOW)
        .limits(&[("wall_seconds", 2)])
        .named("drip"),
    delivers("slow_answer", &["/answers/silence"], SLOW)
        .limits(&[("wall_seconds", 2)])
        .named("silence"),
    delivers(
        "slow_answer",
        &["/answers/endless", "/answers/headers"],
        Live(&[
            (
                1,
                "too large: the answer (200) is larger than limit `answer_mib` = 1",
            ),
            (1, "interrupted: "),
        ]),
    )
    .limits(&[("answer_mib", 1)]),
    delivers(
        "request_flood",
        &["at once", "one by one", "denied", "none"],
        Live(&[(3, "`deliver` ran into its limit"), (1, "nothing sent")]),
    )
    .limits(&[("requests", 200)]),
];

/// Ways out of the closed WASI, each with what is found there.
const WASI: &[Case] = &[
    delivers(
        "wasi",
        &[
            "environment",
            "arguments",
            "folder",
            "folders",
            "input",
            "tcp",
            "udp",
            "names",
            "clocks",
            "chance",
            "too much chance",
            "print",
            "exit",
            "hoard",
        ],
        Live(&[
            (2, "found []"),
            (1, "found None"),
            (1, "found 0 folders"),
            (1, "read Err(StreamError::Closed)"),
            (2, "no socket: access-denied"),
            (1, "no name: permanent-resolver-failure"),
            (1, "time passes: true, after 2020: true"),
            (1, "32 and 32 bytes"),
            (
                1,
                "`deliver` trapped: requested len 1099511627776 exceeds limit",
            ),
            (1, "printed"),
            (
                1,
                "`deliver` trapped: it called `exit` with status 1, which ends the call",
            ),
            (1, "`deliver` ran into its limit `resources` = 2000"),
        ]),
    ),
    delivers("wasi", &["print without end"], Live(&[(1, "printed")])).named("wasi_flood"),
    delivers(
        "wasi",
        &["sleep"],
        Trying("live", &["`deliver` ran into its limit `wall_seconds` = 2"]),
    )
    .limits(&[("wall_seconds", 2)])
    .named("wasi_sleep"),
    delivers("wasi_http", WASI_REQUESTS, Live(WASI_ANSWERS)),
    not_started(
        "wasi_unlisted",
        "wasi_unlisted.wasm: imports wasi:keyvalue/store@0.2.0, which this host does not give",
    ),
];

const WASI_REQUESTS: &[&str] = &[
    // What was granted: the way below the endpoint, whatever that is, and bodies of a size.
    "POST|https|destination|/users",
    "GET|http|destination|/answers/one?a=b%20c",
    "POST|http|DESTINATION|/users|body|2",
    // More than a guest's memory holds.
    "POST|https|destination|/users|body|20",
    // Denied, after a megabyte was taken from the guest.
    "POST|https|destination|/admin|body|1",
    // Other hosts, and other places of this one.
    "POST|http|evil.test|/users",
    "POST|http|169.254.169.254|/latest/meta-data",
    "POST|http|127.0.0.1|/wasi_http/users",
    "POST|http|destination@evil.test|/users",
    "POST|https|destination:443|/users",
    // Out of the endpoint, and beside the routes.
    "POST|https|destination|/users/../admin",
    "POST|https|destination|/users%2fadmin",
    "POST|https|destination|/%2e%2e/admin",
    "GET|https|destination|/users",
    "TRACE|https|destination|/users",
    // Headers that are the host's.
    "POST|https|destination|/users|authorization|ApiKey mine",
    "POST|https|destination|/users|cookie|a=b",
    "POST|https|destination|/users|host|evil.test",
    "POST|https|destination|/users|transfer-encoding|chunked",
    // What no gate has.
    "POST|ftp|destination|/users",
];

const WASI_ANSWERS: &[(u64, &str)] = &[
    (3, "answered 200"),
    (1, "cut off: StreamError::Closed"),
    (13, "no answer: ErrorCode::HttpRequestDenied"),
    (2, "no header: HeaderError::Forbidden"),
    (1, "no answer: ErrorCode::HttpProtocolError"),
];

const SLOW: Ends = Trying("live", &["`deliver` ran into its limit `wall_seconds` = 2"]);

/// The answer, and then what came of going there in six ways.
const REDIRECTED: &str = "302 to http://169.254.169.254/latest/meta-data/; denied: ";

const FORBIDDEN: &[&str] = &[
    // Out of the endpoint.
    "POST|http://evil.test/users",
    "POST|//evil.test/users",
    "POST|evil.test/users",
    "POST|@evil.test/users",
    "POST|/users/../admin",
    r"POST|/users\..\admin",
    "POST|/./users",
    "POST|/users~Host: evil.test",
    "POST|",
    "POST|/users?admin=1",
    "POST|/users#fragment",
    "POST|/users%2fadmin",
    "POST|/%2e%2e/admin",
    // Beside the routes.
    "POST|/admin",
    "POST|/Users",
    "POST|/users/1",
    "POST|/%75sers",
    "POST|/@evil.test",
    "GET|/users",
    // Methods that are none.
    "post|/users",
    "CONNECT|/users",
    "TRACE|/users",
    "POST /admin HTTP/1.1~~POST|/users",
    "|/users",
    // Headers that are the host's.
    "POST|/users|Host|evil.test",
    "POST|/users|authorization|ApiKey mine",
    "POST|/users|Cookie|a=b",
    "POST|/users|Content-Length|0",
    "POST|/users|Transfer-Encoding|chunked",
    "POST|/users|Connection|close",
    "POST|/users|Proxy-Authorization|mine",
    "POST|/users|Upgrade|h2c",
    "POST|/users|TE|trailers",
    // Headers that would be two.
    "POST|/users|x-one|1~Host: evil.test",
    "POST|/users|x-one~Host|1",
    "POST|/users|x one|1",
    // Parts that would be two.
    "POST|/users|part|name~~--|file",
    "POST|/users|part|name|file~content-type: text/html",
    // A file that this call was not given.
    "POST|/users|staged|0000-1",
];

/// What is not even started.
/// Few and small, so that the plugin comes to their end.
const STATE: &[Case] = &[delivers(
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
        (1, "denied: the key holds a control character"),
        (1, "fine"),
    ]),
)
.limits(&[("state_calls", 50), ("state_keys", 3), ("state_kib", 1)])];

const UNLOADABLE: &[Case] = &[
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

const fn not_started(guest: &'static str, says: &'static str) -> Case {
    delivers(guest, PLAIN, NotStarted(says))
}

#[tokio::test]
async fn a_call_that_never_ends_is_ended() -> Result<()> {
    let left = Street::live_through(LOOPS).await?;
    // Who asks for a check hears what became of it.
    let ended = left.street.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(5), "{ended:?}");
    ensure!(
        ended
            .stderr
            .contains("`check` ran into its limit `cpu_ms` = 200"),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn memory_has_an_end_and_is_never_anothers() -> Result<()> {
    let left = Street::live_through(MEMORY).await?;
    let dumped = left.street.destination.requests("dump_memory");
    let bytes: usize = dumped.iter().map(|request| request.body.len()).sum();
    ensure!(bytes > 1 << 20, "{bytes} bytes of memory");
    for request in &dumped {
        ensure!(request.head.contains(KEY), "{}", request.head);
        let mut windows = request.body.windows(KEY.len());
        ensure!(
            !windows.any(|bytes| bytes == KEY.as_bytes()),
            "the key is in a guest's memory"
        );
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

/// A plugin says how many rows a file has, and how many a call: neither takes from others what the
/// process has only once.
#[tokio::test]
async fn more_files_and_rows_than_the_process_can_hold_are_not_held() -> Result<()> {
    let mut street = Street::new(FILES).await?;
    street.sluice.open_files = Some(200);
    street.endure().await?;
    Ok(())
}

#[tokio::test]
async fn what_is_remembered_is_bounded() -> Result<()> {
    Street::live_through(STATE).await?;
    Ok(())
}

#[tokio::test]
async fn a_flood_of_lines_is_cut() -> Result<()> {
    let left = Street::live_through(LOGS).await?;
    ensure!(
        left.said.contains("line 1 of a flood"),
        "nothing was written"
    );
    ensure!(
        left.said.contains("log_lines_per_second"),
        "nobody was told"
    );
    Ok(())
}

#[tokio::test]
async fn what_was_not_granted_is_not_sent() -> Result<()> {
    let left = Street::live_through(REQUESTS).await?;
    let destination = &left.street.destination;
    for (export, most) in [
        ("header_bomb", 0),
        ("forbidden_requests", 0),
        ("redirect", 1),
    ] {
        let requests = destination.requests(export);
        ensure!(requests.len() == most, "{export}: {requests:#?}");
    }
    // The flood as part of a batch, and alone.
    let flood = destination.requests("request_flood").len();
    ensure!((200..=400).contains(&flood), "{flood} requests");
    let [row] = &left.street.quarantine(&REQUESTS[2])?[..] else {
        anyhow::bail!("not one row");
    };
    let ways = row.reason.matches("denied: ").count();
    ensure!(ways == 6, "{}", row.reason);
    Ok(())
}

/// Guests with WASI find nothing in it, and what they ask for by `wasi:http` goes through the gate.
#[tokio::test]
async fn closed_wasi_is_closed() -> Result<()> {
    let left = Street::live_through(WASI).await?;
    for says in [
        "INFO printed for the operator export=wasi/everyone",
        "INFO printed in pieces export=wasi/everyone",
        "WARN 2026-01-01T00:00:00Z ERROR forged export=wasi/everyone",
        "printed line 1 of a flood",
        "log_lines_per_second",
        "wasi:http: a request's body would take more than limit `memory_mib` = 16",
        "the URL is not below the endpoint of the authorization",
    ] {
        ensure!(left.said.contains(says), "not {says:?}: {}", left.said);
    }
    let requests = left.street.destination.requests("wasi_http");
    let lines: BTreeSet<_> = requests
        .iter()
        .filter_map(|r| r.head.lines().next())
        .collect();
    let granted = [
        "GET /wasi_http/answers/one?a=b+c HTTP/1.1",
        "POST /wasi_http/users HTTP/1.1",
    ];
    ensure!(lines == BTreeSet::from(granted), "{lines:#?}");
    for request in &requests {
        ensure!(request.head.contains(KEY), "{}", request.head);
    }
    // The destination says the key back, and the guest does not get to see it.
    let rows = left.street.quarantine(&WASI[3])?;
    ensure!(
        rows.iter().any(|row| row.reason.contains("x-heard")),
        "nothing was said back"
    );
    ensure!(
        !rows.iter().any(|row| row.reason.contains(KEY)),
        "the key came back"
    );
    let sizes: BTreeSet<_> = requests.iter().map(|request| request.body.len()).collect();
    ensure!(sizes == BTreeSet::from([0, 2 << 20]), "{sizes:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_loaded_says_why_and_holds_up_nobody() -> Result<()> {
    let left = Street::live_through(UNLOADABLE).await?;
    let ended = left.street.sluice.call(&["check"]).await?;
    ensure!(matches!(ended.code, Some(3 | 4)), "{ended:?}");
    for case in UNLOADABLE {
        let NotStarted(says) = case.ends else {
            anyhow::bail!("{} is started", case.name);
        };
        ensure!(ended.stderr.contains(says), "{}: {ended:?}", case.name);
    }
    Ok(())
}

/// A name is judged by where it leads: what a rebinding one leads to is nothing that was granted.
#[tokio::test]
async fn a_name_that_leads_inside_needs_a_grant() -> Result<()> {
    let case = delivers("slow_answer", &["/answers/one"], Live(&[])).named("rebound");
    let inside = "unreachable: `localhost` leads to a loopback address";
    for (granted, says) in [(false, inside), (true, "answered 200")] {
        let street = Street::new(&[case]).await?;
        let endpoint = street
            .destination
            .url(case.name)
            .replace("127.0.0.1", "localhost");
        let grant = "allow_addresses = [\"127.0.0.0/8\"";
        let config = match granted {
            false => case.config(&endpoint).replace(&format!("{grant}]\n"), ""),
            true => case
                .config(&endpoint)
                .replace(grant, &format!("{grant}, \"::1\"")),
        };
        std::fs::write(street.path("rebound.toml"), config)?;
        let run = ["run", "--export", "rebound/everyone", "--until-idle"];
        let ended = street.sluice.call(&run).await?;
        ensure!(ended.code == Some(7), "{ended:?}");
        let [row] = &street.quarantine(&case)?[..] else {
            anyhow::bail!("not one row");
        };
        ensure!(row.reason.starts_with(says), "{}", row.reason);
        let requests = street.destination.requests(case.name).len();
        ensure!(requests == usize::from(granted), "{requests} requests");
    }
    Ok(())
}

/// A guest without a test would prove nothing.
#[test]
fn every_guest_has_a_test() -> Result<()> {
    let tables = [
        LOOPS, MEMORY, ANSWERS, ACCOUNTS, FILES, LOGS, REQUESTS, STATE, WASI, UNLOADABLE,
    ];
    let tested: BTreeSet<String> = tables
        .concat()
        .iter()
        .map(|case| case.guest.to_owned())
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
