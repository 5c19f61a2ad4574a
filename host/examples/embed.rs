//! sluice inside a Rust pipeline: loads a plugin, hands changes in, awaits their acknowledgement.
//!
//!     cargo xtask plugin
//!     RETENTION_SCIENCE_API_KEY=… cargo run --release --example embed -- \
//!         target/components/retention_science.wasm https://data.retentionscience.com/v3 ./state

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use sluice::export::{Change, Ended, Export};
use sluice::plugin::{Engine, Limits, LoadLimits};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |what: &str| {
        args.next()
            .with_context(|| format!("expected: embed COMPONENT ENDPOINT STATE; {what} is missing"))
    };
    let (component, endpoint) = (PathBuf::from(next("COMPONENT")?), next("ENDPOINT")?);
    let state = PathBuf::from(next("STATE")?);
    let key = std::env::var("RETENTION_SCIENCE_API_KEY")
        .context("RETENTION_SCIENCE_API_KEY is not set")?;

    let plugin = Engine::new()
        .load(&component, &Limits::default(), &LoadLimits::default())
        .await?;
    println!(
        "loaded {} {}",
        plugin.manifest.name, plugin.manifest.version
    );
    let mut builder = Export::builder(plugin, "pipeline", "customers", "id")
        .endpoint(&endpoint)
        .secret("api-key", key)
        .field("id", "record_id")
        .field("email", "email")
        .field("first", "full_name")
        .field("last", "full_name")
        .option("import_type", "pipeline");
    if endpoint.starts_with("http://127.0.0.1") {
        builder = builder.allow_http().allow_addresses("127.0.0.0/8");
    }
    let export = builder.start(&state).await?;

    let receipt = export
        .append(vec![
            Change::enter(
                json!({"id": 1, "email": "ada@example.com", "first": "Ada", "last": "Lovelace"}),
            ),
            Change::enter(
                json!({"id": 2, "email": "alan@example.com", "first": "Alan", "last": "Turing"}),
            ),
            Change::update(json!({"id": 1, "email": "ada@example.org"})),
        ])
        .await?;
    println!("accepted: on disk, whatever happens now");

    export.settled(&receipt).await?;
    let counts = export.ledger().await?.counts.live;
    println!(
        "acknowledged: {} delivered, {} superseded, {} in quarantine",
        counts.delivered, counts.superseded, counts.quarantined
    );
    match export.stop().await {
        Ended::Stopped => Ok(()),
        Ended::Failed(error) => Err(error.into()),
    }
}
