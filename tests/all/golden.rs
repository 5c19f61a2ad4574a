//! What leaves the program, byte by byte: requests on the wire and text for people.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::golden_file::{Normal, folder, golden};
use crate::process::component;
use crate::wire::{Sent, Wire};
use crate::world::{KEY, World};

/// What is awkward in CSV, in JSON and in headers.
fn members() -> Vec<String> {
    [
        json!({"user_id": "u1", "email": "Ann@Example.com ", "first_name": "Ann",
            "last_name": "Berg", "city": "Köln, \"Mitte\"", "country": "Germany",
            "birthday": "1990-05-01T23:30:00-08:00", "gender": "Female", "credits": 12.50,
            "vip": true, "tags": ["a", null, 7], "preferences": {"b": 1, "a": [null]},
            "newsletter_opt_in": true}),
        json!({"user_id": 2, "email": null, "first_name": "Zoë\n🎈", "phone": "", "vip": null}),
        json!({"user_id": "u3", "email": "carl@example.com", "credits": "0"}),
    ]
    .map(|member| member.to_string())
    .into()
}

/// One of each kind, each of another member.
fn changes() -> Vec<String> {
    let of = |change: &str, user: &str| {
        let user: serde_json::Value = serde_json::from_str(user).expect("it is JSON");
        json!({"change": change, "at": "2026-01-01T00:00:00Z", "user": user}).to_string()
    };
    vec![
        of("enter", &members()[0]),
        of(
            "update",
            r#"{"user_id": 2, "city": "São Paulo", "vip": false, "birthday": null}"#,
        ),
        of("exit", r#"{"user_id": "u3", "email": "carl@example.com"}"#),
    ]
}

/// A request as it was sent, without what differs from run to run.
fn shown(request: &Sent, endpoint: &str) -> String {
    let mut text = Normal::new(&format!("{}\r\n\r\n{}", request.head, request.body))
        .hide(
            endpoint
                .trim_start_matches("http://")
                .trim_end_matches("/v3"),
            "HOST",
        )
        .hide(KEY, "{api-key}")
        .times()
        .hide("\r\n", "\n");
    if let Some(boundary) = request
        .header("content-type")
        .and_then(|kind| kind.strip_prefix("multipart/form-data; boundary="))
    {
        text = text.hide(boundary, "BOUNDARY");
    }
    text.text() + "\n"
}

#[tokio::test]
async fn the_import_is_the_golden_request() -> Result<()> {
    let mut world = World::of(&members(), &[]).await?;
    let wire = Wire::to(&world.simulator.url()).await?;
    world.tenant.endpoint = wire.url();
    world.configure()?;
    world.finish().await?;
    let sent = wire.requests();
    let import: Vec<_> = sent
        .iter()
        .filter(|request| request.starts_with("POST /v3/import_jobs "))
        .collect();
    let [import] = import[..] else {
        anyhow::bail!("{} imports, not one", import.len())
    };
    // Known beforehand, as servers want it for files.
    ensure!(import.header("transfer-encoding").is_none());
    let length = import.header("content-length").context("no length")?;
    ensure!(length.parse::<usize>()? == import.body.len());
    golden("import.txt", &shown(import, &world.tenant.endpoint));
    Ok(())
}

#[tokio::test]
async fn changes_are_the_golden_requests_under_every_exit_policy() -> Result<()> {
    for policy in ["resend", "attribute", "ignore"] {
        let mut world = World::of(&[], &changes()).await?;
        let wire = Wire::to(&world.simulator.url()).await?;
        world.tenant.members = None;
        world.tenant.endpoint = wire.url();
        world.tenant.options += &format!("exit = \"{policy}\"\n");
        world.configure()?;
        let ended = world.run(&["--until-idle"]).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        let mut sent: Vec<String> = wire
            .requests()
            .iter()
            .filter(|request| request.starts_with("POST /v3/users "))
            .map(|request| shown(request, &world.tenant.endpoint))
            .collect();
        // They go side by side.
        sent.sort_by_key(|request| request.lines().last().map(str::to_owned));
        golden(&format!("live-{policy}.txt"), &sent.join("\n"));
    }
    Ok(())
}

#[tokio::test]
async fn the_example_is_previewed_as_in_the_golden_files() -> Result<()> {
    let world = World::of(&[], &[]).await?;
    std::fs::remove_file(world.path("test.toml"))?;
    let examples = folder().join("../../../examples");
    for name in ["members.ndjson", "changes.ndjson"] {
        std::fs::copy(examples.join(name), world.path(name))?;
    }
    let text = std::fs::read_to_string(examples.join("acme.toml"))?;
    let here = text.replace("../target/components/retention_science.wasm", "plugin.wasm");
    ensure!(here != text, "the example has another plugin");
    std::fs::write(world.path("acme.toml"), here)?;
    for (args, name) in [
        (&["preview", "vip"][..], "preview.txt"),
        (&["preview", "acme/vip", "--reveal"], "preview-revealed.txt"),
        (&["preview", "vip", "--rows", "1"], "preview-one.txt"),
    ] {
        let ended = world.sluice.call(args).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        ensure!(ended.stderr.is_empty(), "{ended:?}");
        golden(name, &Normal::new(&ended.stdout).times().text());
    }
    // Nothing was sent, and nothing was kept.
    ensure!(!world.path(".sluice").exists());
    Ok(())
}

#[tokio::test]
async fn a_plugin_is_described_as_in_the_golden_file() -> Result<()> {
    let world = World::of(&[], &[]).await?;
    let ended = world
        .sluice
        .call(&["plugin", "inspect", "plugin.wasm"])
        .await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let bytes = std::fs::metadata(component())?.len();
    let text = Normal::new(&ended.stdout)
        .hide(&format!("{bytes} bytes\n"), "SIZE bytes\n")
        .between("sha256    ", "\n", "HASH");
    golden("plugin-inspect.txt", &text.text());
    Ok(())
}

#[tokio::test]
async fn help_is_as_in_the_golden_file() -> Result<()> {
    let mut world = World::of(&[], &[]).await?;
    // Help shows what is set there.
    world.sluice.environment.clear();
    let mut text = String::new();
    for args in [
        &["--help"][..],
        &["check", "--help"],
        &["preview", "--help"],
        &["explain", "--help"],
        &["run", "--help"],
        &["status", "--help"],
        &["source", "accept", "--help"],
        &["plugin", "inspect", "--help"],
    ] {
        let ended = world.sluice.call(args).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        text += &format!("$ sluice {}\n{}\n", args.join(" "), ended.stdout);
    }
    golden("help.txt", &text);
    Ok(())
}
