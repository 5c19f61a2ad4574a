//! The admin endpoint: health, readiness and metrics for whoever may see them, nothing secret in these,
//! and nobody who asks slowly holds anything up.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{PATIENCE, Running};
use crate::scrape::{HERE, ask, is_done, metrics, until_metrics};
use crate::world::{KEY, World};

const TOKEN: &str = "numbat-4711-canary-token";

#[tokio::test]
async fn metrics_show_no_key_no_token_and_no_member() -> Result<()> {
    let member = |id: &str, email: &str| {
        json!({"user_id": id, "email": email, "first_name": "Quokkaname", "credits": "wombat-17"})
            .to_string()
    };
    let members = [
        member("canary-1", "canary@example.com"),
        member("canary-2", "no address"),
    ];
    let change = json!({"change": "update", "user": {"user_id": "canary-3", "email": "also none"}});
    let mut world = World::of(&members, &[change.to_string()]).await?;
    world
        .sluice
        .environment
        .push(("SLUICE_ADMIN_TOKEN", TOKEN.to_owned()));
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    running
        .until_status(&world.sluice, "all is done", |status| is_done(status, 1))
        .await?;
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let (status, text) = ask(address, "/metrics", &[&bearer]).await?;
    ensure!(
        status == 200 && text.contains("sluice_rows_quarantined"),
        "{status} {text}"
    );
    let said = running.said();
    for canary in [
        KEY,
        TOKEN,
        "canary",
        "Quokkaname",
        "wombat-17",
        "example.com",
        "no address",
    ] {
        ensure!(
            !text.contains(canary),
            "{canary} is in the metrics:\n{text}"
        );
    }
    ensure!(!said.contains(TOKEN), "the token was logged: {said}");
    Ok(())
}

