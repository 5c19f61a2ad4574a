//! Import jobs: waiting on the simulated clock, then taking their files, one job after the other.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Sim;
use crate::account::{Manner, Source};
use crate::config::Config;
use crate::faults::JobFault;
use crate::import::{Import, RowError, Taken};
use crate::upload::{FilePart, Upload};

#[derive(Debug, Default)]
pub(crate) struct Jobs {
    all: Mutex<BTreeMap<u64, Job>>,
    /// Goes on after a reset, so that a job of before can never be taken for one of after.
    last_id: AtomicU64,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Job {
    submitted_ms: u64,
    due_ms: u64,
    state: State,
    fault: Option<JobFault>,
    files: Vec<Value>,
    fields: BTreeMap<String, String>,
    rows: u64,
    refused: u64,
    row_errors: Vec<RowError>,
}

#[derive(Debug)]
enum State {
    Queued,
    Processing,
    Succeeded,
    Failed(String),
}

impl Job {
    /// Whether it will not end by itself.
    fn is_lost(&self) -> bool {
        self.fault.is_some_and(JobFault::is_lost)
    }
}

impl State {
    fn is_over(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_))
    }

    fn word<'a>(&self, config: &'a Config) -> &'a str {
        let words = &config.status_words;
        match self {
            Self::Queued => &words.queued,
            Self::Processing => &words.processing,
            Self::Succeeded => &words.succeeded,
            Self::Failed(_) => &words.failed,
        }
    }
}

impl Jobs {
    fn change(&self, id: u64, change: impl FnOnce(&mut Job)) {
        if let Some(job) = crate::lock(&self.all).get_mut(&id) {
            change(job);
        }
        self.changed.send_replace(());
    }

    fn has(&self, id: u64) -> bool {
        crate::lock(&self.all).contains_key(&id)
    }

    fn is_lost(&self, id: u64) -> bool {
        let jobs = crate::lock(&self.all);
        jobs.get(&id).is_some_and(Job::is_lost)
    }

    /// Whether nothing that was submitted before is still to be taken.
    fn is_next(&self, id: u64) -> bool {
        let jobs = crate::lock(&self.all);
        jobs.range(..id)
            .all(|(_, job)| job.state.is_over() || job.is_lost())
    }

    /// Jobs that are stuck or unknown go on, but for those whose file was submitted again later:
    /// their turn was before that one's, and is over.
    pub(crate) fn release(&self, now_ms: u64) {
        let mut later = HashSet::new();
        for job in crate::lock(&self.all).values_mut().rev() {
            let names = || job.files.iter().map(|file| file["file_name"].to_string());
            let again = names().any(|name| later.contains(&name));
            later.extend(names());
            if job.is_lost() && !again {
                job.fault = None;
                job.due_ms = now_ms;
            }
        }
        self.changed.send_replace(());
    }

    /// The status as the vendor answers it; nothing for a job that nobody knows.
    pub(crate) fn answer(&self, id: &str, config: &Config) -> Option<Value> {
        let jobs = crate::lock(&self.all);
        let job = jobs.get(&id.parse().ok()?)?;
        if job.fault == Some(JobFault::Unknown) {
            return None;
        }
        let mut answer = json!({
            "id": id,
            "status": job.state.word(config),
            "rows": job.rows,
            "row_errors": job.row_errors,
        });
        if let State::Failed(reason) = &job.state {
            answer["message"] = json!(reason);
        }
        Some(match &config.job_under {
            Some(key) => json!({ key: answer }),
            None => answer,
        })
    }

    pub(crate) fn list(&self, config: &Config) -> Vec<Value> {
        let jobs = crate::lock(&self.all);
        let show = |(id, job): (&u64, &Job)| {
            json!({
                "id": id.to_string(),
                "status": job.state.word(config),
                "fault": job.fault,
                "submitted_ms": job.submitted_ms,
                "due_ms": job.due_ms,
                "files": job.files,
                "fields": job.fields,
                "rows": job.rows,
                "rows_refused": job.refused,
                "row_errors": job.row_errors,
            })
        };
        jobs.iter().map(show).collect()
    }

    pub(crate) fn clear(&self) {
        crate::lock(&self.all).clear();
        self.changed.send_replace(());
    }

