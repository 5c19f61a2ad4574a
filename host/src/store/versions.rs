//! Versions of the plugin, swaps that are wanted, and who began which import job.

use rusqlite::OptionalExtension;

use super::{Store, StoreError};
use crate::export::{Versions, Wanted};

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
        let json = serde_json::to_string(versions).expect("versions are plain data");
        self.write(|tx| {
            if let Some(wanted) = wanted {
                tx.execute("DELETE FROM swaps WHERE id = ?1", [wanted])?;
            }
            tx.prepare_cached(
                "INSERT INTO plugin_versions VALUES (1, ?1) ON CONFLICT DO UPDATE SET versions = ?1",
            )?
            .execute([json])
            .map(drop)
        })
    }

    /// Hands over what is wanted of versions.
    ///
    /// # Errors
    /// The database's.
    pub fn want_version(&self, wanted: &Wanted, now_ms: i64) -> Result<(), StoreError> {
        let json = serde_json::to_string(wanted).expect("what is wanted is plain data");
        self.write(|tx| {
            tx.execute(
                "INSERT INTO swaps (at_ms, wanted) VALUES (?1, ?2)",
                (now_ms, json),
            )
            .map(drop)
        })
    }

    /// What is wanted of versions, oldest first, with its numbers. What cannot be read was never
    /// written by this program: `None`.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn versions_wanted(&self) -> Result<Vec<(i64, Option<Wanted>)>, StoreError> {
        self.read(|db| {
            db.prepare_cached("SELECT id, wanted FROM swaps ORDER BY id")?
                .query_map([], |row| {
                    let json: String = row.get(1)?;
                    Ok((row.get(0)?, serde_json::from_str(&json).ok()))
                })?
                .collect()
        })
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
