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
#[path = "hostile/cases.rs"]
mod cases;
#[path = "hostile/destination.rs"]
pub mod destination;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/street.rs"]
mod street;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::world::KEY;

use case::{Ends, delivers};
use cases::{ACCOUNTS, ANSWERS, FILES, LOGS, LOOPS, MEMORY, STATE, UNLOADABLE};
use requests::{REQUESTS, WASI};
use street::Street;

use Ends::{Live, NotStarted};

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
    // Whoever only computes may ask for nothing, in whichever way; what may be asked for is sent.
    let early = REQUESTS.last().context("no case")?;
    let rows = left.street.quarantine(early)?;
    let told = rows.iter().map(|row| &row.reason);
    let mut told: Vec<_> = told
        .map(|reason| {
            let denied = reason.matches("` may make no requests").count();
            (denied, reason.matches("answered 200").count())
        })
        .collect();
    told.sort_unstable();
    ensure!(told == [(0, 4), (4, 0), (4, 0), (4, 0)], "{rows:#?}");
    ensure!(destination.requests(early.name).len() == 4, "{told:?}");
    let status = left.status(early);
    let counted = status["usage"][0]["denied"]["function"].as_u64();
    ensure!(counted.is_some_and(|n| n >= 12), "{status:#}");
    for says in [
        "WARN `describe` has asked for requests, which it may not make: denied",
        "reason=`open` may make no requests",
    ] {
        ensure!(left.said.contains(says), "not {says:?}: {}", left.said);
    }
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
        "wasi:http: an answer's headers are larger than 4 times limit `header_bytes` = 8192",
        r#"export=wasi_http/everyone method=POST route="none" reason=the URL is not below the endpoint"#,
        r#"method=GET route="none; the nearest is GET /answers/*: the path has 1 segments, the route 2" reason=no route"#,
        r#"method=POST route="POST /users" reason=header `authorization` is set by the host"#,
    ] {
        ensure!(left.said.contains(says), "not {says:?}: {}", left.said);
    }
    let requests = left.street.destination.requests("wasi_http");
    let lines: BTreeSet<_> = requests
        .iter()
        .filter_map(|r| r.head.lines().next())
        .collect();
    let granted = [
        "GET /wasi_http/answers/chunk HTTP/1.1",
        "GET /wasi_http/answers/cut HTTP/1.1",
        "GET /wasi_http/answers/endless HTTP/1.1",
        "GET /wasi_http/answers/one?a=b+c HTTP/1.1",
        "GET /wasi_http/answers/wide HTTP/1.1",
        "POST /wasi_http/users HTTP/1.1",
    ];
    ensure!(lines == BTreeSet::from(granted), "{lines:#?}");
    for request in &requests {
        ensure!(request.head.contains(KEY), "{}", request.head);
    }
    // The destination says the key back, and the guest does not get to see it.
    let asks = WASI.iter().find(|case| case.name == "wasi_http");
    let rows = left.street.quarantine(asks.context("no case")?)?;
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
