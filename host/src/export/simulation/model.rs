//! What the destination may see at any moment, and must have seen in the end.

use std::collections::BTreeMap;

use crate::plugin::flat::Kind;

/// Attributes by name, each value as JSON.
pub(super) type Content = BTreeMap<String, String>;

/// `first` and `last` make up one value, which must never be put together from two changes.
pub(super) const TOGETHER: [&str; 2] = ["first", "last"];

/// One change as the source said it, or a member's row of the backfill.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub kind: Kind,
    pub content: Content,
}

/// What became of rows of one member, in order.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    /// The destination took changes up to this one.
    Taken(usize),
    /// The plugin, or the host in its stead, refused them.
    Refused(usize),
}

#[derive(Debug, Default)]
struct Member {
    /// The rows of the backfill, in order.
    rows: Vec<Said>,
    /// Whether the import took it.
    imported: bool,
    /// The changes, in order.
    changes: Vec<Said>,
    fates: Vec<Fate>,
}

/// Everybody.
#[derive(Debug, Default)]
pub(super) struct Model {
    members: BTreeMap<String, Member>,
    /// What happened, for people and for comparing two runs of a seed.
    pub events: Vec<String>,
}

impl Model {
    /// A line of the members file.
    pub fn row(&mut self, member: &str, said: Said) {
        self.member(member).rows.push(said);
    }

    /// A change. Answers its number among the member's, from 1.
    pub fn change(&mut self, member: &str, said: Said) -> usize {
        let changes = &mut self.member(member).changes;
        changes.push(said);
        changes.len()
    }

    /// How many changes of a member there are.
    pub fn changes(&mut self, member: &str) -> usize {
        self.member(member).changes.len()
    }

    fn member(&mut self, member: &str) -> &mut Member {
        self.members.entry(member.to_owned()).or_default()
    }

    /// The import brings a member's row.
    pub fn imported(&mut self, member: &str, content: &Content) {
        self.events.push(format!("imported {member}"));
        let known = self.member(member);
        assert!(
            known.fates.is_empty(),
            "a row of the backfill overtakes a newer change of {member}"
        );
        let newest = known.rows.iter().rev().find(|row| !refusable(row));
        assert_eq!(
            newest.map(|row| &row.content),
            Some(content),
            "not the newest row of {member}"
        );
        known.imported = true;
    }

    /// The destination takes a change of a member, or changes that were merged.
    pub fn taken(&mut self, member: &str, kind: Kind, content: &Content) {
        let (number, known) = self.sent(member, kind, content);
        known.fates.push(Fate::Taken(number));
        self.events.push(format!("taken {member} {number}"));
    }

    /// The plugin refuses such a row.
    pub fn refused(&mut self, member: &str, kind: Kind, content: &Content) {
        let (number, known) = self.sent(member, kind, content);
        known.fates.push(Fate::Refused(number));
        self.events.push(format!("refused {member} {number}"));
    }

    fn sent(&mut self, member: &str, kind: Kind, content: &Content) -> (usize, &mut Member) {
        let known = self.member(member);
        let number: usize = content["n"].parse().expect("a number");
        let before = known.settled();
        assert!(
            number >= before,
            "change {number} of {member} comes after change {before}"
        );
        // Everything up to `before` may have been settled without the program knowing.
        let fits = (0..=before)
            .any(|from| from < number && merged(&known.changes[from..number]) == *content);
        assert!(
            fits,
            "what is sent as change {number} of {member} after {before} is no merge of what was \
             said: {content:?}\nsaid: {:#?}",
            known.changes
        );
        let said = &known.changes[number - 1];
        assert!(
            kind == said.kind || (kind, said.kind) == (Kind::Enter, Kind::Update),
            "change {number} of {member} is sent as {kind:?}"
        );
        (number, known)
    }

    /// Everything is over: nobody is missing, and every change came to an end.
    pub fn finish(&self, quarantine: &[(String, String)]) {
        for (name, member) in &self.members {
            let wanted = member.rows.iter().any(|row| !refusable(row));
            assert_eq!(member.imported, wanted, "{name} in the import");
            assert_eq!(
                member.settled(),
                member.changes.len(),
                "not every change of {name} has arrived: {member:#?}"
            );
        }
        for (name, member) in &self.members {
            let refused = member.rows.iter().filter(|row| refusable(row)).count();
            let row = (name.clone(), "0".to_owned());
            let kept = quarantine.iter().filter(|kept| **kept == row).count();
            assert_eq!(kept, refused, "rows of {name} in quarantine");
        }
        let mut kept: Vec<_> = quarantine.iter().filter(|(_, n)| n != "0").collect();
        kept.sort();
        let rows = kept.len();
        kept.dedup();
        assert_eq!(kept.len(), rows, "a row is in quarantine twice");
        for (name, n) in kept {
            let number: usize = n.parse().expect("a number");
            let said = refusable(&self.members[name].changes[number - 1]);
            assert!(said, "change {n} of {name} is in quarantine for nothing");
        }
    }
}

impl Member {
    /// The last change that came to an end.
    fn settled(&self) -> usize {
        match self.fates.last() {
            None => 0,
            Some(Fate::Taken(number) | Fate::Refused(number)) => *number,
        }
    }
}

/// Whether nobody would take this row.
fn refusable(said: &Said) -> bool {
    said.content["deed"] != "\"good\""
}

/// What changes come to when the newer ones are laid over the older ones.
fn merged(changes: &[Said]) -> Content {
    let mut all = Content::new();
    for said in changes {
        if TOGETHER.iter().any(|name| said.content.contains_key(*name)) {
            all.retain(|name, _| !TOGETHER.contains(&name.as_str()));
        }
        all.extend(said.content.clone());
    }
    all
}

/// What the seeds of one test have been through, so that a test that tests nothing is noticed.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<String, u64>);

/// What must have happened at least this often in a part of the seeds.
const MUST: [(&str, u64); 21] = [
    ("killed", 500),
    ("stopped", 100),
    ("imported", 1_000),
    ("taken", 2_000),
    ("refused", 200),
    ("trapped", 400),
    ("throttled", 40),
    ("unauthorized", 100),
    ("answer-lost", 90),
    ("no-answer", 70),
    ("job-failed", 15),
    ("job-gone", 15),
    ("paused", 35),
    ("resumed", 120),
    ("clock", 40),
    ("some-to-retry", 90),
    ("swap-promoted", 40),
    ("swap-rolled-back", 20),
    ("swap-refused", 20),
    ("flaw", 30),
    ("token-unknown", 1),
];

impl Coverage {
    pub fn add(&mut self, events: &[String]) {
        for event in events {
            let word = event.split(' ').next().unwrap_or_default();
            *self.0.entry(word.to_owned()).or_default() += 1;
        }
    }

    pub fn check(&self) {
        for (what, least) in MUST {
            let found = self.0.get(what).copied().unwrap_or(0);
            assert!(found >= least, "only {found} times {what}: {self:?}");
        }
    }
}
