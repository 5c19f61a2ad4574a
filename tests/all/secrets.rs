//! No credential and no member's attribute reaches a person's screen or a log, and no credential
//! the disk.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::process::{Ended, everything_in, mode};
use crate::world::World;

/// Found nowhere else; with characters that JSON and URLs spell otherwise.
const UNIQUE_KEY: &str = "kq7/\"+zebra=9f31c2";

/// Values of members that must stay between source and destination.
const VALUES: [&str; 6] = [
    "wombat.zq81",
    "Quokkaname",
    "Numbatson",
    "Bilbytown",
    "pademelon",
    "echidna-credits",
];

fn member(id: &str, credits: &str) -> String {
    json!({"user_id": id, "email": format!("{id}.wombat.zq81@example.com"),
        "first_name": "Quokkaname", "last_name": "Numbatson", "city": "Bilbytown",
        "tags": ["pademelon"], "credits": credits})
    .to_string()
}

fn change(id: &str, credits: &str) -> String {
    let user: serde_json::Value = serde_json::from_str(&member(id, credits)).expect("it is JSON");
    json!({"change": "update", "user": user}).to_string()
}

/// Whether bytes hold a text.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

fn keeps_quiet(ended: &Ended) -> Result<()> {
    for (what, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let escaped = UNIQUE_KEY.replace('"', "\\\"");
        let shows_key = text.contains(UNIQUE_KEY) || text.contains(&escaped);
        ensure!(!shows_key, "the key is in {what}:\n{text}");
        for value in VALUES {
            ensure!(!text.contains(value), "{value} is in {what}:\n{text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn neither_the_key_nor_a_value_is_shown_or_logged() -> Result<()> {
    // The account quotes what it refuses, the import as well as the single user.
    let members = [
        member("a", "1"),
        member("b", "echidna-credits"),
        member("c", "2"),
        // Refused by the component: this is no address.
        member("d", "3").replace("@", " at "),
        // No JSON at all.
        format!("{} Numbatson", member("e", "4")),
    ];
    let changes = [
        change("a", "5"),
        change("c", "echidna-credits"),
        change("f", "6").replace("@", " at "),
        format!("Quokkaname {}", change("e", "4")),
    ];
    let mut world = World::of(&members, &changes).await?;
    world
        .simulator
        .patch_config(&json!({"api_key": UNIQUE_KEY}))?;
    world.sluice.key = Some(UNIQUE_KEY.to_owned());
    let run = ["run", "--until-idle", "--log", "debug"];
    let ended = world.sluice.call(&run).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    ensure!(ended.stderr.contains("DEBUG"), "nothing was logged");
    keeps_quiet(&ended)?;
    // All of them were met, or this proves nothing.
    let status = world.sluice.status().await?;
    ensure!(status["backfill"]["quarantined"] == 3, "{status}");
    ensure!(status["live"]["quarantined"] == 3, "{status}");
    for (_, reason) in world.quarantine()? {
        for value in VALUES {
            ensure!(!reason.contains(value), "{reason}");
        }
    }
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["plugin", "inspect", "plugin.wasm", "--json"],
        &["check"],
        &["preview", "everyone"],
        &["run", "--until-idle", "--log", "debug", "--log-json"],
    ] {
        keeps_quiet(&world.sluice.call(args).await?)?;
    }

    for path in everything_in(&world.path(".sluice"))? {
        if path.is_dir() {
            let mode = mode(&path)?;
            ensure!(mode == 0o700, "{} has mode {mode:o}", path.display());
        } else {
            let bytes = std::fs::read(&path)?;
            ensure!(
                !holds(&bytes, UNIQUE_KEY),
                "the key is in {}",
                path.display()
            );
        }
    }
    Ok(())
}

/// A destination that says the key back to us.
#[tokio::test]
async fn a_key_that_is_echoed_is_scrubbed() -> Result<()> {
    use retention_science_simulator::{Answer, FaultKind, Rule};

    let mut world = World::of(&[], &[change("a", "1")]).await?;
    world.tenant.members = None;
    world.configure()?;
    world
        .simulator
        .patch_config(&json!({"api_key": UNIQUE_KEY}))?;
    world.sluice.key = Some(UNIQUE_KEY.to_owned());
    for code in [401, 422] {
        let body = json!({"message": format!("no use for ApiKey {UNIQUE_KEY}")}).to_string();
        let echo = Rule {
            kind: FaultKind::Status(Answer {
                code,
                body: Some(body),
                retry_after: None,
            }),
            ..Rule::default()
        };
        world.simulator.set_faults(vec![echo], vec![]);
        let run = ["run", "--until-idle", "--log", "debug"];
        let ended = world.sluice.call(&run).await?;
        ensure!(
            ended.code == Some(if code == 401 { 5 } else { 7 }),
            "{ended:?}"
        );
        keeps_quiet(&ended)?;
        ensure!(ended.stdout.contains("quarantine") || ended.stdout.contains("parked"));
    }
    for (_, reason) in world.quarantine()? {
        ensure!(reason.contains("422"), "{reason}");
        ensure!(!reason.contains("zebra"), "{reason}");
    }
    Ok(())
}
