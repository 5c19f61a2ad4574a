//! What exports have used: the numbers are right, belong to whom they belong, and outlive a restart.

use anyhow::{Context, Result, ensure};
use retention_science_simulator::ClockMode;
use serde_json::{Value, json};

use crate::process::component;
use crate::scrape::{HERE, is_done, metrics, until_metrics};
use crate::world::{Tenant, World, append};

/// A number of the only plugin version that an export has run.
fn used(status: &Value, what: &str) -> u64 {
    match status["usage"].as_array().map(Vec::as_slice) {
        Some([usage]) => usage[what].as_u64().unwrap_or_default(),
        _ => 0,
    }
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
        .until_status(&world.sluice, "it costs", |status| {
            status["phase"] == "importing" && staged(status) > 0
        })
        .await?;
    let first = world.sluice.status().await?;
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
