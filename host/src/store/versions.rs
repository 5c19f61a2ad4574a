//! Versions of the plugin, swaps that are wanted, and who began which import job.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, StoreError};
use crate::export::{Version, Versions, Wanted};

impl Store {
    /// Which versions the export runs; `None` before its first start.
    ///
    /// # Errors
    /// The database's, or what this program never wrote.
    pub fn versions(&self) -> Result<Option<Versions>, StoreError> {
        let json: Option<String> = self.read(|db| {
            db.query_row("SELECT versions FROM plugin_versions", [], |row| row.get(0))
                .optional()
        })?;
        json.map(|json| {
            serde_json::from_str(&json).map_err(|_| self.damaged("the versions of the plugin"))
        })
        .transpose()
    }

    /// Records them. What led to it is gone in the same transaction.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn record_versions(
        &self,
        versions: &Versions,
        wanted: Option<i64>,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            if let Some(wanted) = wanted {
                take(tx, wanted)?;
            }
            record(tx, versions)
        })
    }

    /// Records them as what a wish has led to, unless that was withdrawn meanwhile: then nothing is
    /// recorded. Whether it was still there.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn record_if_wanted(
        &self,
        versions: &Versions,
        wanted: i64,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let there = take(tx, wanted)?;
            if there {
                record(tx, versions)?;
            }
            Ok(there)
        })
    }

    /// Withdraws every swap that is wanted and has not begun; answers to which versions they were. What is
    /// being begun right now either is in [`versions`](Self::versions) after this, or never will be.
    ///
    /// # Errors
    /// The database's.
    pub fn withdraw_swaps(&self, now_ms: i64) -> Result<Vec<Version>, StoreError> {
        self.write(|tx| {
            let mut withdrawn = vec![];
            for (number, wanted) in wanted(tx)? {
                if let Some(Wanted::Begin {
                    id, to, configured, ..
                }) = wanted
                {
                    take(tx, number)?;
                    withdrawn.push(to.clone());
                    let instead = Wanted::Withdrawn { id, to, configured };
                    want(tx, &instead, now_ms)?;
                }
            }
            Ok(withdrawn)
        })
    }

    /// Hands over what is wanted of versions.
    ///
    /// # Errors
    /// The database's.
    pub fn want_version(&self, wanted: &Wanted, now_ms: i64) -> Result<(), StoreError> {
        self.write(|tx| want(tx, wanted, now_ms))
    }

    /// What is wanted of versions and was not taken up yet, oldest first, with its numbers. What cannot be
    /// read was never written by this program: `None`.
    ///
    /// # Errors
    /// The database's.
    pub fn versions_wanted(&self) -> Result<Vec<(i64, Option<Wanted>)>, StoreError> {
        self.read(wanted)
    }

    /// Who began the import job of a staged file, by the component's SHA-256; `None` if that was
    /// before such was kept.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn submitted_by(&self, file: u32) -> Result<Option<String>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT submitted_by FROM files WHERE number = ?1")?
                .query_row([file], |row| row.get(0))
                .optional()
                .map(Option::flatten)
        })
    }

    /// Every component that this export may need again, by SHA-256: what it runs, what it may go back
    /// to, and what began a job that has not ended.
    ///
    /// # Errors
    /// The database's.
    pub fn components(&self) -> Result<Vec<String>, StoreError> {
        let mut all = self.read(|db| {
            db.prepare(
                "SELECT DISTINCT submitted_by FROM files
                 WHERE submitted_by IS NOT NULL AND token IS NOT NULL AND outcome IS NULL",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()
        })?;
        if let Some(versions) = self.versions()? {
            all.push(versions.active.sha256);
            all.extend(versions.before.map(|before| before.sha256));
            all.extend(versions.swap.map(|swap| swap.to.sha256));
        }
        for (_, wanted) in self.versions_wanted()? {
            if let Some(Wanted::Begin { to, .. }) = wanted {
                all.push(to.sha256);
            }
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

fn record(db: &Connection, versions: &Versions) -> rusqlite::Result<()> {
    let json = serde_json::to_string(versions).expect("versions are plain data");
    db.prepare_cached(
        "INSERT INTO plugin_versions VALUES (1, ?1) ON CONFLICT DO UPDATE SET versions = ?1",
    )?
    .execute([json])
    .map(drop)
}

fn want(db: &Connection, wanted: &Wanted, now_ms: i64) -> rusqlite::Result<()> {
    let json = serde_json::to_string(wanted).expect("what is wanted is plain data");
    db.execute(
        "INSERT INTO swaps (at_ms, wanted) VALUES (?1, ?2)",
        (now_ms, json),
    )
    .map(drop)
}

/// Takes a wish away. Whether it was there.
fn take(db: &Connection, number: i64) -> rusqlite::Result<bool> {
    let gone = db.execute("DELETE FROM swaps WHERE id = ?1", [number])?;
    Ok(gone > 0)
}

fn wanted(db: &Connection) -> rusqlite::Result<Vec<(i64, Option<Wanted>)>> {
    db.prepare_cached("SELECT id, wanted FROM swaps ORDER BY id")?
        .query_map([], |row| {
            let json: String = row.get(1)?;
            Ok((row.get(0)?, serde_json::from_str(&json).ok()))
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Plan;
    use crate::store::tests::store;

    fn version(sha256: &str) -> Version {
        Version {
            name: "p".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: sha256.to_owned(),
            contract: "0.1.0".to_owned(),
        }
    }

    fn begin(to: &str) -> Wanted {
        Wanted::Begin {
            id: format!("to-{to}"),
            to: version(to),
            configured: Some(to.to_owned()),
            plan: Plan {
                percent: 10,
                batches: 20,
                leaders: vec![],
            },
            routes: vec![],
        }
    }

    #[test]
    fn a_wish_that_was_withdrawn_is_known_to_be_and_leads_to_nothing() {
        let (_directory, store) = store();
        let first = Versions::first(version("a"), vec![], 0);
        store.record_versions(&first, None).unwrap();
        let word = Wanted::RollBack { swap: None };
        for wanted in [begin("b"), word.clone(), begin("c")] {
            store.want_version(&wanted, 1).unwrap();
        }
        // Somebody loads what is wanted first, while somebody else has second thoughts.
        let (loaded, _) = store.versions_wanted().unwrap()[0];
        assert_eq!(store.components().unwrap(), ["a", "b", "c"]);
        let withdrawn = store.withdraw_swaps(2).unwrap();
        assert_eq!(withdrawn, [version("b"), version("c")]);
        let mut begun = first.clone();
        begun.withdraw("to-b", &version("b"), "whatever", 3);
        assert!(!store.record_if_wanted(&begun, loaded).unwrap());
        assert_eq!(store.versions().unwrap(), Some(first));
        assert_eq!(store.components().unwrap(), ["a"]);
        let left = store.versions_wanted().unwrap();
        let gone = |to: &str| Wanted::Withdrawn {
            id: format!("to-{to}"),
            to: version(to),
            configured: Some(to.to_owned()),
        };
        let expected = [word, gone("b"), gone("c")].map(Some);
        let wishes: Vec<_> = left.iter().map(|(_, wanted)| wanted.clone()).collect();
        assert_eq!(wishes, expected);
        // What is still wanted is gone with what it has led to.
        assert!(store.record_if_wanted(&begun, left[0].0).unwrap());
        assert_eq!(store.versions().unwrap(), Some(begun));
        assert_eq!(store.versions_wanted().unwrap().len(), 2);
    }

    #[test]
    fn what_an_older_sluice_wanted_is_still_understood() {
        let (_directory, store) = store();
        store
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO swaps (at_ms, wanted) VALUES (1, '{\"want\":\"promote\"}'), \
                     (1, '{\"want\":\"roll-back\"}')",
                )
            })
            .unwrap();
        let wanted = store.versions_wanted().unwrap();
        let wanted: Vec<_> = wanted.into_iter().filter_map(|(_, one)| one).collect();
        let (promote, back) = (
            Wanted::Promote { swap: None },
            Wanted::RollBack { swap: None },
        );
        assert_eq!(wanted, [promote, back]);
    }
}
