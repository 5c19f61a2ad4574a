//! `sluice plugin test`: our own plugins pass, and for every rule there is a plugin that is caught by it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Sluice, component};

/// What the program says of a component that it is asked to test.
async fn tested(file: &str, more: &[&str]) -> Result<(Option<i32>, Value)> {
    let folder = tempfile::tempdir()?;
    let sluice = Sluice::new(folder.path(), "");
    let file = component().with_file_name(file);
    let path = file.to_str().context("a path in UTF-8")?;
    let args = [&["plugin", "test", path, "--json"], more].concat();
    let ended = sluice.call(&args).await?;
    let report = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
    Ok((ended.code, report))
}

/// The rules with this outcome, with what was seen.
fn rules(report: &Value, outcome: &str) -> Vec<String> {
    let rules = report["rules"].as_array().into_iter().flatten();
    rules
        .filter(|rule| rule["outcome"] == outcome)
        .map(|rule| format!("{}: {}", rule["rule"], rule["seen"]))
        .collect()
}

#[tokio::test]
async fn our_own_exporters_keep_every_rule() -> Result<()> {
    for (file, skipped) in [("webhook.wasm", 0), ("retention_science.wasm", 0)] {
        for seed in ["1", "2"] {
            let (code, report) = tested(file, &["--seed", seed]).await?;
            let broken = rules(&report, "failed");
            ensure!(broken.is_empty(), "{file}: {broken:#?}");
            ensure!(code == Some(0) && report["passed"] == true, "{report:#}");
            let passed_over = rules(&report, "skipped");
            ensure!(passed_over.len() <= skipped, "{file}: {passed_over:#?}");
        }
    }
    Ok(())
}
