//! What was used: kept with the transactions that happen anyway.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::{Store, StoreError};
use crate::usage::{PEAK, Taken, Usage, Used};

/// What an export has used under one version of its plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginUsage {
    /// The plugin's name.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// What was used.
    pub used: Used,
}

/// Where what is counted belongs.
pub(super) struct Meter {
    plugin: String,
    version: String,
    usage: Arc<Usage>,
}

/// Taken from the meter on its way to the disk. If it does not get there the meter has it back.
pub(super) struct Due<'m> {
    meter: &'m Meter,
    taken: Option<Taken>,
}

impl Meter {
    /// What is to be kept with the next transaction, if it is due.
    pub fn due(&self) -> Option<Due<'_>> {
        self.usage.is_due().then(|| Due {
            meter: self,
            taken: Some(self.usage.take()),
        })
    }
}

impl Due<'_> {
    /// Adds it to what is on disk.
    pub fn put(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let (
            Meter {
                plugin, version, ..
            },
            Some(taken),
        ) = (self.meter, &self.taken)
        else {
            return Ok(());
        };
        // Byte-seconds of a large disk may get there within years: then they stay where they are.
        let mut put = tx.prepare_cached(
            "INSERT INTO usage VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
             SET n = iif(?5, max(n, ?4), min(n + ?4, 9223372036854775807))",
        )?;
        for (what, n) in taken.used.numbers() {
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            put.execute((plugin, version, &what, n, what == PEAK))?;
        }
        let Some(until_ms) = taken.until_ms else {
            return Ok(());
        };
        tx.prepare_cached(
            "INSERT INTO usage_until VALUES (1, ?1) ON CONFLICT DO UPDATE SET until_ms = ?1",
        )?
        .execute([until_ms])
        .map(drop)
    }

    /// It is on disk.
    pub fn kept(mut self) {
        if let Some(taken) = self.taken.take() {
            self.meter.usage.kept(&taken);
        }
    }
}

impl Drop for Due<'_> {
    fn drop(&mut self) {
        if let Some(taken) = &self.taken {
            self.meter.usage.give_back(taken);
        }
    }
}

impl Store {
    /// From now on what is counted into `usage` is kept here, under this plugin's name and version,
    /// added to what there is.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn meter(
        &self,
        by: (&str, &str),
        usage: &Arc<Usage>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let until_ms = self.read(|db| {
            db.query_row("SELECT until_ms FROM usage_until", [], |row| row.get(0))
                .optional()
        })?;
        let used = self.used_before(by)?;
        usage.resume(used, until_ms, self.staged_bytes()?, now_ms);
        self.add_meter(by, usage);
        Ok(())
    }

    /// The same for another version that works beside it. The time that files lie on the disk is the
    /// first one's.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn meter_too(
        &self,
        by: (&str, &str),
        usage: &Arc<Usage>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let known = |meter: &Meter| Arc::ptr_eq(&meter.usage, usage);
        if !self.meters().iter().any(known) {
            usage.resume(self.used_before(by)?, None, 0, now_ms);
            self.add_meter(by, usage);
        }
        Ok(())
    }

    fn used_before(&self, (plugin, version): (&str, &str)) -> Result<Used, StoreError> {
        let of_version = |row: &PluginUsage| row.plugin == plugin && row.version == version;
        let before = self.usage()?.into_iter().find(of_version);
        Ok(before.map(|row| row.used).unwrap_or_default())
    }

    fn add_meter(&self, (plugin, version): (&str, &str), usage: &Arc<Usage>) {
        let mut meters = self.inner.meters.write();
        let meters = meters
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut());
        meters.push(Meter {
            plugin: plugin.to_owned(),
            version: version.to_owned(),
            usage: usage.clone(),
        });
    }

    /// Keeps what was used and is due, if nothing else is written.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn keep_usage(&self) -> Result<(), StoreError> {
        let due = self.meters().iter().any(|meter| meter.usage.is_due());
        if due {
            self.write(|_| Ok(()))?;
        }
        Ok(())
    }

    /// Bytes of the staged files that lie on the disk.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn staged_bytes(&self) -> Result<u64, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT coalesce(sum(bytes), 0) FROM files WHERE outcome IS NULL")?
                .query_row([], |row| row.get(0))
        })
    }

    /// What was used, under each version of the plugin.
    ///
    /// # Errors
    /// The database's.
    pub fn usage(&self) -> Result<Vec<PluginUsage>, StoreError> {
        self.read(usage)
    }
}

