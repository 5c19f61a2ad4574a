//! What one hostile export is given, and what must become of it.

use std::fmt::Write;

use crate::process::KEY_VARIABLE;

/// One hostile export: a tenant of its own.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The tenant's name.
    pub name: &'static str,
    /// The guest that it runs.
    pub guest: &'static str,
    /// What stands in the one field of each member.
    pub members: &'static [&'static str],
    /// The same of the changes that follow.
    pub changes: &'static [&'static str],
    /// The option `how`.
    pub how: &'static str,
    /// Limits beside the usual ones, or in their place.
    pub limits: &'static [(&'static str, u64)],
    /// How it ends.
    pub ends: Ends,
}

/// How an export ends.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// Everything is settled: these rows are in quarantine, so many with such a reason, and all
    /// others are delivered.
    Live(&'static [(u64, &'static str)]),
    /// Everything is settled, but nobody can say beforehand which rows are in quarantine.
    Settled(&'static str),
    /// It is parked for this reason, with what it could not do kept. The reason says all of this.
    Parked(&'static str, &'static [&'static str]),
    /// It was never started; the program has said this of it.
    NotStarted(&'static str),
    /// It is in this phase and tries again and again. Its last error says all of this.
    Trying(&'static str, &'static [&'static str]),
}

/// Rows that nothing is special about.
pub const PLAIN: &[&str] = &["one", "two", "three", "four"];

/// A guest that only gets changes to deliver.
pub const fn delivers(guest: &'static str, changes: &'static [&'static str], ends: Ends) -> Case {
    Case {
        name: guest,
        guest,
        members: &[],
        changes,
        how: "",
        limits: &[],
        ends,
    }
}

/// A guest that gets members to import, and then changes.
pub const fn imports(guest: &'static str, members: &'static [&'static str], ends: Ends) -> Case {
    Case {
        members,
        ..delivers(guest, PLAIN, ends)
    }
}

impl Case {
    pub const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub const fn changes(self, changes: &'static [&'static str]) -> Self {
        Self { changes, ..self }
    }

    pub const fn how(self, how: &'static str) -> Self {
        Self { how, ..self }
    }

    pub const fn limits(self, limits: &'static [(&'static str, u64)]) -> Self {
        Self { limits, ..self }
    }

    pub fn is_not_started(&self) -> bool {
        matches!(self.ends, Ends::NotStarted(_))
    }

    /// The tenant's file.
    pub fn config(&self, endpoint: &str) -> String {
        let turned = |key| self.limits.iter().any(|(other, _)| *other == key);
        let usual = LIMITS.iter().filter(|(key, _)| !turned(*key));
        let limits = usual
            .chain(self.limits)
            .map(|(key, n)| format!("{key} = {n}"));
        let limits: Vec<_> = limits.collect();
        let mut text = format!(
            "[authorizations.main]\nlabel = \"Main\"\nplugin = \"{}.wasm\"\n\
             endpoint = \"{endpoint}\"\nallow_http = true\n\
             allow_addresses = [\"127.0.0.0/8\"]\nlimits = {{ {} }}\n\
             secrets = {{ api-key = {{ env = \"{KEY_VARIABLE}\" }} }}\n\n\
             [exports.everyone]\nauthorization = \"main\"\nlabel = \"Everyone\"\n\
             audience = \"everyone\"\nuser_id_field = \"user_id\"\n\
             fields = {{ what = \"what\" }}\noptions = {{ how = \"{}\" }}\n\
             changes = {{ file = \"{}.changes\" }}\ntuning = {{ lanes = 1 }}\n",
            self.guest,
            limits.join(", "),
            self.how,
            self.name
        );
        if !self.members.is_empty() {
            let _ = writeln!(text, "members = {{ file = \"{}.members\" }}", self.name);
        }
        text
    }

    /// The members' file.
    pub fn member_lines(&self) -> Vec<String> {
        let line = |(id, what): (usize, &&str)| {
            serde_json::json!({"user_id": id, "what": what}).to_string()
        };
        self.members.iter().enumerate().map(line).collect()
    }

    /// The changes' file: of others than the members.
    pub fn change_lines(&self) -> Vec<String> {
        let line = |(id, what): (usize, &&str)| {
            let user = serde_json::json!({"user_id": 1_000 + id, "what": what});
            serde_json::json!({"change": "enter", "user": user}).to_string()
        };
        self.changes.iter().enumerate().map(line).collect()
    }
}

/// Small ones, so that a test need not wait for large ones.
const LIMITS: &[(&str, u64)] = &[("cpu_ms", 200), ("memory_mib", 16), ("lift_mib", 32)];

/// A guest that is not even started.
pub const fn not_started(guest: &'static str, says: &'static str) -> Case {
    delivers(guest, PLAIN, Ends::NotStarted(says))
}