    /// Returns when every job whose time has come is over.
    pub(crate) async fn settled(&self, now_ms: impl Fn() -> u64) {
        self.until(|jobs| {
            let now = now_ms();
            crate::lock(&jobs.all)
                .values()
                .all(|job| job.due_ms > now || job.state.is_over())
        })
        .await;
    }

    /// Returns when the condition holds; it is asked anew after each step of a job.
    pub(crate) async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        while !holds(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

pub(crate) fn describe(part: &FilePart) -> Value {
    json!({
        "entity": part.entity,
        "file_name": part.file_name,
        "content_type": part.content_type,
        "bytes": part.bytes,
        "rows": part.rows,
    })
}

/// Accepts the upload as a job and returns its id. The rest happens on the simulated clock.
pub(crate) fn submit(sim: &Arc<Sim>, config: Arc<Config>, upload: Upload, merge: bool) -> u64 {
    let fault = crate::lock(&sim.faults).next_job();
    let now = sim.clock.now();
    let starts_ms = now + config.queue_delay_ms;
    let mut due_ms = starts_ms + config.processing_delay_ms;
    let mut all = crate::lock(&sim.jobs.all);
    let id = sim.jobs.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    for earlier in all.values().filter(|job| !job.is_lost()) {
        due_ms = due_ms.max(earlier.due_ms);
    }
    let lost = fault.is_some_and(JobFault::is_lost);
    let job = Job {
        submitted_ms: now,
        due_ms: if lost { u64::MAX } else { due_ms },
        state: State::Queued,
        fault,
        files: upload.files.iter().map(describe).collect(),
        fields: upload.fields,
        rows: upload.files.iter().map(|part| part.rows).sum(),
        refused: 0,
        row_errors: Vec::new(),
    };
    all.insert(id, job);
    drop(all);
    let sim = sim.clone();
    let files = upload.files;
    tokio::spawn(async move {
        let mut stopping = sim.stopping.subscribe();
        let run = run(&sim, config, id, files, [starts_ms, due_ms], merge, fault);
        tokio::select! {
            () = run => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    });
    id
}

async fn run(
    sim: &Arc<Sim>,
    config: Arc<Config>,
    id: u64,
    files: Vec<FilePart>,
    [starts_ms, due_ms]: [u64; 2],
    merge: bool,
    fault: Option<JobFault>,
) {
    sim.clock.reached(starts_ms).await;
    sim.jobs.change(id, |job| job.state = State::Processing);
    if fault.is_some_and(JobFault::is_lost) {
        sim.jobs.until(|jobs| !jobs.is_lost(id)).await;
    } else {
        sim.clock.reached(due_ms).await;
    }
    // A file that is submitted twice must not be taken while, or after, the second one is.
    sim.jobs.until(|jobs| jobs.is_next(id)).await;
    if !sim.jobs.has(id) {
        return;
    }
    if fault == Some(JobFault::Failed) {
        let reason = "the import could not be processed".to_owned();
        sim.jobs.change(id, |job| job.state = State::Failed(reason));
        return;
    }
    let worker = sim.clone();
    let taken = tokio::task::spawn_blocking(move || take(&worker, &config, files, merge)).await;
    let taken = taken.unwrap_or_else(|error| Err(error.into()));
    sim.jobs.change(id, |job| match taken {
        Ok(taken) => {
            job.rows = taken.rows;
            job.refused = taken.refused;
            job.row_errors = taken.errors;
            job.state = State::Succeeded;
        }
        Err(error) => job.state = State::Failed(error.to_string()),
    });
}

fn take(sim: &Sim, config: &Config, files: Vec<FilePart>, merge: bool) -> anyhow::Result<Taken> {
    let import = Import {
        account: &sim.account,
        config,
        manner: Manner {
            source: Source::Import,
            create: true,
            merge,
            // Bulk loads never send welcome mails.
            welcome: false,
        },
    };
    let mut all = Taken::default();
    for part in files {
        if part.entity != "users" {
            all.rows += part.rows;
            continue;
        }
        let taken = import.take(part.file, part.format)?;
        // Row numbers are those of the file; a job of several user files is told apart by its name.
        all.rows += taken.rows;
        all.refused += taken.refused;
        all.errors.extend(taken.errors);
    }
    all.errors.truncate(config.row_errors_shown);
    Ok(all)
}