fn usage(db: &Connection) -> rusqlite::Result<Vec<PluginUsage>> {
    let mut all: Vec<PluginUsage> = vec![];
    let mut statement = db.prepare(
        "SELECT plugin, plugin_version, what, n FROM usage ORDER BY plugin, plugin_version",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (plugin, version, what, n): (String, String, String, u64) = row.try_into()?;
        if !matches!(all.last(), Some(last) if last.plugin == plugin && last.version == version) {
            all.push(PluginUsage {
                plugin,
                version,
                used: Used::default(),
            });
        }
        if let Some(last) = all.last_mut() {
            last.used.set(&what, n);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BY, append, change, store};
    use super::*;
    use crate::plugin::flat::Kind;

    fn total(store: &Store) -> Vec<(String, u64, u64)> {
        let rows = store.usage().unwrap().into_iter();
        rows.map(|row| (row.version, row.used.calls, row.used.peak_memory_bytes))
            .collect()
    }

    #[test]
    fn what_was_used_goes_along_with_what_is_written_anyway_and_only_when_it_is_due() {
        let (_directory, store) = store();
        let usage = Arc::<Usage>::default();
        store.meter(BY, &usage, 0).unwrap();
        usage.call();
        usage.memory(7);
        let enter = [change("m", Kind::Enter, r#"{"a":1}"#)];
        append(&store, &enter);
        assert_eq!(total(&store), []);
        usage.fall_due(0);
        append(&store, &enter);
        assert_eq!(total(&store), [("1.0.0".to_owned(), 1, 7)]);
        assert_eq!(usage.total().unwrap().calls, 1);
        // And once only.
        usage.fall_due(0);
        append(&store, &enter);
        assert_eq!(total(&store), [("1.0.0".to_owned(), 1, 7)]);
    }

    #[test]
    fn what_is_not_written_is_not_lost() {
        let (_directory, store) = store();
        let usage = Arc::<Usage>::default();
        store.meter(BY, &usage, 0).unwrap();
        usage.call();
        usage.fall_due(0);
        let failed = store.write(|_| Err::<(), _>(rusqlite::Error::QueryReturnedNoRows));
        assert!(failed.is_err());
        let failed = store.write(|tx| tx.execute_batch("DROP TABLE usage"));
        assert!(failed.is_err());
        assert_eq!((total(&store).len(), usage.total().unwrap().calls), (0, 0));
        store.keep_usage().unwrap();
        assert_eq!(total(&store), [("1.0.0".to_owned(), 1, 0)]);
    }

    #[test]
    fn each_version_of_a_plugin_has_its_own_and_goes_on_where_it_was() {
        let (directory, store) = store();
        drop(store);
        for (version, memory) in [("1", 10), ("2", 30), ("1", 20), ("1", 5)] {
            let store = Store::open(directory.path()).unwrap();
            let usage = Arc::<Usage>::default();
            store.meter(("p", version), &usage, 0).unwrap();
            usage.call();
            usage.memory(memory);
            usage.fall_due(0);
            store.keep_usage().unwrap();
            let now = usage.total().unwrap();
            let of_version = store.usage().unwrap();
            let of_version = of_version.iter().find(|row| row.version == version);
            assert_eq!(of_version.map(|row| row.used), Some(now));
        }
        let store = Store::open_read_only(directory.path()).unwrap();
        assert_eq!(
            total(&store),
            [("1".to_owned(), 3, 20), ("2".to_owned(), 1, 30)]
        );
    }

    #[test]
    fn files_that_lie_while_nothing_runs_are_counted_at_the_next_start() {
        let (directory, store) = store();
        let insert = "INSERT INTO files (number, name, bytes, rows, crc, digest, outcome)
                      VALUES (1, '1.staged', 1000, 1, 0, x'', NULL), (2, '2', 9, 1, 0, x'', 'succeeded')";
        let usage = Arc::<Usage>::default();
        store.meter(BY, &usage, 5_000).unwrap();
        store.write(|tx| tx.execute_batch(insert)).unwrap();
        usage.staged(store.staged_bytes().unwrap(), 5_000);
        usage.fall_due(7_000);
        store.keep_usage().unwrap();
        assert_eq!(usage.total().unwrap().staged_byte_seconds, 2_000);
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        let usage = Arc::<Usage>::default();
        store.meter(BY, &usage, 107_000).unwrap();
        usage.fall_due(107_500);
        store.keep_usage().unwrap();
        assert_eq!(usage.total().unwrap().staged_byte_seconds, 102_500);
    }

    #[test]
    fn a_sum_that_is_full_stays_where_it_is() {
        let (_directory, store) = store();
        for _ in 0..3 {
            let usage = Usage::default();
            usage.received(u64::MAX / 3);
            let meter = Meter {
                plugin: "p".to_owned(),
                version: "1".to_owned(),
                usage: Arc::new(usage),
            };
            meter.usage.fall_due(0);
            store.write(|tx| meter.due().unwrap().put(tx)).unwrap();
        }
        assert_eq!(store.usage().unwrap()[0].used.bytes_in, i64::MAX as u64);
    }
}
