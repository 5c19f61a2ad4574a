//! The gate between a plugin and the world, and where its key comes from: what the operator grants,
//! narrows and can have explained.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::golden_file::{Normal, golden};
use crate::process::KEY_VARIABLE;
use crate::world::{KEY, World};

/// Puts something else into the tenant's file.
fn rewrite(world: &World, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(world.path("test.toml"))?;
    ensure!(text.contains(from), "there is no {from}");
    Ok(std::fs::write(
        world.path("test.toml"),
        text.replace(from, to),
    )?)
}

/// The key comes from elsewhere than the environment.
fn secret(world: &World, from: &str) -> Result<()> {
    rewrite(world, &format!("{{ env = \"{KEY_VARIABLE}\" }}"), from)
}

fn write(world: &World, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = world.path(name);
    std::fs::write(&path, text)?;
    Ok(std::fs::set_permissions(
        &path,
        PermissionsExt::from_mode(mode),
    )?)
}

/// A destination that says the same to everything.
async fn destination(answer: &'static str, endless: bool) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v3", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = vec![0; 64 << 10];
                let _ = connection.read(&mut asked).await;
                let _ = connection.write_all(answer.as_bytes()).await;
                while endless && connection.write_all(&asked).await.is_ok() {}
            });
        }
    });
    Ok(url)
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_needs_a_grant() -> Result<()> {
    let mut world = World::new(3, 90).await?;
    world.tenant.endpoint = world.tenant.endpoint.replace("127.0.0.1", "localhost");
    world.configure()?;
    let granted = world.sluice.call(&["check"]).await?;
    ensure!(granted.code == Some(0), "{granted:?}");
    rewrite(&world, "[\"127.0.0.0/8\"]", "[\"10.0.0.0/8\"]")?;
    let refused = world.sluice.call(&["check"]).await?;
    ensure!(refused.code == Some(5), "{refused:?}");
    ensure!(
        refused
            .stderr
            .contains("`localhost` leads to a loopback address"),
        "{refused:?}"
    );
    ensure!(
        refused.stderr.contains("allow_addresses = [\""),
        "{refused:?}"
    );
    let explained = world
        .sluice
        .call(&["explain", "everyone", "POST", "/users", "--json"])
        .await?;
    ensure!(explained.code == Some(8), "{explained:?}");
    let explained: Value = serde_json::from_str(&explained.stdout)?;
    ensure!(
        explained["addresses"][0]["refused"] == "loopback",
        "{explained}"
    );
    Ok(())
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_used() -> Result<()> {
    // Nothing listens there; every request would fail.
    let mut world = World::new(3, 91).await?;
    world.sluice.environment.extend(
        ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"]
            .map(|name| (name, "http://127.0.0.1:9".to_owned())),
    );
    world.finish().await
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> Result<()> {
    let elsewhere = World::new(0, 92).await?;
    let to = elsewhere.simulator.url();
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}/users\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    );
    let mut world = World::new(3, 93).await?;
    world.tenant.endpoint = destination(answer.leak(), false).await?;
    world.configure()?;
    let ended = world.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(5), "{ended:?}");
    ensure!(ended.stderr.contains("307"), "{ended:?}");
    ensure!(elsewhere.simulator.requests().is_empty(), "it went to {to}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_never_ends_ends_with_its_limit() -> Result<()> {
    let mut world = World::new(3, 94).await?;
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    world.tenant.endpoint = destination(endless, true).await?;
    world.configure()?;
    let ended = world.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(5), "{ended:?}");
    ensure!(ended.stderr.contains("is larger than limit"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn an_operator_narrows_what_the_manifest_asks_for() -> Result<()> {
    let mut world = World::new(20, 95).await?;
    world.append(0..5)?;
    let line = "allow_http = true\n";
    rewrite(
        &world,
        line,
        &format!("{line}routes = [\"GET /users\", \"POST /users\", \"GET /import_jobs/*\"]\n"),
    )?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(6), "{ended:?}");
    ensure!(
        ended
            .stderr
            .contains("the operator's `routes` of the authorization do not grant it"),
        "{ended:?}"
    );
    ensure!(world.requests("POST", "/import_jobs").is_empty());
    // With all that it asks for it goes on.
    rewrite(
        &world,
        "\"POST /users\"",
        "\"POST /users\", \"POST /import_jobs\"",
    )?;
    world.finish().await
}

#[tokio::test]
async fn a_decision_is_explained() -> Result<()> {
    let world = World::new(3, 96).await?;
    let line = "allow_http = true\n";
    rewrite(
        &world,
        line,
        &format!("{line}routes = [\"POST /users\", \"GET /import_jobs/7\"]\n"),
    )?;
    let mut all = String::new();
    for (method, path, code) in [
        ("POST", "/users", 0),
        ("GET", "/import_jobs/7", 0),
        ("GET", "/import_jobs/8", 8),
        ("POST", "/users/1", 8),
        ("DELETE", "/users", 8),
        ("POST", "/users/%2e%2e/admin", 8),
        ("TRACE", "/users", 8),
    ] {
        let ended = world
            .sluice
            .call(&["explain", "everyone", method, path])
            .await?;
        ensure!(
            ended.code == Some(code) && ended.stderr.is_empty(),
            "{ended:?}"
        );
        all += &format!(
            "$ sluice explain everyone {method} {path}\n{}\n",
            ended.stdout
        );
    }
    ensure!(!all.contains(KEY), "{all}");
    golden(
        "explain.txt",
        &Normal::new(&all)
            .hide(&world.tenant.endpoint, "ENDPOINT")
            .text(),
    );
    ensure!(world.simulator.requests().is_empty());

    let ended = world
        .sluice
        .call(&["explain", "everyone", "POST", "/users", "--json"])
        .await?;
    let explained: Value = serde_json::from_str(&ended.stdout)?;
    for (field, wanted) in [
        ("/allowed", Value::from(true)),
        ("/granted_by", "POST /users".into()),
        ("/addresses/0/address", "127.0.0.1".into()),
        ("/addresses/0/refused", Value::Null),
    ] {
        ensure!(
            explained.pointer(field) == Some(&wanted),
            "{field}: {explained}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_key_comes_from_a_command_and_is_asked_for_anew_when_it_is_refused() -> Result<()> {
    let mut world = World::new(40, 97).await?;
    world.append(0..10)?;
    secret(&world, "{ command = [\"./vault\", \"read\"] }")?;
    let vault = |key: &str| format!("#!/bin/sh\necho noise >&2\necho ' {key} '\n");
    write(&world, "vault", &vault("an-old-key-0000"), 0o700)?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "it is parked", |status| {
            status["phase"] == "parked"
        })
        .await?;
    // Renamed into place: a program that runs cannot be written to.
    write(&world, "vault.new", &vault(KEY), 0o700)?;
    std::fs::rename(world.path("vault.new"), world.path("vault"))?;
    running
        .until_status(&world.sluice, "it is live", |status| {
            status["phase"] == "live"
                && status["live"]["received"] == 10
                && status["live"]["pending"] == 0
        })
        .await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(
        !ended.stderr.contains(KEY) && !ended.stderr.contains("noise"),
        "{ended:?}"
    );
    world.prove().await
}

#[tokio::test]
async fn a_command_that_fails_is_told_without_what_it_said() -> Result<()> {
    let world = World::new(3, 98).await?;
    secret(
        &world,
        "{ command = [\"sh\", \"-c\", \"echo sekrit; echo sekrit >&2; exit 3\"] }",
    )?;
    let ended = world.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(3), "{ended:?}");
    ensure!(
        ended.stderr.contains("sh has failed: exit status: 3"),
        "{ended:?}"
    );
    ensure!(!ended.stderr.contains("sekrit"), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused() -> Result<()> {
    let world = World::new(3, 99).await?;
    secret(&world, "{ file = \"key\" }")?;
    for (mode, code) in [(0o644, 3), (0o660, 3), (0o600, 0), (0o440, 0)] {
        write(&world, "key", KEY, mode)?;
        let ended = world.sluice.call(&["check"]).await?;
        ensure!(ended.code == Some(code), "{mode:o}: {ended:?}");
        ensure!(
            code == 0 || ended.stderr.contains("`chmod 600` it"),
            "{ended:?}"
        );
        std::fs::remove_file(world.path("key"))?;
    }
    rewrite(
        &world,
        "{ file = \"key\" }",
        "{ file = \"key\", shared = true }",
    )?;
    write(&world, "key", KEY, 0o644)?;
    let ended = world.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(())
}

#[tokio::test]
async fn the_process_leaves_no_core_dump() -> Result<()> {
    let world = World::new(3, 100).await?;
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "it is live", |status| {
            status["phase"] == "live"
        })
        .await?;
    let pid = running.pid().context("it has no number")?;
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.context("no such limit")?.split_whitespace().collect();
    ensure!(core[4..6] == ["0", "0"], "{core:?}");
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    Ok(())
}
