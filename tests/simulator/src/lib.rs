//! A simulated Retention Science account. The README says what is fact and what is settable.

mod account;
mod api;
mod clock;
mod config;
mod control;
mod faults;
mod fields;
mod import;
mod jobs;
mod mangle;
mod requests;
mod row;
mod server;
mod sim;
mod upload;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use account::Counts;
pub use clock::ClockMode;
pub use config::{Blank, Config, Policy, RateLimit, StatusWords};
pub use faults::{Answer, JobFault, JobRule, Kind as FaultKind, Match, Rule};
pub use fields::{Definition, Kind as AttributeType};
pub(crate) use sim::Sim;

/// A running account. Dropping it stops it: no new connections, open ones end after their request.
pub struct Simulator {
    address: SocketAddr,
    sim: Arc<Sim>,
    serving: JoinHandle<()>,
}

impl Simulator {
    /// Starts on a free port of the loopback address, within the current tokio runtime.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), config).await
    }

    pub async fn start_on(address: SocketAddr, config: Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let sim = Arc::new(Sim::new(config));
        let router = control::router(sim.clone());
        let stopping = sim.stopping.subscribe();
        let serving = tokio::spawn(server::serve(listener, router, stopping));
        Ok(Self {
            address,
            sim,
            serving,
        })
    }

    /// The endpoint, like `http://127.0.0.1:4000/v3`.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.sim.config().base_path)
    }

    /// Where the controls are, like `http://127.0.0.1:4000/__sim`.
    pub fn base(&self) -> String {
        format!("http://{}/__sim", self.address)
    }

    /// All users, sorted by record id and then by email.
    pub fn users(&self) -> Vec<Value> {
        let account = lock(&self.sim.account);
        let order = account.order();
        order
            .into_iter()
            .filter_map(|at| account.show(at))
            .collect()
    }

    pub fn user(&self, record_id: &str) -> Option<Value> {
        lock(&self.sim.account).by_record_id(record_id)
    }

    pub fn requests(&self) -> Vec<Value> {
        lock(&self.sim.log).entries()
    }

    pub fn jobs(&self) -> Vec<Value> {
        self.sim.jobs.list(&self.sim.config())
    }

    pub fn counts(&self) -> Counts {
        lock(&self.sim.account).counts.clone()
    }

    pub fn stats(&self) -> Value {
        self.sim.stats()
    }

    pub fn config(&self) -> Config {
        (*self.sim.config()).clone()
    }

    pub fn set_config(&self, config: Config) {
        self.sim.configure(config);
    }

    /// Replaces the named settings only.
    pub fn patch_config(&self, patch: &Value) -> anyhow::Result<()> {
        self.sim.patch(patch)
    }

    pub fn define(&self, attributes: Vec<Definition>) {
        self.sim.define(attributes);
    }

    /// Replaces all rules, those for jobs included. Requests that were held are answered.
    pub fn set_faults(&self, rules: Vec<Rule>, jobs: Vec<JobRule>) {
        self.sim.set_faults(rules, jobs);
    }

    pub fn clear_faults(&self) {
        self.set_faults(Vec::new(), Vec::new());
    }

    pub fn set_clock(&self, mode: ClockMode) {
        self.sim.clock.set(Some(mode), 0);
    }

    pub fn now_ms(&self) -> u64 {
        self.sim.clock.now()
    }

    /// Microseconds of the wall's time since the start, by which requests are stamped as `wall_us`.
    pub fn wall_us(&self) -> u64 {
        self.sim.wall_us()
    }

    /// Moves simulated time on and waits for every job whose time has come.
    pub async fn advance(&self, ms: u64) {
        self.sim.clock.set(None, ms);
        self.settled().await;
    }

    /// Waits for every job whose time has come, without moving time.
    pub async fn settled(&self) {
        self.sim.jobs.settled(|| self.sim.clock.now()).await;
    }

    /// Jobs that are stuck or unknown go on, but for those whose file was submitted again later.
    pub fn release_jobs(&self) {
        self.sim.jobs.release(self.sim.clock.now());
    }

    /// Waits until no request is under way: whoever was killed has no effect any more after this.
    pub async fn quiet(&self) {
        self.until(|sim| lock(&sim.sim.log).in_flight() == 0).await;
    }

    /// Waits until the condition holds; it is asked anew after each answered request.
    pub async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let mut activity = self.sim.activity.subscribe();
        while !holds(self) {
            if activity.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until the job shows this status word.
    pub async fn until_job(&self, id: &str, word: &str) {
        self.sim
            .jobs
            .until(|jobs| {
                let config = self.sim.config();
                jobs.list(&config)
                    .iter()
                    .any(|job| job["id"] == id && job["status"] == word)
            })
            .await;
    }

    /// Forgets users, jobs, requests and faults; the configuration and the time stay.
    pub fn reset(&self) {
        self.sim.reset();
    }

    /// Stops taking connections and returns when the port is free.
    pub async fn stop(mut self) {
        self.sim.stopping.send_replace(true);
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.sim.stopping.send_replace(true);
    }
}

/// A panic of one request must not make the whole account unreadable for the test that looks why.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
