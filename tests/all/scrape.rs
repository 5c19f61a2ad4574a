//! Asking the admin endpoint, as a scraper and a probe do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prometheus_parse::{Scrape, Value as Measured};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::{PATIENCE, Running};

/// Any free port of the loopback address.
pub const HERE: &str = "127.0.0.1:0";

/// Asks for a path; answers with the status and the body.
pub async fn ask(address: SocketAddr, path: &str, headers: &[&str]) -> Result<(u16, String)> {
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
pub struct Metrics {
    pub text: String,
    scrape: Scrape,
}

pub async fn metrics(address: SocketAddr) -> Result<Metrics> {
    let (status, text) = ask(address, "/metrics", &[]).await?;
    ensure!(status == 200, "{status} {text}");
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?;
    Ok(Metrics { text, scrape })
}

impl Metrics {
    /// The sum of the samples with these labels among their own; `None` if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
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
pub async fn until_metrics(
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

/// Whether the backfill and so many changes have come to their end.
pub fn is_done(status: &Value, changes: u64) -> bool {
    status["phase"] == "live"
        && status["live"]["received"] == changes
        && status["live"]["pending"] == 0
}
