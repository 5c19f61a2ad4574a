//! What the plugin of an export remembers: texts by name. Whether a change may be made is for the caller
//! to judge, within the transaction that makes it.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, StoreError};
use crate::capability::state::Beside;

/// One text, without the text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remembered {
    /// Its name.
    pub key: String,
    /// How long it is.
    pub bytes: u64,
    /// The version of the plugin that wrote it.
    pub plugin_version: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Texts by name.
pub type Texts = Vec<(String, String)>;

impl Store {
    /// The text of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn recall(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.read(|db| text(db, key))
    }

    /// Puts a text in the place of the one of this name, or takes that one out, if `judge` agrees when
    /// it sees what stands there now and how much is remembered beside it.
    ///
    /// # Errors
    /// The database's; then nothing has changed.
    pub fn remember<E>(
        &self,
        key: &str,
        value: Option<&str>,
        plugin_version: &str,
        now_ms: i64,
        judge: impl FnOnce(Option<&str>, Beside) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        self.write(|tx| {
            let beside = tx
                .prepare_cached(
                    "SELECT count(*), coalesce(sum(octet_length(key) + octet_length(value)), 0)
                     FROM plugin_state WHERE key <> ?1",
                )?
                .query_row([key], |row| {
                    Ok(Beside {
                        keys: row.get(0)?,
                        bytes: row.get(1)?,
                    })
                })?;
            let judged = judge(text(tx, key)?.as_deref(), beside);
            match (&judged, value) {
                (Err(_), _) => {}
                (Ok(()), Some(value)) => tx
                    .prepare_cached(
                        "INSERT INTO plugin_state VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT DO UPDATE SET value = ?2, plugin_version = ?3, at_ms = ?4",
                    )?
                    .execute((key, value, plugin_version, now_ms))
                    .map(drop)?,
                (Ok(()), None) => tx
                    .prepare_cached("DELETE FROM plugin_state WHERE key = ?1")?
                    .execute([key])
                    .map(drop)?,
            }
            Ok(judged)
        })
    }

    /// What is remembered, by name, without the texts.
    ///
    /// # Errors
    /// The database's.
    pub fn remembered(&self) -> Result<Vec<Remembered>, StoreError> {
        self.read(|db| {
            db.prepare(
                "SELECT key, octet_length(value), plugin_version, at_ms FROM plugin_state ORDER BY key",
            )?
            .query_map([], |row| {
                Ok(Remembered {
                    key: row.get(0)?,
                    bytes: row.get(1)?,
                    plugin_version: row.get(2)?,
                    at_ms: row.get(3)?,
                })
            })?
            .collect()
        })
    }

    /// All of it, for a plugin that is only tried out.
    ///
    /// # Errors
    /// The database's.
    pub fn texts(&self) -> Result<Texts, StoreError> {
        self.read(|db| {
            db.prepare("SELECT key, value FROM plugin_state ORDER BY key")?
                .query_map([], |row| row.try_into())?
                .collect()
        })
    }
}

fn text(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM plugin_state WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_there_after_the_store_was_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let yes = |_: Option<&str>, _: Beside| Ok::<(), ()>(());
        let store = Store::open(directory.path()).unwrap();
        store
            .remember("list", Some("17"), "1.0.0", 5, yes)
            .unwrap()
            .unwrap();
        store
            .remember("gone", Some("x"), "1.0.0", 6, yes)
            .unwrap()
            .unwrap();
        store
            .remember("gone", None, "1.0.0", 7, yes)
            .unwrap()
            .unwrap();
        store
            .remember("list", Some("18é"), "1.1.0", 8, yes)
            .unwrap()
            .unwrap();
        drop(store);
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.recall("list").unwrap().as_deref(), Some("18é"));
        assert_eq!(store.recall("gone").unwrap(), None);
        let row = Remembered {
            key: "list".to_owned(),
            bytes: 4,
            plugin_version: "1.1.0".to_owned(),
            at_ms: 8,
        };
        assert_eq!(store.remembered().unwrap(), [row]);
    }

    #[test]
    fn the_judge_sees_what_stands_there_and_what_is_beside_it_and_has_the_last_word() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let put = |key: &str, value: &str| {
            let yes = |_: Option<&str>, _: Beside| Ok::<(), ()>(());
            store
                .remember(key, Some(value), "1", 1, yes)
                .unwrap()
                .unwrap();
        };
        put("é", "12");
        put("list", "17");
        let mut seen = None;
        let no = store.remember("list", Some("18"), "1", 2, |now, beside| {
            seen = Some((now.map(str::to_owned), beside));
            Err("no")
        });
        assert_eq!(no.unwrap(), Err("no"));
        let beside = Beside { keys: 1, bytes: 4 };
        assert_eq!(seen, Some((Some("17".to_owned()), beside)));
        assert_eq!(store.recall("list").unwrap().as_deref(), Some("17"));
    }
}
