//! Progress bars: one line for each export, showing what it does right now.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sluice::export::{Meters, Snapshot, State};
use tokio_util::sync::CancellationToken;

/// How often a line is drawn: often enough to look alive.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws until `done`.
pub async fn draw(
    bars: MultiProgress,
    exports: Vec<(String, Arc<Meters>)>,
    done: CancellationToken,
) {
    let lines: Vec<_> = exports
        .into_iter()
        .map(|(name, meters)| {
            let bar = bars.add(ProgressBar::new(1));
            bar.set_prefix(name);
            (bar, meters)
        })
        .collect();
    loop {
        for (bar, meters) in &lines {
            update(bar, &meters.snapshot());
        }
        tokio::select! {
            () = done.cancelled() => break,
            () = tokio::time::sleep(REDRAW) => {}
        }
    }
    for (bar, meters) in &lines {
        update(bar, &meters.snapshot());
        bar.abandon();
    }
}

fn update(bar: &ProgressBar, now: &Snapshot) {
    let (template, (done, total), message) = match &now.state {
        None => ("{prefix} starting", (0, 1), String::new()),
        Some(State::Scanning) => {
            let message = format!("{} members", now.scan_rows);
            (
                "{prefix} scan    {wide_bar} {bytes}/{total_bytes} {msg} {eta}",
                now.scan,
                message,
            )
        }
        Some(State::Sealing) => (
            "{prefix} completing the staged files",
            (0, 1),
            String::new(),
        ),
        Some(State::Submitting { .. }) => (
            "{prefix} upload  {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            now.upload,
            String::new(),
        ),
        Some(State::Importing { .. }) => (
            "{prefix} import  {wide_bar} {pos}/{len} rows {msg}",
            now.import,
            now.message.clone(),
        ),
        Some(State::CatchingUp { .. }) => (
            "{prefix} catching up: {msg}",
            (0, 1),
            format!("{} sent", now.delivered),
        ),
        Some(State::Live) => (
            "{prefix} live: {msg}",
            (0, 1),
            format!("{} sent", now.delivered),
        ),
        Some(State::Parked { reason, .. }) => {
            ("{prefix} parked: {msg}", (0, 1), reason.to_string())
        }
    };
    // First the words, then the frame: each of these draws.
    bar.set_message(message);
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_length(total.max(1));
    bar.set_position(done);
}