#[tokio::test]
async fn health_is_open_and_metrics_need_the_token_where_there_is_one() -> Result<()> {
    let world = World::new(20, 305).await?;
    let file = world.path("token");
    std::fs::write(&file, format!("{TOKEN}\n"))?;
    let with_file = ["--admin", HERE, "--admin-token-file", "token"];
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let ended = world.run(&with_file).await?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("chmod 600"),
        "{ended:?}"
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    let mut running = world.start(&with_file)?;
    let address = running.admin().await?;
    let live = |status: &Value| status["phase"] == "live";
    running
        .until_status(&world.sluice, "it is live", live)
        .await?;
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let with = |header| vec![header];
    for (path, headers, wanted, says) in [
        ("/healthz", vec![], 200, "ok"),
        ("/readyz", vec![], 200, "running"),
        ("/readyz", with(bearer.as_str()), 200, "\"ready\":true"),
        ("/metrics", vec![], 401, "Authorization: Bearer"),
        (
            "/metrics",
            with("Authorization: Bearer wrong"),
            401,
            "Bearer",
        ),
        ("/metrics", with(bearer.as_str()), 200, "sluice_export_up"),
        ("/", vec![], 404, "/metrics"),
    ] {
        let (status, body) = ask(address, path, &headers).await?;
        ensure!(
            status == wanted && body.contains(says),
            "{path}: {status} {body}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_a_token() -> Result<()> {
    let mut world = World::new(10, 306).await?;
    for address in ["0.0.0.0:0", "[::]:0"] {
        let ended = world.run(&["--admin", address, "--until-idle"]).await?;
        ensure!(ended.code == Some(2), "{ended:?}");
        ensure!(ended.stderr.contains("--admin-token-file"), "{ended:?}");
    }
    let ended = world.run(&["--admin", "everywhere"]).await?;
    ensure!(ended.code == Some(2), "{ended:?}");
    ensure!(!world.path(".sluice").exists(), "something was started");
    world
        .sluice
        .environment
        .push(("SLUICE_ADMIN_TOKEN", TOKEN.to_owned()));
    let ended = world.run(&["--admin", "0.0.0.0:0", "--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    world.sluice.environment.pop();
    world
        .sluice
        .environment
        .push(("SLUICE_ADMIN_TOKEN", "short".to_owned()));
    let ended = world.run(&["--admin", HERE, "--until-idle"]).await?;
    ensure!(
        ended.code == Some(1) && ended.stderr.contains("openssl rand"),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_if_it_was_asked_for_and_else_a_warning() -> Result<()> {
    let mut world = World::new(10, 307).await?;
    let other = TcpListener::bind(HERE).await?;
    let taken = other.local_addr()?.to_string();
    let ended = world.run(&["--admin", &taken, "--until-idle"]).await?;
    ensure!(ended.code == Some(1), "{ended:?}");
    for says in [taken.as_str(), "--admin off"] {
        ensure!(ended.stderr.contains(says), "{ended:?}");
    }
    ensure!(!world.path(".sluice").exists(), "something was started");

    // Whether we hold the usual one or somebody else on this machine does: it is held.
    let _held = TcpListener::bind(sluice::admin::DEFAULT).await;
    world.sluice.environment.clear();
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(world.good_end()), "{ended:?}");
    ensure!(
        ended.stderr.contains("no metrics and no health"),
        "{ended:?}"
    );
    Ok(())
}

#[tokio::test]
async fn clients_that_are_slow_keep_nobody_out() -> Result<()> {
    let world = World::new(10, 308).await?;
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    let mut held = vec![];
    for beginning in ["", "G", "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        for _ in 0..40 {
            let mut stream = TcpStream::connect(address).await?;
            // An early one may be cut off by now, which is the point.
            let _ = stream.write_all(beginning.as_bytes()).await;
            held.push(stream);
        }
        let (status, _) = ask(address, "/healthz", &[]).await?;
        ensure!(status == 200, "{status}");
        metrics(address).await?;
    }
    // Headers without end are no request.
    let endless = format!("X-Large: {}", "x".repeat(1 << 20));
    if let Ok((status, _)) = ask(address, "/metrics", &[&endless]).await {
        ensure!((400..500).contains(&status), "{status}");
    }
    // A body is not waited for.
    let mut stream = TcpStream::connect(address).await?;
    let post =
        format!("POST /metrics HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000000\r\n\r\n");
    stream.write_all(post.as_bytes()).await?;
    let mut answer = vec![0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await??;
    ensure!(
        answer == b"HTTP/1.1 405",
        "{}",
        String::from_utf8_lossy(&answer)
    );
    drop(held);
    running
        .until_status(&world.sluice, "it is live all the same", |status| {
            status["phase"] == "live"
        })
        .await?;
    ensure!(running.terminate().await?.code == Some(0));
    Ok(())
}

#[tokio::test]
async fn a_parked_export_is_named_and_one_that_has_failed_makes_the_process_unready() -> Result<()>
{
    let mut world = World::new(10, 309).await?;
    world.append(0..5)?;
    let folder = world.folder.path();
    // A second tenant whose key is refused.
    let refused = world
        .tenant
        .text()
        .replace("{ env = \"TEST_API_KEY\" }", "{ value = \"not-the-key\" }");
    std::fs::write(folder.join("refused.toml"), refused)?;
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    let ready = async |running: &mut Running, what: &str, wanted: u16, says: &str| {
        let look = async {
            while !ask(address, "/readyz", &[])
                .await
                .is_ok_and(|(status, body)| status == wanted && body.contains(says))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        running.until(what, look).await
    };
    ready(
        &mut running,
        "it is parked",
        200,
        "\"parked\":[\"refused/everyone\"]",
    )
    .await?;
    until_metrics(&mut running, address, "it is parked", |metrics| {
        let why = [("tenant", "refused"), ("why", "unauthorized")];
        metrics.sum("sluice_export_parked", &why) == Some(1.0)
            && metrics.sum("sluice_export_parked", &[("tenant", "test")]) == Some(0.0)
    })
    .await?;

    // Somebody holds the other one's database for longer than anybody waits.
    let database = world.path(".sluice/test/everyone/export.db");
    let connection = rusqlite::Connection::open(database)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    world.append(5..10)?;
    ready(
        &mut running,
        "it has failed",
        503,
        "\"failed\":[\"test/everyone\"]",
    )
    .await?;
    until_metrics(&mut running, address, "it has failed", |metrics| {
        metrics.sum("sluice_export_up", &[("tenant", "test")]) == Some(0.0)
            && metrics.sum("sluice_export_up", &[("tenant", "refused")]) == Some(1.0)
    })
    .await?;
    let (status, _) = ask(address, "/healthz", &[]).await?;
    ensure!(status == 200, "the process lives");
    Ok(())
}

/// The operator's page lists every metric, and no other.
#[tokio::test]
async fn every_metric_is_in_the_operators_page() -> Result<()> {
    let world = World::new(5, 310).await?;
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    until_metrics(&mut running, address, "all are there", |metrics| {
        metrics.sum("sluice_requests_total", &[]) > Some(0.0)
    })
    .await?;
    let shown = metrics(address).await?.text;
    let shown: HashMap<_, _> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operation.md");
    let page = std::fs::read_to_string(page)?;
    let names = page.split('`').skip(1).step_by(2);
    let told: Vec<_> = names
        .map(|name| name.split('{').next().unwrap_or_default())
        .filter(|name| name.starts_with("sluice_") || name.starts_with("process_"))
        .collect();
    for name in shown.keys() {
        ensure!(
            told.contains(name),
            "docs/operation.md does not tell of {name}"
        );
    }
    for name in told {
        ensure!(
            shown.contains_key(name),
            "docs/operation.md tells of {name}, and there is none"
        );
    }
    ensure!(shown.len() > 20, "{shown:?}");
    Ok(())
}
