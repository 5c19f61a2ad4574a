//! Everything that a running account shares. Each lock is held for a moment, never across a wait.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::account::Account;
use crate::clock::{Clock, ClockMode};
use crate::config::Config;
use crate::faults::{Faults, JobRule, Rule};
use crate::fields::Definition;
use crate::jobs::Jobs;
use crate::requests::Log;

pub(crate) struct Sim {
    config: RwLock<Arc<Config>>,
    pub account: Mutex<Account>,
    pub jobs: Jobs,
    pub faults: Mutex<Faults>,
    /// Touched when rules are replaced: held requests are answered then.
    pub rules_replaced: watch::Sender<()>,
    pub log: Mutex<Log>,
    pub clock: Clock,
    began: Instant,
    /// The second of simulated time for which requests are counted, and how many came.
    pub window: Mutex<(u64, u32)>,
    pub stopping: watch::Sender<bool>,
    /// Touched after each request that was answered, or whose sender went away.
    pub activity: watch::Sender<()>,
}

impl Sim {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            account: Mutex::new(Account::new(&config.attributes)),
            config: RwLock::new(Arc::new(config)),
            jobs: Jobs::default(),
            faults: Mutex::default(),
            rules_replaced: watch::Sender::new(()),
            log: Mutex::default(),
            clock: Clock::new(ClockMode::Real),
            began: Instant::now(),
            window: Mutex::default(),
            stopping: watch::Sender::new(false),
            activity: watch::Sender::new(()),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        config.clone()
    }

    pub(crate) fn configure(&self, config: Config) {
        crate::lock(&self.account).define(&config.attributes);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(crate) fn patch(&self, patch: &Value) -> anyhow::Result<()> {
        self.configure(self.config().patched(patch)?);
        Ok(())
    }

    pub(crate) fn define(&self, attributes: Vec<Definition>) {
        self.configure(Config {
            attributes,
            ..(*self.config()).clone()
        });
    }

    pub(crate) fn set_faults(&self, rules: Vec<Rule>, jobs: Vec<JobRule>) {
        crate::lock(&self.faults).set(rules, jobs);
        self.rules_replaced.send_replace(());
    }

    /// The wall's time since the start, whatever the account's own clock does.
    pub(crate) fn wall_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    pub(crate) fn stats(&self) -> Value {
        let account = crate::lock(&self.account);
        let mut stats = json!(account.counts);
        stats["fields"] = json!(account.names_seen());
        drop(account);
        stats["faults"] = json!(crate::lock(&self.faults).struck());
        if let (Value::Object(stats), Value::Object(requests)) =
            (&mut stats, crate::lock(&self.log).stats())
        {
            stats.extend(requests);
        }
        stats
    }

    pub(crate) fn reset(&self) {
        *crate::lock(&self.account) = Account::new(&self.config().attributes);
        self.jobs.clear();
        *crate::lock(&self.faults) = Faults::default();
        self.rules_replaced.send_replace(());
        crate::lock(&self.log).clear();
    }
}
