//! A candidate that gets nothing through: alone, since the active version has stopped for a person, and beside
//! one that gets nothing through either.

use std::time::Duration;

use super::SimulatedClock;
use super::flaw::version;
use super::killer::Killer;
use super::scenario::Scenario;
use crate::export::versions::{Plan, SwapOutcome, Versions, Wanted};
use crate::export::{Export, State};
use crate::store::Store;

/// In virtual seconds: rows that are put off wait for a minute in the end.
const PATIENCE: u32 = 4 * 3_600;

/// In virtual seconds, for which changes come.
const CHANGES: u32 = 20;

/// Batches in a row after which it is asked whether the destination is there, and a few more that are under way
/// meanwhile.
const FRUITLESS: std::ops::RangeInclusive<u32> = 100..=110;

/// Plays a live export of this version.
fn play(active: &str, story: impl AsyncFnOnce(&mut Scenario, &Export)) {
    Killer::begin(7);
    let mut scenario = Scenario::new(7);
    scenario.configured = active.to_owned();
    let store = Store::open(&scenario.directory()).unwrap();
    store.record(&State::Live, 0).unwrap();
    let versions = Versions::first(version(active), vec![], 0);
    store.record_versions(&versions, None).unwrap();
    drop(store);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = SimulatedClock::new(scenario.now_ms, scenario.dice.below(u64::MAX));
        let export = scenario.start(&clock).await;
        story(&mut scenario, &export).await;
        export.stop().await;
    });
    drop(runtime);
    Killer::end();
}

/// Waits until something holds, while changes come.
async fn until(
    scenario: &mut Scenario,
    export: &Export,
    holds: impl Fn(&Versions, Option<State>) -> bool,
) {
    for second in 0..PATIENCE {
        if second < CHANGES {
            scenario.append();
            scenario.complete();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        if holds(&export.versions(), export.state()) {
            return;
        }
    }
    panic!(
        "it never does: {:?} {:?}",
        export.state(),
        export.versions()
    );
}

async fn want(export: &Export, to: &str) {
    let wanted = Wanted::Begin {
        id: "0000000000002-b".to_owned(),
        to: version(to),
        configured: None,
        plan: Plan {
            percent: 50,
            batches: 30,
            leaders: vec![],
        },
        routes: vec![],
    };
    export.want_version(wanted).await.unwrap();
}

fn fruitless(versions: &Versions) -> u32 {
    versions.swap.as_ref().map_or(0, |swap| swap.new.fruitless)
}

#[test]
fn a_candidate_that_works_alone_and_gets_nothing_through_is_rolled_back_once_check_is_accepted() {
    for accepted in [true, false] {
        play("refuses-0", async |scenario, export| {
            let parked = |_: &Versions, at| matches!(at, Some(State::Parked { .. }));
            until(scenario, export, parked).await;
            want(export, "stuck-1").await;
            let alone = |now: &Versions, _| now.swap.as_ref().is_some_and(|swap| swap.alone);
            until(scenario, export, alone).await;
            if !accepted {
                // Nobody can tell whose fault it is.
                scenario.remote.lock().unwrap().key += 1;
                let long = |now: &Versions, _| fruitless(now) > 2 * FRUITLESS.end();
                until(scenario, export, long).await;
                scenario.remote.lock().unwrap().key -= 1;
            }
            until(scenario, export, |now, _| now.swap.is_none()).await;
            let versions = export.versions();
            assert_eq!(versions.active, version("refuses-0"));
            let last = versions.last.unwrap();
            assert_eq!(
                (last.outcome, last.for_all),
                (SwapOutcome::RolledBack, true)
            );
            let enough = FRUITLESS.contains(&last.new.fruitless);
            assert_eq!(enough, accepted, "{last:?}");
            let why =
                "batches came to nothing, though the destination accepts endpoint and credential";
            assert!(last.why.contains(why), "{last:?}");
        });
    }
}

#[test]
fn a_candidate_beside_a_version_that_gets_nothing_through_either_stays_however_long_that_lasts() {
    play("good-0", async |scenario, export| {
        // The destination takes some rows, and always wants to have all of them again.
        scenario.remote.lock().unwrap().again = 100;
        want(export, "good-1").await;
        let long = |now: &Versions, _| now.swap.is_none() || fruitless(now) > 2 * FRUITLESS.end();
        until(scenario, export, long).await;
        let versions = export.versions();
        assert!(
            versions.swap.is_some_and(|swap| !swap.alone),
            "{:?}",
            versions.last
        );
    });
}
