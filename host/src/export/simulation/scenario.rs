//! One seed: an audience, some lives that end badly, and a last one that must come to its end.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::destination::{COLUMNS, Remote, kind};
use super::dice::Dice;
use super::flaw::FIRST;
use super::killer::Killer;
use super::model::{Content, Said};
use crate::config::{ChangesFrom, Mapping, Tuning};
use crate::export::ExportSpec;
use crate::plugin::flat::Kind;
use crate::store::Store;

/// What is the same in all lives of the program.
pub(super) struct Scenario {
    pub folder: TempDir,
    pub dice: Dice,
    pub remote: Arc<Mutex<Remote>>,
    /// The key where the operator keeps it.
    pub kept_key: Arc<AtomicU64>,
    pub now_ms: i64,
    /// How many members there may be; few, so that they meet often.
    audience: u64,
    member_lines: u64,
    pub change_lines: u64,
    bad_lines: u64,
    lanes: u32,
    /// The component that the configuration leads to.
    pub configured: String,
    /// The swap whose end was seen last.
    pub last_swap: Option<String>,
    /// The rest of a line whose beginning is in the file.
    rest: Option<String>,
}

impl Scenario {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // In memory where there is such a place: the killer decides what is on disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            folder: folder.expect("a folder"),
            remote: Arc::new(Mutex::new(Remote::new(dice.below(u64::MAX)))),
            kept_key: Arc::default(),
            now_ms: 1_750_000_000_000,
            audience: 1 + dice.below(12),
            member_lines: 0,
            change_lines: 0,
            bad_lines: 0,
            lanes: 1 + dice.below(4) as u32,
            configured: FIRST.to_owned(),
            last_swap: None,
            rest: None,
            dice,
        }
    }

    /// Everything that happens, in order.
    pub fn play(mut self) -> Vec<String> {
        Killer::begin(self.dice.below(u64::MAX));
        self.write_members();
        for _ in 0..self.dice.below(5) {
            let steps = match self.dice.percent(70) {
                true => 1 + self.dice.below(120),
                false => 1 + self.dice.below(900),
            };
            // Up to a destination that does not answer at all.
            self.trouble(&[0, 5, 20, 50, 100], &[0, 10, 70]);
            if self.dice.percent(10) {
                self.configured = format!("good-{}", self.dice.below(3));
            }
            self.live(Some(steps));
        }
        self.trouble(&[0], &[0]);
        self.live(None);
        Killer::end();
        self.finish()
    }

    fn trouble(&mut self, trouble: &[u64], again: &[u64]) {
        let mut remote = self.remote.lock().unwrap();
        remote.trouble = self.dice.pick(trouble);
        remote.again = self.dice.pick(again);
    }

    fn finish(self) -> Vec<String> {
        let store = Store::open_read_only(&self.directory()).expect("the store");
        let counts = store.ledger().expect("the counts").counts;
        assert!(counts.add_up(), "{counts:?}");
        assert_eq!(counts.backfill.received, self.member_lines, "{counts:?}");
        assert_eq!(counts.live.received, self.change_lines, "{counts:?}");
        assert_eq!((counts.backfill.pending, counts.live.pending), (0, 0));
        let staged = std::fs::read_dir(self.directory().join("staged")).expect("a folder");
        assert_eq!(staged.count(), 0, "staged files are left behind");
        let quarantine = self.quarantine();
        let (rows, lines): (Vec<_>, Vec<_>) = quarantine
            .into_iter()
            .partition(|(member, _)| member.is_some());
        assert_eq!(
            lines.len() as u64,
            self.bad_lines,
            "lines that are no change"
        );
        let total = counts.backfill.quarantined + counts.live.quarantined;
        assert_eq!((rows.len() + lines.len()) as u64, total);
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(member, payload)| {
                let payload: Map<String, Value> = serde_json::from_str(&payload).expect("JSON");
                let member = Value::from(member.unwrap_or_default()).to_string();
                (member, payload["n"].to_string())
            })
            .collect();
        let mut remote = self.remote.lock().unwrap();
        remote.model.finish(&rows);
        std::mem::take(&mut remote.model.events)
    }

    fn quarantine(&self) -> Vec<(Option<String>, String)> {
        let database = rusqlite::Connection::open(self.directory().join("export.db")).unwrap();
        let mut rows = database
            .prepare("SELECT member, payload FROM quarantine ORDER BY id")
            .unwrap();
        let rows = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Whether the export begins with a backfill.
    pub fn has_backfill(&self) -> bool {
        self.member_lines > 0
    }

    /// The export's folder.
    pub fn directory(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    fn changes(&self) -> PathBuf {
        self.folder.path().join("changes.ndjson")
    }

    pub fn spec(&self) -> ExportSpec {
        let destination = |source: &str| match source {
            "first" | "last" => "name".to_owned(),
            source => source.to_owned(),
        };
        ExportSpec {
            tenant: "t".to_owned(),
            id: "e".to_owned(),
            label: String::new(),
            audience: "all".to_owned(),
            user_id_field: "id".to_owned(),
            fields: COLUMNS
                .iter()
                .map(|source| Mapping {
                    source: (*source).to_owned(),
                    destination: destination(source),
                })
                .collect(),
            options: Map::new(),
            members: (self.member_lines > 0).then(|| self.folder.path().join("members.ndjson")),
            changes: Some(ChangesFrom::File(self.changes())),
            tuning: Tuning {
                lanes: self.lanes,
                import_timeout_minutes: 2,
                ..Tuning::default()
            },
            limits: crate::plugin::Limits::default(),
        }
    }

    fn write_members(&mut self) {
        let lines = self.dice.pick(&[0, 3, 12, 25]);
        self.write_some_members(lines);
    }

    pub fn write_some_members(&mut self, lines: u64) {
        let mut text = String::new();
        for _ in 0..lines {
            self.member_lines += 1;
            if self.dice.percent(4) {
                self.bad_lines += 1;
                text.push_str("no member\n");
                continue;
            }
            let (member, content) = self.content(0);
            text.push_str(&user(&member, &content));
            text.push('\n');
            let mut remote = self.remote.lock().unwrap();
            let kind = Kind::Scan;
            let member = Value::from(member).to_string();
            remote.model.row(&member, Said { kind, content });
        }
        std::fs::write(self.folder.path().join("members.ndjson"), text).unwrap();
    }

    /// Some attributes of some member. `n` is filled in later for a change.
    fn content(&mut self, n: usize) -> (String, Content) {
        let member = format!("m{}", self.dice.below(self.audience));
        let deed = match self.dice.below(25) {
            0 => "trap",
            1 => "reject",
            _ => "good",
        };
        let mut content = Content::from([
            ("n".to_owned(), n.to_string()),
            ("deed".to_owned(), format!("{deed:?}")),
        ]);
        for name in ["first", "last", "city"] {
            let value = match self.dice.below(10) {
                0..4 => continue,
                4 => "null".to_owned(),
                _ => format!("\"{name}{}\"", self.dice.below(1000)),
            };
            content.insert(name.to_owned(), value);
        }
        (member, content)
    }

    /// Some more lines in the changes file; sometimes the last one is not complete yet.
    pub fn append(&mut self) {
        let mut text = self.rest.take().unwrap_or_default();
        for _ in 0..=self.dice.below(6) {
            self.change_lines += 1;
            if self.dice.percent(3) {
                self.bad_lines += 1;
                text.push_str("no change\n");
                continue;
            }
            let name = self.dice.pick(&["enter", "update", "update", "exit"]);
            let (member, mut content) = self.content(0);
            let key = Value::from(member.as_str()).to_string();
            let mut remote = self.remote.lock().unwrap();
            let number = remote.model.changes(&key) + 1;
            content.insert("n".to_owned(), number.to_string());
            text.push_str(&format!(
                "{{\"change\":\"{name}\",\"user\":{}}}\n",
                user(&member, &content)
            ));
            let kind = kind(name);
            remote.model.change(&key, Said { kind, content });
        }
        if self.dice.percent(20) {
            let at = self.dice.below(text.len() as u64) as usize;
            self.rest = Some(text.split_off(at));
        }
        self.write(&text);
    }

    /// The rest of a line that was begun.
    pub fn complete(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.write(&rest);
        }
    }

    fn write(&self, text: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.changes())
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

fn user(member: &str, content: &Content) -> String {
    let mut text = format!("{{\"id\":{}", Value::from(member));
    for (name, value) in content {
        text.push_str(&format!(",\"{name}\":{value}"));
    }
    text.push('}');
    text
}
