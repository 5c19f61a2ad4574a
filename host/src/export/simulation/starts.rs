//! With which version an export starts if the one that it ran cannot be loaded.

use std::sync::{Arc, Mutex};

use super::destination::Remote;
use super::flaw::{Shelf, version};
use crate::export::versions::{self, Plan, Versions, Wanted};

/// What takes the place of `missing-9`, which the configuration had not named, or why nothing does.
async fn replaced(had: &[&str], configured: &str, wanted: &[Wanted]) -> Result<String, String> {
    let shelf = Shelf {
        remote: Arc::new(Mutex::new(Remote::new(1))),
        held: Arc::default(),
        bills: Default::default(),
    };
    let had = had.iter().map(|&route| route.to_owned()).collect();
    let mut kept = Versions::first(version("missing-9"), had, 1);
    kept.configured = "good-0".to_owned();
    let configured = shelf.version(configured);
    let running = versions::start("t/e", (Some(kept), wanted), configured, &shelf, 2).await;
    let running = running.map_err(|error| error.to_string())?;
    let (runs, kept) = (running.active(), running.versions());
    assert_eq!(runs.component(), kept.active.sha256);
    assert_eq!(runs.routes(), kept.routes);
    assert_eq!(kept.before, Some(version("missing-9")));
    Ok(kept.active.sha256)
}

fn swap(to: &str, agreed: &[&str]) -> Wanted {
    Wanted::Begin {
        id: "s".to_owned(),
        to: version(to),
        configured: None,
        plan: Plan {
            percent: 10,
            batches: 20,
            leaders: vec![],
        },
        routes: agreed.iter().map(|&route| route.to_owned()).collect(),
    }
}

#[tokio::test]
async fn what_was_turned_away_does_not_take_the_place_of_a_version_that_is_gone() {
    const MORE: &str = "POST /more";
    let considered = "it was considered before";
    for (had, configured, wanted, expected) in [
        (&[][..], "good-0", None, Err(considered)),
        (&[], "good-1", None, Ok("good-1")),
        (&[], "greedy-1", None, Err(MORE)),
        (&[MORE], "greedy-1", None, Ok("greedy-1")),
        (&[], "good-0", Some(("good-0", &[][..])), Ok("good-0")),
        (&[], "good-0", Some(("good-2", &[])), Ok("good-2")),
        (&[], "good-0", Some(("greedy-2", &[])), Err(MORE)),
        (&[], "good-0", Some(("greedy-2", &[MORE])), Ok("greedy-2")),
        (
            &[],
            "good-0",
            Some(("missing-2", &[])),
            Err("is wanted, and"),
        ),
    ] {
        let wishes: Vec<_> = wanted
            .iter()
            .map(|&(to, agreed)| swap(to, agreed))
            .collect();
        let found = replaced(had, configured, &wishes).await;
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(why), Err(expected)) => {
                assert!(
                    why.contains(expected) && why.contains("plugin swap"),
                    "{why}"
                );
            }
            (found, expected) => panic!("{configured}, {wanted:?}: {found:?}, not {expected:?}"),
        }
    }
}
