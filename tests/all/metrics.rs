//! What exports have used, and the admin endpoint: the numbers are right, belong to whom they belong,
//! outlive a restart, and are shown to nobody else; whoever asks slowly holds nothing up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use prometheus_parse::{Scrape, Value as Measured};
use retention_science_simulator::ClockMode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::process::{PATIENCE, Running, component};
use crate::world::{KEY, Tenant, World, append};

/// Any free port of the loopback address.
const HERE: &str = "127.0.0.1:0";

const TOKEN: &str = "numbat-4711-canary-token";

/// Asks for a path; answers with the status and the body.
async fn ask(address: SocketAddr, path: &str, headers: &[&str]) -> Result<(u16, String)> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
    headers
        .iter()
        .for_each(|header| request += &format!("{header}\r\n"));
    request += "\r\n";
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, anyhow::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, answer).await??;
    let status = answer.split(' ').nth(1).context("no answer")?.parse()?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    Ok((status, body.context("no body")?))
}

/// Metrics of a moment.
struct Metrics {
    text: String,
    scrape: Scrape,
}

async fn metrics(address: SocketAddr) -> Result<Metrics> {
    let (status, text) = ask(address, "/metrics", &[]).await?;
    ensure!(status == 200, "{status} {text}");
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    Ok(Metrics { text, scrape })
}

impl Metrics {
    /// The sum of the samples with these labels among their own; `None` if there is none.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.scrape.samples.iter().filter(|sample| {
            let has = |(name, value): &(&str, &str)| sample.labels.get(name) == Some(value);
            sample.metric == name && labels.iter().all(has)
        });
        let values = found.map(|sample| match sample.value {
            Measured::Counter(n) | Measured::Gauge(n) | Measured::Untyped(n) => n,
            _ => f64::NAN,
        });
        values.reduce(|one, other| one + other)
    }
}

