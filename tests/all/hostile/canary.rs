//! Canaries: a key and members' values that stand nowhere else, and a plugin that sends all of its
//! memory to a destination that says the key back. Where they are found afterwards is where they may be.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use super::assemble::guest;
use super::case::{Ends, delivers};
use super::destination::Destination;
use crate::process::{Sluice, everything_in};
use crate::scrape::{HERE, ask};
use crate::world::append;

/// With characters that JSON, URLs and base64 spell otherwise.
const KEY: &str = "cn8/\"+heron=4d17e0";

/// The member's name, a value that is mapped, and one that is not.
const MEMBER: &str = "bittern-501";
const MAPPED: &str = "avocet-mapped-502";
const UNMAPPED: &str = "curlew-unmapped-503";

/// The key in all spellings that somebody may find it in.
fn spellings() -> Vec<String> {
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let some: String = KEY
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let mut all = vec![
        KEY.to_owned(),
        KEY.replace('"', "\\\""),
        percent.to_lowercase(),
        percent,
        some.to_lowercase(),
        some,
        KEY.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for text in [KEY.to_owned(), format!("ApiKey {KEY}")] {
        all.push(BASE64_STANDARD.encode(&text));
        all.push(BASE64_STANDARD_NO_PAD.encode(&text));
        all.push(BASE64_URL_SAFE_NO_PAD.encode(&text));
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// What a person or a program may read holds neither the key nor anything of a member.
fn keeps_quiet(what: &str, bytes: &[u8]) -> Result<()> {
    let values = [MEMBER, MAPPED, UNMAPPED].map(str::to_owned);
    for canary in spellings().iter().chain(&values) {
        ensure!(
            !holds(bytes, canary),
            "{canary} is in {what}:\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_key_is_in_one_header_and_members_are_in_the_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let destination = Destination::start().await?;
    let case = delivers("dump_memory", &[], Ends::Live(&[]));
    std::fs::write(file("dump_memory.wasm"), guest("dump_memory")?)?;
    let config = case
        .config(&destination.url("canary"))
        .replace("what = \"what\"", "what = \"what\", more = \"more\"");
    let members = "members = { file = \"dump_memory.members\" }\ntuning";
    std::fs::write(file("canary.toml"), config.replacen("tuning", members, 1))?;
    let user = json!({"user_id": MEMBER, "what": "dump", "more": MAPPED, "other": UNMAPPED});
    append(&file("dump_memory.members"), &[user.to_string()])?;
    let broken = json!({"what": MAPPED, "more": MEMBER});
    append(
        &file("dump_memory.changes"),
        &[
            json!({"change": "update", "user": user}).to_string(),
            // No member, and no change: kept in quarantine.
            json!({"change": "update", "user": broken}).to_string(),
            format!("{MEMBER} {MAPPED} {UNMAPPED}"),
        ],
    )?;

    let mut sluice = Sluice::new(folder.path(), KEY);
    sluice
        .environment
        .retain(|(name, _)| *name != "SLUICE_ADMIN");
    let mut running = sluice.start(&["run", "--admin", HERE, "--log", "trace"])?;
    let address = running.admin().await?;
    let done = |status: &serde_json::Value| {
        status["phase"] == "live"
            && status["live"]["received"] == 3
            && status["live"]["pending"] == 0
    };
    running.until_status(&sluice, "all is done", done).await?;

    // The plugin had it all in hand, and the destination has said the key back to it.
    let requests = destination.requests("canary");
    let memory: Vec<u8> = requests
        .iter()
        .flat_map(|taken| taken.body.clone())
        .collect();
    ensure!(holds(&memory, MAPPED), "this is not its memory");
    ensure!(
        holds(&memory, "[credential]"),
        "the destination said nothing"
    );
    for spelling in spellings() {
        ensure!(!holds(&memory, &spelling), "{spelling} is in its memory");
    }
    ensure!(
        !holds(&memory, UNMAPPED),
        "what is not mapped is in its memory"
    );
    for taken in &requests {
        let (line, headers) = taken.head.split_once("\r\n").context("no request line")?;
        let with_key: Vec<_> = headers.lines().filter(|line| line.contains(KEY)).collect();
        let wanted = format!("authorization: ApiKey {KEY}");
        ensure!(!line.contains(KEY) && with_key == [wanted], "{with_key:?}");
    }

    keeps_quiet(
        "the metrics",
        ask(address, "/metrics", &[]).await?.1.as_bytes(),
    )?;
    keeps_quiet(
        "readiness",
        ask(address, "/readyz", &[]).await?.1.as_bytes(),
    )?;
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--usage"],
        &["receipt", "everyone"],
        &["quarantine", "list", "everyone"],
        &["quarantine", "list", "everyone", "--json"],
        &["quarantine", "show", "everyone", "1"],
        &["quarantine", "export", "everyone"],
        &["check"],
        &["preview", "everyone"],
        &["explain", "everyone", "POST", "/users"],
    ] {
        let ended = sluice.call(args).await?;
        ensure!(!ended.stdout.is_empty(), "{args:?}: {ended:?}");
        keeps_quiet(&args.join(" "), ended.stdout.as_bytes())?;
        keeps_quiet(&args.join(" "), ended.stderr.as_bytes())?;
    }
    // What a crash leaves behind: no dump, wherever the system puts them.
    let pid = running.pid().context("it has ended")?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let cores = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let cores: Vec<_> = cores.context("no such limit")?.split_whitespace().collect();
    ensure!(cores[4..6] == ["0", "0"], "{cores:?}");
    ensure!(running.said().contains("TRACE"), "nothing was logged");
    keeps_quiet("the log", running.said().as_bytes())?;
    running.terminate().await?;
    on_disk(folder.path())
}

/// Members are in the source and in the store, which is the owner's alone; the key is nowhere.
fn on_disk(folder: &Path) -> Result<()> {
    let mut stores = 0;
    for path in everything_in(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        keeps_quiet("a file's name", name.as_bytes())?;
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        for spelling in spellings() {
            ensure!(!holds(&bytes, &spelling), "{spelling} is in {name}");
        }
        let source = ["dump_memory.members", "dump_memory.changes"].contains(&name.as_str());
        let store = name.starts_with(".sluice/canary/everyone/");
        stores += usize::from(store && holds(&bytes, MEMBER));
        if !source && !store {
            keeps_quiet(&name, &bytes)?;
        }
    }
    ensure!(stores > 0, "nothing was kept in the store");
    Ok(())
}
