//! `sluice preview`: what an export would send.

use std::sync::Arc;

use sluice::capability::{Http, LogSink, StagedFile};
use sluice::deploy::Deployed;
use sluice::plugin::types::{Body, Content, File, Request};
use sluice::plugin::{CallError, Grant};

use super::args::PreviewArgs;
use super::exit::Exit;
use super::mask::{mask, shown};
use super::{logs, select};

pub async fn preview(args: PreviewArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    let deployed = match select::prepared(&args.place, &args.export).await {
        Ok(deployed) => deployed,
        Err(exit) => return Ok(exit),
    };
    let masked = |text: &str| {
        if args.reveal {
            text.to_owned()
        } else {
            mask(text)
        }
    };
    if deployed.spec.members.is_none() {
        println!(
            "This export has no members file, so there is no backfill and nothing to preview."
        );
        return Ok(Exit::Fine);
    }
    let sample = deployed.sample(u64::from(args.rows))?;
    let header = deployed.stage(&sample.nothing(), 0).await?;
    let header = String::from_utf8_lossy(&header.bytes).into_owned();
    println!(
        "Staged file, first {} members of {}",
        args.rows, sample.source
    );
    print!("  {header}");
    let mut refused: Vec<String> = sample.bad.clone();
    let mut bytes = header.len();
    let mut accepted = 0;
    if !sample.rows.is_empty() {
        let staged = deployed
            .stage(&sample.rows, header.len().max(1) as u64)
            .await?;
        bytes += staged.bytes.len();
        accepted = staged.ends.len() - staged.rejected.len();
        for line in masked(&String::from_utf8_lossy(&staged.bytes)).lines() {
            println!("  {line}");
        }
        for rejection in &staged.rejected {
            let line = sample.lines[rejection.row as usize];
            refused.push(format!("{}:{line}: {}", sample.source, rejection.reason));
        }
    }
    for reason in &refused {
        println!("  would go to quarantine: {reason}");
    }
    let file = File {
        id: "preview".to_owned(),
        bytes: bytes as u64,
        rows: accepted as u64,
        number: 1,
        created_at: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        extra: vec![],
    };
    println!("\nRequest that would start the import job");
    requests(&deployed, Some(file), &sample, args.reveal).await?;
    if deployed.spec.changes.is_some() && !sample.rows.is_empty() {
        println!("\nRequests that an update of the same members would cause");
        requests(&deployed, None, &sample, args.reveal).await?;
    }
    println!("\nNothing was sent.");
    if !args.reveal {
        println!("Values are masked: letters as x, digits as 0. --reveal shows them.");
    }
    Ok(Exit::Fine)
}

/// Lets the plugin make its requests, and shows what it asked for.
async fn requests(
    deployed: &Deployed,
    file: Option<File>,
    sample: &sluice::deploy::Sample,
    reveal: bool,
) -> anyhow::Result<()> {
    let recorder = deployed.recorder();
    let staged = file.as_ref().map(|file| StagedFile {
        id: file.id.clone(),
        path: "preview".into(),
        bytes: file.bytes,
        sent: Arc::default(),
    });
    let log = LogSink::new(&deployed.spec.name(), &deployed.spec.limits);
    let grant = Grant {
        http: Http::Recorder(recorder.clone()),
        state: deployed.memory()?,
        staged,
        ..Grant::none(log)
    };
    let session = deployed.open(grant).await?;
    // Only what it asked for matters; its answer is about requests that were never made.
    let answer = match &file {
        Some(file) => session.submit(file).await.map(drop),
        None => session.deliver(&sample.updates()).await.map(drop),
    };
    for (request, verdict) in recorder.take() {
        show(&request, verdict, file.as_ref(), reveal);
    }
    match answer {
        Ok(()) | Err(CallError::Problem(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn show(request: &Request, verdict: Result<String, String>, file: Option<&File>, reveal: bool) {
    match verdict {
        Ok(url) => println!("  {} {url}", request.method),
        Err(reason) => println!("  {} denied by the gate: {reason}", request.method),
    }
    for (name, value) in &request.headers {
        println!("    {name}: {value}");
    }
    match &request.body {
        Body::None => {}
        Body::Bytes(bytes) => println!("    {}", body(bytes, reveal)),
        Body::Multipart(parts) => {
            for part in parts {
                let name = part
                    .file_name
                    .as_ref()
                    .map_or(String::new(), |n| format!(" file {n}"));
                let kind = part
                    .content_type
                    .as_ref()
                    .map_or(String::new(), |t| format!(" ({t})"));
                match &part.content {
                    // The host hands no member's data to `submit`: these are settings.
                    Content::Bytes(bytes) => {
                        println!(
                            "    part {}{name}{kind}: {}",
                            part.name,
                            String::from_utf8_lossy(bytes)
                        );
                    }
                    Content::Staged(_) => {
                        let rows = file.map_or(0, |file| file.rows);
                        println!(
                            "    part {}{name}{kind}: the staged file ({rows} rows of this preview)",
                            part.name
                        );
                    }
                }
            }
        }
    }
}

fn body(bytes: &[u8], reveal: bool) -> String {
    shown(&String::from_utf8_lossy(bytes), reveal)
}