/// Waits until the metrics show what is wanted.
async fn until_metrics(
    running: &mut Running,
    address: SocketAddr,
    what: &str,
    mut holds: impl FnMut(&Metrics) -> bool,
) -> Result<()> {
    let look = async {
        loop {
            if metrics(address).await.is_ok_and(|metrics| holds(&metrics)) {
                return;
            }
            // They are made anew once a second.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    running.until(what, look).await
}

/// A number of the only plugin version that an export has run.
fn used(status: &Value, what: &str) -> u64 {
    match status["usage"].as_array().map(Vec::as_slice) {
        Some([usage]) => usage[what].as_u64().unwrap_or_default(),
        _ => 0,
    }
}

fn is_done(status: &Value, changes: u64) -> bool {
    status["phase"] == "live"
        && status["live"]["received"] == changes
        && status["live"]["pending"] == 0
}

#[tokio::test]
async fn the_numbers_of_a_run_are_what_the_destination_has_seen() -> Result<()> {
    let mut world = World::new(200, 301).await?;
    world.append(0..40)?;
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    running
        .until_status(&world.sluice, "all is done", |status| is_done(status, 40))
        .await?;
    let requests = world.simulator.requests().len() as f64;
    until_metrics(&mut running, address, "all is counted", |metrics| {
        metrics.sum("sluice_requests_total", &[]) == Some(requests)
    })
    .await?;

    let metrics = metrics(address).await?;
    let status = world.sluice.status().await?;
    let of_live = |outcome| {
        metrics.sum(
            "sluice_rows_total",
            &[("phase", "live"), ("outcome", outcome)],
        )
    };
    for outcome in ["received", "delivered", "superseded"] {
        ensure!(
            of_live(outcome) == status["live"][outcome].as_f64(),
            "{outcome}\n{}",
            metrics.text
        );
    }
    for (name, labels, wanted) in [
        ("sluice_export_phase", [("phase", "live")], 1.0),
        ("sluice_export_phase", [("phase", "scanning")], 0.0),
        ("sluice_export_up", [("tenant", "test")], 1.0),
        ("sluice_rows_pending", [("phase", "live")], 0.0),
        ("sluice_lag_seconds", [("export", "everyone")], 0.0),
        (
            "sluice_limits_reached_total",
            [("plugin", "retention-science")],
            0.0,
        ),
        (
            "sluice_requests_denied_total",
            [("plugin_version", "0.1.0")],
            0.0,
        ),
    ] {
        ensure!(
            metrics.sum(name, &labels) == Some(wanted),
            "{name}\n{}",
            metrics.text
        );
    }
    for name in [
        "sluice_plugin_cpu_seconds_total",
        "sluice_host_cpu_seconds_total",
        "sluice_plugin_calls_total",
        "sluice_received_bytes_total",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        ensure!(
            metrics.sum(name, &[]) > Some(0.0),
            "{name}\n{}",
            metrics.text
        );
    }
    let peak = metrics.sum("sluice_plugin_peak_memory_bytes", &[]);
    ensure!(
        peak > Some(65_536.0) && peak <= Some(64.0 * 1048576.0),
        "{peak:?}"
    );
    let cpu = metrics.sum("process_cpu_seconds_total", &[]);
    let parts = [
        "sluice_plugin_cpu_seconds_total",
        "sluice_host_cpu_seconds_total",
    ];
    let parts: f64 = parts.iter().filter_map(|name| metrics.sum(name, &[])).sum();
    ensure!(Some(parts) <= cpu, "{parts} of {cpu:?}");

    // After the end `status` has the same, and whatever came last.
    ensure!(running.terminate().await?.code == Some(0));
    let status = world.sluice.status().await?;
    ensure!(
        used(&status, "requests") == world.simulator.requests().len() as u64,
        "{status:#}"
    );
    ensure!(
        used(&status, "guest_cpu_ms") > 0 && used(&status, "host_cpu_ms") > 0,
        "{status:#}"
    );
    let table = world.sluice.call(&["status", "--usage"]).await?;
    ensure!(
        table.code == Some(0) && table.stdout.contains("retention-science 0.1.0"),
        "{table:?}"
    );
    Ok(())
}

#[tokio::test]
async fn two_runs_over_the_same_data_send_the_same_bytes() -> Result<()> {
    let mut sent = vec![];
    for _ in 0..2 {
        let mut world = World::new(120, 302).await?;
        world.append(0..30)?;
        world.finish().await?;
        let status = world.sluice.status().await?;
        let rows = status["backfill"]["delivered"].as_u64().unwrap_or_default();
        let bytes = used(&status, "bytes_out");
        // A row has an address and a few values at least.
        ensure!(bytes > rows * 20 && bytes < 1 << 20, "{status:#}");
        sent.push(bytes);
    }
    ensure!(sent[0] == sent[1], "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn staged_files_cost_for_as_long_as_they_lie_also_across_a_kill() -> Result<()> {
    let world = World::new(400, 303).await?;
    world.simulator.set_clock(ClockMode::Manual);
    let delay = json!({"queue_delay_ms": 60_000});
    world.simulator.patch_config(&delay)?;
    let staged = |status: &Value| used(status, "staged_byte_seconds");
    let mut running = world.start(&[])?;
    running
        .until_status(&world.sluice, "it costs", |status| staged(status) > 0)
        .await?;
    let first = world.sluice.status().await?;
    ensure!(first["phase"] == "importing", "{first:#}");
    running
        .until_status(&world.sluice, "it grows", |status| {
            staged(status) > staged(&first)
        })
        .await?;
    let before = world.sluice.status().await?;
    running.kill().await?;

    // What was kept is kept, and the file has lain there all the time.
    let mut running = world.start(&["--admin", HERE])?;
    let address = running.admin().await?;
    let least = staged(&before) as f64;
    until_metrics(&mut running, address, "it is known again", |metrics| {
        metrics
            .sum("sluice_staged_byte_seconds_total", &[])
            .is_some()
    })
    .await?;
    let shown = metrics(address)
        .await?
        .sum("sluice_staged_byte_seconds_total", &[]);
    ensure!(shown >= Some(least), "{shown:?}, and {least} before");
    running
        .until_status(&world.sluice, "it goes on", |status| {
            staged(status) > staged(&before)
        })
        .await?;
    world.simulator.advance(60_000).await;
    running
        .until_status(&world.sluice, "it is imported", |status| {
            status["phase"] == "live"
        })
        .await?;
    ensure!(running.terminate().await?.code == Some(0));
    let status = world.sluice.status().await?;
    // The file was sent once, by the process that was killed.
    let sent = used(&status, "bytes_out");
    ensure!(sent > 0 && sent == used(&before, "bytes_out"), "{status:#}");
    for what in ["calls", "requests", "staged_byte_seconds"] {
        ensure!(
            used(&status, what) > used(&before, what),
            "{what}: {status:#}"
        );
    }
    // Nothing lies there any more.
    let after = world.sluice.status().await?;
    world.finish().await?;
    let last = world.sluice.status().await?;
    ensure!(staged(&last) == staged(&after), "{last:#}");
    Ok(())
}

/// The tenant `name` with a plugin that does what its members and changes say.
fn probe(
    sluice_folder: &std::path::Path,
    name: &str,
    endpoint: &str,
    deeds: &[&str],
) -> Result<()> {
    let limits = "lanes = 1\n[exports.everyone.limits]\ncpu_ms = 1000\nmemory_mib = 16\n";
    let tenant = Tenant {
        plugin: component()
            .with_file_name("sluice_probe.wasm")
            .display()
            .to_string(),
        members: None,
        changes: Some(format!("{{ file = \"{name}.ndjson\" }}")),
        fields: vec![("what".to_owned(), "what".to_owned())],
        options: String::new(),
        tuning: limits.to_owned(),
        ..Tenant::new(endpoint)
    };
    let changes: Vec<_> = deeds
        .iter()
        .enumerate()
        .map(|(id, what)| {
            json!({"change": "update", "user": {"user_id": id, "what": what}}).to_string()
        })
        .collect();
    append(&sluice_folder.join(format!("{name}.ndjson")), &changes)?;
    std::fs::write(sluice_folder.join(format!("{name}.toml")), tenant.text())?;
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_burns_pays_for_itself_and_its_neighbour_does_not() -> Result<()> {
    let mut world = World::new(60, 304).await?;
    world.append(0..20)?;
    let deeds = ["loop", "good", "memory", "path", "credential"];
    probe(
        world.folder.path(),
        "hostile",
        &world.simulator.url(),
        &deeds,
    )?;
    let ended = world.run(&["--until-idle"]).await?;
    ensure!(ended.code == Some(7), "{ended:?}");
    let all = world.sluice.statuses().await?;
    let of = |name: &str| {
        let found = all.iter().find(|status| status["export"] == name);
        found.with_context(|| format!("{name} is not there"))
    };
    let (hostile, good) = (of("hostile/everyone")?, of("test/everyone")?);
    world.prove_by(good)?;
    // The loop alone has taken what its limit allows.
    ensure!(used(hostile, "guest_cpu_ms") >= 1000, "{hostile:#}");
    ensure!(
        used(good, "guest_cpu_ms") < used(hostile, "guest_cpu_ms"),
        "{good:#} {hostile:#}"
    );
    let reached = |status: &Value, key: &str| status["usage"][0]["limits_reached"][key].as_u64();
    ensure!(reached(hostile, "cpu_ms") >= Some(1), "{hostile:#}");
    ensure!(reached(hostile, "memory_mib") >= Some(1), "{hostile:#}");
    ensure!(
        used(hostile, "peak_memory_bytes") <= 16 << 20,
        "{hostile:#}"
    );
    let denied = &hostile["usage"][0]["denied"];
    ensure!(
        denied["route"].as_u64() >= Some(1) && denied["header"].as_u64() >= Some(1),
        "{denied}"
    );
    ensure!(used(hostile, "requests") == 0, "{hostile:#}");
    // The neighbour has paid for its own, and for nothing else.
    let empty = json!({});
    let neighbour = &good["usage"][0];
    ensure!(
        neighbour["limits_reached"] == empty && neighbour["denied"] == empty,
        "{good:#}"
    );
    ensure!(
        used(good, "requests") == world.simulator.requests().len() as u64,
        "{good:#}"
    );
    Ok(())
}

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
    match ask(address, "/metrics", &[&endless]).await {
        Ok((status, _)) => ensure!((400..500).contains(&status), "{status}"),
        Err(_) => {}
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

/// README lists every metric, and no other.
#[tokio::test]
async fn every_metric_is_in_readme() -> Result<()> {
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
    let readme = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme)?;
    let names = readme.split('`').skip(1).step_by(2);
    let told: Vec<_> = names
        .map(|name| name.split('{').next().unwrap_or_default())
        .filter(|name| name.starts_with("sluice_") || name.starts_with("process_"))
        .collect();
    for name in shown.keys() {
        ensure!(told.contains(name), "README does not tell of {name}");
    }
    for name in told {
        ensure!(
            shown.contains_key(name),
            "README tells of {name}, and there is none"
        );
    }
    if shown.len() < 25 {
        bail!("{shown:?}");
    }
    Ok(())
}
