//! The simulated account as a program.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context;
use clap::Parser;
use retention_science_simulator::{AttributeType, Config, Definition, Simulator};

/// Simulates a Retention Science account: nothing leaves this machine, users live in memory.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// 0 takes a free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What requests must carry as `Authorization: ApiKey <key>`.
    #[arg(long, default_value = "demo-key")]
    key: String,
    /// Import configurations that exist; none given: any name will do.
    #[arg(long = "import-type")]
    import_types: Vec<String>,
    /// How long an import job waits before its processing begins.
    #[arg(long, default_value_t = 500)]
    queue_delay_ms: u64,
    /// How long the processing takes; rows take effect at its end.
    #[arg(long, default_value_t = 1_500)]
    processing_delay_ms: u64,
    /// A custom attribute, like `resci.vip:boolean` (string, number, boolean, date).
    #[arg(long = "attribute", value_parser = attribute)]
    attributes: Vec<Definition>,
    /// A JSON file with further settings, as `GET /__sim/config` shows them.
    #[arg(long)]
    config: Option<std::path::PathBuf>,
}

fn attribute(text: &str) -> Result<Definition, String> {
    let (name, kind) = text.split_once(':').ok_or("write group.name:type")?;
    let (group, name) = name.split_once('.').ok_or("write group.name:type")?;
    Ok(Definition::new(group, name, kind.parse::<AttributeType>()?))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut config = Config {
        api_key: arguments.key,
        import_types: arguments.import_types,
        queue_delay_ms: arguments.queue_delay_ms,
        processing_delay_ms: arguments.processing_delay_ms,
        attributes: arguments.attributes,
        ..Config::default()
    };
    if let Some(path) = arguments.config {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        config = config.patched(&serde_json::from_str(&text)?)?;
    }
    let address = SocketAddr::new(arguments.address, arguments.port);
    let simulator = Simulator::start_on(address, config).await?;
    let mut out = std::io::stdout();
    writeln!(out, "listening on {}", simulator.url())?;
    writeln!(out, "controls at {}", simulator.base())?;
    // Whoever started this may wait for the line through a pipe.
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    simulator.stop().await;
    Ok(())
}
