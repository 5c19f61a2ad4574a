//! How much the simulated account takes: `throughput [rows of the import] [upserts]`.

use std::fmt::Write;
use std::time::Instant;

use reqwest::Client;
use reqwest::multipart::{Form, Part};
use retention_science_simulator::{Config, Simulator};
use serde_json::{Value, json};

/// Requests in flight at once.
const IN_FLIGHT: usize = 16;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let rows = numbers.next().unwrap_or(Ok(200_000))?;
    let upserts = numbers.next().unwrap_or(Ok(20_000))?;
    let sim = Simulator::start(Config::default()).await?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new();
    let post = |path: &str| {
        client
            .post(format!("{}{path}", sim.url()))
            .header("Authorization", "ApiKey demo-key")
    };

    let mut csv = String::from("record_id,email,full_name,address1,city,country,birthday\n");
    for row in 0..rows {
        writeln!(
            csv,
            "u{row:07},user{row}@example.com,Ann Berg,\"{row} Main St, Flat 2\",Bonn,DE,1990-01-01"
        )?;
    }
    let megabytes = csv.len() / 1_000_000;
    let form = Form::new()
        .text("import_type", "demo")
        .part("users", Part::text(csv).file_name("users.csv"));
    let start = Instant::now();
    post("/import_jobs")
        .multipart(form)
        .send()
        .await?
        .error_for_status()?;
    println!(
        "uploaded {rows} rows, {megabytes} MB: {:?}",
        start.elapsed()
    );
    let start = Instant::now();
    sim.settled().await;
    println!(
        "took them: {:?}, users {}",
        start.elapsed(),
        sim.counts().users
    );

    let user = |n: usize| -> Value {
        json!({"record_id": format!("u{n:07}"), "email": format!("USER{n}@example.com"),
            "city": "Rome", "zip": "1", "send_transactional_welcome": false})
    };
    let start = Instant::now();
    let lanes = (0..IN_FLIGHT).map(|lane| {
        let post = &post;
        async move {
            for n in (lane..upserts).step_by(IN_FLIGHT) {
                let response = post("/users")
                    .header("Content-Type", "application/json")
                    .body(user(n).to_string())
                    .send()
                    .await?;
                response.error_for_status()?.bytes().await?;
            }
            anyhow::Ok(())
        }
    });
    for done in futures_util::future::join_all(lanes).await {
        done?;
    }
    let each_second = upserts as f64 / start.elapsed().as_secs_f64();
    println!("{upserts} upserts: {each_second:.0} a second, client included");
    Ok(())
}
