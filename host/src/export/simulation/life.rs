//! One life of the program: from its start until it is killed, stopped, or done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::SimulatedClock;
use super::flaw::{self, Flaw, Shelf};
use super::killer::Killer;
use super::scenario::Scenario;
use crate::capability::http::{Account, Credential};
use crate::export::clock::Clock;
use crate::export::start::Parts;
use crate::export::versions::{self, Rollouts, Wanted};
use crate::export::{Ended, Export, ExportError};
use crate::store::{Command, Store};
use crate::usage::Bills;

/// In virtual time. Whoever is not done by then, with nothing standing in the way, never will be.
const PATIENCE: Duration = Duration::from_secs(48 * 3600);

/// How often an export may be parked while nothing goes wrong any more: for each job that had
/// failed before, and whatever else it found.
const RESUMES: u32 = 30;

impl Scenario {
    /// Lives until killed after so many steps, or to the end.
    pub fn live(&mut self, steps: Option<u64>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let clock = SimulatedClock::new(self.now_ms, self.dice.below(u64::MAX));
            let struck = Killer::arm(steps);
            let export = tokio::select! {
                biased;
                () = struck.notified() => return self.event("killed"),
                export = self.start(&clock) => export,
            };
            tokio::select! {
                biased;
                () = struck.notified() => self.event("killed"),
                Err(_) = export.until_ended() => panic!("ended by itself: {:?}", export.ended().await),
                () = self.happen(&export, &clock, steps.is_some()) => {
                    if steps.is_none() || self.dice.percent(50) {
                        self.event("stopped");
                        // It may be killed while it stops.
                        tokio::select! {
                            biased;
                            () = struck.notified() => {}
                            ended = export.stop() => {
                                assert!(matches!(ended, Ended::Stopped), "{ended:?}");
                            }
                        }
                    }
                }
            }
            self.now_ms = clock.now_ms();
        });
        // With the runtime goes every task, wherever it was.
        drop(runtime);
        Killer::arm(None);
        Killer::lose_unsynced(&self.directory().join("staged"));
        if Store::exists(&self.directory())
            && let Ok(store) = Store::open_read_only(&self.directory())
        {
            self.swapped(&store);
            let counts = store.ledger().expect("the counts").counts;
            assert!(counts.add_up(), "{counts:?}");
            assert!(counts.live.received <= self.change_lines, "{counts:?}");
            // A kill may take what was used last; nothing is ever counted twice.
            let rows = store.usage().expect("what was used");
            let kept: u64 = rows.iter().map(|row| row.used.calls).sum();
            let begun = self.remote.lock().unwrap().calls;
            assert!(kept <= begun, "{kept} of {begun} calls");
            if steps.is_none() {
                assert!(kept > 0, "nothing was kept of {begun} calls");
            }
        }
    }

    pub(super) async fn start(&self, clock: &Arc<SimulatedClock>) -> Export {
        let held = Arc::new(AtomicU64::new(self.kept_key.load(Ordering::Relaxed)));
        let (kept, sent) = (self.kept_key.clone(), held.clone());
        let account = Account::new(Credential::none(), 1).with_renewal(Box::new(move || {
            sent.store(kept.load(Ordering::Relaxed), Ordering::Relaxed);
            Ok(Credential::none())
        }));
        let bills = Bills::default();
        let shelf = Shelf {
            remote: self.remote.clone(),
            held,
            bills: bills.clone(),
        };
        let store = Store::open(&self.directory()).expect("the store");
        let kept = store.versions().expect("the versions");
        let configured = shelf.version(&self.configured);
        let running = versions::start("t/e", (kept, &[]), configured, &shelf, clock.now_ms());
        let running = running.await.expect("a version");
        let parts = Parts {
            running,
            bring: Box::new(shelf),
            rollouts: Rollouts::default(),
            bills,
            account: Arc::new(account),
            store,
            clock: Clock::Simulated(clock.clone()),
        };
        let export = Export::work(self.spec(), parts).await;
        export.expect("what it starts with")
    }

    /// What became of the swap that ended last.
    fn swapped(&mut self, store: &Store) {
        let versions = store.versions().expect("the versions");
        let Some(versions) = versions else {
            return;
        };
        let flaw = Flaw::of(&versions.active.sha256);
        assert!(!flaw.is_bad(), "a bad version works: {versions:?}");
        if let Some(last) = versions.last
            && self.last_swap.as_ref() != Some(&last.id)
        {
            let outcome = last.outcome.name().replace(' ', "-");
            self.event(&format!("swap-{outcome} {}", last.to.sha256));
            self.last_swap = Some(last.id);
        }
    }

    pub fn event(&self, event: &str) {
        let mut remote = self.remote.lock().unwrap();
        remote.model.events.push(event.to_owned());
    }

    /// What happens around a running export.
    async fn happen(&mut self, export: &Export, clock: &SimulatedClock, troubled: bool) {
        if troubled {
            for _ in 0..self.dice.below(25) {
                let pause = self.dice.pick(&[10, 300, 3_000, 30_000]);
                tokio::time::sleep(Duration::from_millis(self.dice.below(pause))).await;
                self.something(clock);
            }
            return;
        }
        self.append();
        self.complete();
        self.kept_key
            .store(self.remote.lock().unwrap().key, Ordering::Relaxed);
        let done = async {
            for resumed in 0.. {
                match export.until_idle().await {
                    Ok(()) => return,
                    Err(ExportError::Parked { reason, .. }) => {
                        assert!(resumed < RESUMES, "parked again and again: {reason}");
                        self.command(Command::Resume);
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    }
                    // Whoever awaits the end says why.
                    Err(_) => std::future::pending().await,
                }
            }
        };
        if tokio::time::timeout(PATIENCE, done).await.is_err() {
            panic!("it does not come to its end: {:?}", export.state());
        }
    }

    fn something(&mut self, clock: &SimulatedClock) {
        match self.dice.below(20) {
            0 => self.command(Command::Pause),
            1 | 2 => self.command(Command::Resume),
            3 => self.remote.lock().unwrap().key += 1,
            7..10 => self.swap(clock),
            10 => self.want(&Wanted::RollBack { swap: None }),
            4 | 5 => {
                let key = self.remote.lock().unwrap().key;
                self.kept_key.store(key, Ordering::Relaxed);
            }
            6 => {
                self.event("clock");
                let hours = self.dice.below(100) as i64 - 50;
                clock.jump(hours * 3_600_000);
            }
            _ => self.append(),
        }
    }

    fn swap(&mut self, clock: &SimulatedClock) {
        self.event("swap");
        let has_backfill = self.has_backfill();
        let wanted = flaw::wanted(&mut self.dice, has_backfill, clock.now_ms());
        self.want(&wanted);
    }

    fn want(&self, wanted: &Wanted) {
        if let Ok(store) = Store::open_beside(&self.directory()) {
            store.want_version(wanted, 0).expect("the wish");
        }
    }

    /// What an operator types in another process.
    fn command(&self, command: Command) {
        self.event(match command {
            Command::Pause => "paused",
            Command::Resume => "resumed",
        });
        if let Ok(store) = Store::open_beside(&self.directory()) {
            store.command(command, 0).expect("the command");
        }
    }
}
