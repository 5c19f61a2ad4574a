//! The same with new and nastier plans, until the time is over: `cargo xtask soak`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::number;
use super::run::survives;
use super::schedule::Scale;
use super::tally::Tally;

/// Schedules that are under way at a time.
const SIDE_BY_SIDE: usize = 2;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as it is told to: cargo xtask soak"]
async fn soak() -> Result<()> {
    let minutes = number("SLUICE_SOAK_MINUTES")?;
    let first = number("SLUICE_SEED")?;
    let time = Duration::from_secs(minutes * 60);
    println!("soak   {minutes} minutes from seed {first} on");
    let soak = Arc::new(Soak {
        began: Instant::now(),
        time,
        next: AtomicU64::new(first),
        sum: Mutex::default(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..SIDE_BY_SIDE {
        workers.spawn(work(soak.clone()));
    }
    let mut result = Ok(());
    while result.is_ok()
        && let Some(ended) = workers.join_next().await
    {
        result = ended?;
    }
    // The first failure ends the others with it.
    drop(workers);
    let (_, tally) = &*soak.sum.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{tally}\nfirst seed   {first}");
    result?;
    ensure!(tally.schedules > 0, "there was no time for a schedule");
    Ok(())
}

struct Soak {
    began: Instant,
    time: Duration,
    /// The next seed.
    next: AtomicU64,
    /// When a line of progress was last printed, and what has happened so far.
    sum: Mutex<(Duration, Tally)>,
}

async fn work(soak: Arc<Soak>) -> Result<()> {
    while soak.began.elapsed() < soak.time {
        let seed = soak.next.fetch_add(1, Ordering::Relaxed);
        let tally = survives(seed, Scale::Soak).await?;
        let mut sum = soak.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.1.add(tally);
        let now = soak.began.elapsed();
        if now >= sum.0 + PROGRESS {
            sum.0 = now;
            println!("soak   {} s: {}", now.as_secs(), sum.1.short());
        }
    }
    Ok(())
}
