//! The faults that the tests must notice. `tests/README.md` shows the same list to people; a test
//! compares the two, and looks whether every place to be changed is still there.

/// One fault.
pub struct Mutant {
    /// How it is called on the command line and in the list.
    pub name: &'static str,
    /// The file that it is put into.
    pub file: &'static str,
    /// What stands there, exactly once.
    pub find: &'static str,
    /// What is put in its place.
    pub replace: &'static str,
    /// Which tests must fail: those of the library's own whose name begins like this, or of the
    /// integration binary.
    pub noticed_by: Tests,
}

/// Where to look.
#[derive(Clone, Copy)]
pub enum Tests {
    Unit(&'static str),
    Program(&'static str),
}

const SIMULATION: Tests = Tests::Unit("export::simulation");

pub const MUTANTS: [Mutant; 44] = [
    // The last event wins.
    Mutant {
        name: "members-changes-side-by-side",
        file: "host/src/store/log.rs",
        find: "WHERE older.member = this.member AND older.seq < this.seq)
                 ORDER BY seq LIMIT ?3",
        replace: "WHERE older.member = this.member AND older.seq < this.seq AND 0)
                 ORDER BY seq LIMIT ?3",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "later-change-past-one-that-is-retried",
        file: "host/src/store/log.rs",
        find: "WHERE older.member = this.member AND older.seq < this.seq)
                 ORDER BY seq LIMIT ?3",
        replace: "WHERE older.member = this.member AND older.seq < this.seq
                         AND older.not_before_ms <= ?4)
                 ORDER BY seq LIMIT ?3",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "backfill-row-after-the-change",
        file: "host/src/export/machine.rs",
        find: "            if waiting.is_empty() {
                State::CatchingUp { until: line_end }",
        replace: "            if waiting.len() < 9 {
                State::CatchingUp { until: line_end }",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "older-row-of-the-scan-kept",
        file: "host/src/store/scan.rs",
        find: "ORDER BY hash, rowid",
        replace: "ORDER BY hash, rowid DESC",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "blank-over-a-value",
        file: "host/src/store/merge.rs",
        find: "!blank(value.get()) ||",
        replace: "true || !blank(value.get()) ||",
        noticed_by: Tests::Unit("store::tests"),
    },
    Mutant {
        name: "halves-of-a-name-from-two-changes",
        file: "host/src/store/merge.rs",
        find: "self.whole(older, newer, true)",
        replace: "self.whole(older, newer, true) || true",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "replay-overtakes",
        file: "host/src/store/quarantine.rs",
        find: "if entry.overtaken || newer_waits {",
        replace: "if false && (entry.overtaken || newer_waits) {",
        noticed_by: Tests::Unit("store::quarantine_tests"),
    },
    // No loss.
    Mutant {
        name: "skip-the-fsync",
        file: "host/src/export/scan.rs",
        find: "last.sync()",
        replace: "{ drop(last); Ok(()) }",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "commits-are-not-synced",
        file: "host/src/store/open.rs",
        find: "\"synchronous\", \"FULL\"",
        replace: "\"synchronous\", \"NORMAL\"",
        noticed_by: Tests::Unit("store::tests"),
    },
    Mutant {
        name: "acknowledge-early",
        file: "host/src/export/batch.rs",
        find: "} else if !retry.contains(&row) {",
        replace: "} else if retry.len() <= rows {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "drop-on-retry-limit",
        file: "host/src/export/batch.rs",
        find: "} else if !retry.contains(&row) {",
        replace: "} else if !retry.contains(&row) || pending.attempt > 1 {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "answer-settles-a-newer-change",
        file: "host/src/store/log.rs",
        find: "\"DELETE FROM changes WHERE seq = ?1 AND version = ?2\"",
        replace: "\"DELETE FROM changes WHERE seq = ?1 AND ?2 = ?2\"",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "resume-the-scan-one-chunk-late",
        file: "host/src/export/scan.rs",
        find: "    for batch in read.batches {",
        replace: "    let early = writer.chunk.position.clone();
    let before = context.store.run(|store| store.position(\"members\")).await?;
    context
        .store
        .run(move |store| store.move_position(\"members\", &before.unwrap_or_default(), Some(&early)))
        .await?;
    for batch in read.batches {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "keep-what-a-crash-left-in-a-file",
        file: "host/src/store/files.rs",
        find: "        file.set_len(end.bytes).map_err(disk)?;\n",
        replace: "",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "lose-the-job-token",
        file: "host/src/store/files.rs",
        find: "SET token = ?2, submitted_ms",
        replace: "SET token = nullif(?2, ?2), submitted_ms",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "data-without-its-position",
        file: "host/src/store/append.rs",
        find: "                scan::set_position(tx, stream, position)?;",
        replace: "                if incoming.len() != 2 { scan::set_position(tx, stream, position)?; }",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "outcome-without-its-state",
        file: "host/src/store/files.rs",
        find: "            forget_scan(tx)?;
            state::record(tx, state, now_ms)
        })?;
        self.remove_staged(&file.name);",
        replace: "            forget_scan(tx)
        })?;
        self.remove_staged(&file.name);",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "superseded-is-not-counted",
        file: "host/src/store/log.rs",
        find: "                counts::add(tx, counts::LIVE, \"superseded\", live)?;\n",
        replace: "                let _ = live;\n",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "damaged-file-is-sent",
        file: "host/src/store/files.rs",
        find: "match (bytes == file.bytes, crc == file.crc) {",
        replace: "match (bytes != 1, crc.max(file.crc) >= crc) {",
        noticed_by: Tests::Unit("store::tests"),
    },
    // A failing export harms no other, and itself no more than it must.
    Mutant {
        name: "rows-beside-a-poisonous-one-are-lost",
        file: "host/src/export/isolate.rs",
        find: "Err(error) if range.len() > 1 => {",
        replace: "Err(error) if range.len() > 9_999 => {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "accepted-credential-is-not-noticed",
        file: "host/src/export/run.rs",
        find: "    Ok(Done::nothing(Input::Accepted))",
        replace: "    Ok(Done::nothing(Input::CaughtUp))",
        noticed_by: Tests::Program("operator::a_new_key"),
    },
    Mutant {
        name: "full-log-does-not-slow-the-source",
        file: "host/src/export/ingest.rs",
        find: "Store::log_bytes).await? < limit {",
        replace: "Store::log_bytes).await? < limit.max(u64::MAX) {",
        noticed_by: Tests::Program("operator::a_full_log"),
    },
    // Whoever pays, pays once.
    Mutant {
        name: "usage-counted-twice",
        file: "host/src/store/mod.rs",
        find: "due.into_iter().for_each(usage::Due::kept);",
        replace: "drop(due);",
        noticed_by: Tests::Unit("store::usage"),
    },
    // A plugin takes no more than its limits, and gets no more than it was granted.
    Mutant {
        name: "limit-holds-for-each-memory",
        file: "host/src/plugin/guard.rs",
        find: "let wanted = self.memory_bytes.saturating_add(desired - current);",
        replace: "let wanted = desired;",
        noticed_by: Tests::Program("hostile::memory_has_an_end"),
    },
    Mutant {
        name: "requests-are-not-bounded",
        file: "host/src/plugin/guard.rs",
        find: "if all > self.limits.requests {",
        replace: "if all == u32::MAX {",
        noticed_by: Tests::Program("hostile::what_was_not_granted"),
    },
    Mutant {
        name: "answers-are-copied-without-end",
        file: "host/src/plugin/guard.rs",
        find: "store.set_hostcall_fuel(limits.lift_bytes);",
        replace: "store.set_hostcall_fuel(usize::MAX);",
        noticed_by: Tests::Program("hostile::answers_without"),
    },
    Mutant {
        name: "altered-code-runs",
        file: "host/src/plugin/compile/cache.rs",
        find: "if self.tag(name, &content[head..]).verify_slice(tag).is_err() {",
        replace: "if tag.is_empty() {",
        noticed_by: Tests::Unit("plugin::compile::cache"),
    },
    Mutant {
        name: "unsigned-plugins-run",
        file: "host/src/registry/signature.rs",
        find: "if held.any(|key| key.key.verify(bytes, &signature, true).is_ok()) {",
        replace: "if held.next().is_some() {",
        noticed_by: Tests::Unit("registry::signature"),
    },
    Mutant {
        name: "altered-versions-run",
        file: "host/src/registry/resolve.rs",
        find: "match file.sha256() == sha256 {",
        replace: "match !file.sha256().is_empty() {",
        noticed_by: Tests::Program("registry::a_kept_component"),
    },
    Mutant {
        name: "any-address-is-public",
        file: "host/src/capability/http/address.rs",
        find: "allowed.retain(|address| match self.judge(*address) {",
        replace: "allowed.retain(|_| match self.judge(IpAddr::from([8, 8, 8, 8])) {",
        noticed_by: Tests::Unit("capability::http"),
    },
    Mutant {
        name: "key-comes-back-to-the-plugin",
        file: "host/src/capability/http/gate.rs",
        find: "body: scrubber.scrub(body),",
        replace: "body,",
        noticed_by: Tests::Program("hostile::canary"),
    },
    Mutant {
        name: "first-come-takes-the-quota",
        file: "host/src/capability/http/quota.rs",
        find: "state.lines.push_back(line);",
        replace: "state.lines.push_front(line);",
        noticed_by: Tests::Unit("capability::http::quota"),
    },
    Mutant {
        name: "plugins-forge-lines",
        file: "host/src/plugin/tidy.rs",
        find: "map(|c| if plain(c) { c } else { ' ' })",
        replace: "map(|c| if plain(c) { c } else { c })",
        noticed_by: Tests::Unit("plugin::tidy"),
    },
    Mutant {
        name: "remembered-whatever-stands-there",
        file: "host/src/capability/state.rs",
        find: "if now != self.expected.as_deref() {",
        replace: "if now.is_none() && self.expected.is_some() {",
        noticed_by: Tests::Unit("capability::state"),
    },
    Mutant {
        name: "stage-depends-on-what-is-remembered",
        file: "host/src/plugin/session.rs",
        find: "        _ => Access::None,",
        replace: "        _ => Access::Change,",
        noticed_by: Tests::Program("tracks::a_plugin_of_the_second"),
    },
    Mutant {
        name: "remembering-has-no-end",
        file: "host/src/plugin/guard.rs",
        find: "if self.state_calls == self.limits.state_calls {",
        replace: "if self.state_calls == u32::MAX {",
        noticed_by: Tests::Program("hostile::what_is_remembered"),
    },
    Mutant {
        name: "older-track-of-two",
        file: "host/src/plugin/track.rs",
        find: "served.max().map(",
        replace: "served.min().map(",
        noticed_by: Tests::Unit("plugin::track"),
    },
    Mutant {
        name: "any-import-is-taken",
        file: "host/src/plugin/inspect.rs",
        find: "let given = |name: &&String| name.starts_with(PACKAGE) || wasi::is_given(name);",
        replace: "let given = |_: &&String| true;",
        noticed_by: Tests::Program("hostile::closed_wasi"),
    },
    Mutant {
        name: "any-host-is-the-destination",
        file: "host/src/capability/http/target.rs",
        find: "match authority.as_str().eq_ignore_ascii_case(PLACEHOLDER) {",
        replace: "match authority.as_str() != PLACEHOLDER {",
        noticed_by: Tests::Unit("capability::http::target"),
    },
    Mutant {
        name: "who-waits-keeps-the-turn",
        file: "host/src/plugin/turn.rs",
        find: "if polled.is_pending() && !self.in_line.load(Ordering::Relaxed) {",
        replace: "if polled.is_ready() && !self.in_line.load(Ordering::Relaxed) {",
        noticed_by: Tests::Unit("plugin::turn"),
    },
    // A swap loses nothing.
    Mutant {
        name: "candidate-has-the-last-word",
        file: "host/src/export/versions/canary.rs",
        find: "let second = deliver_plain(context, arbiter, &again).await;",
        replace: "let second = deliver_plain(context, candidate, &again).await;",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "candidate-that-traps-is-promoted",
        file: "host/src/export/versions/judge.rs",
        find: "if new.crashes > 0 {",
        replace: "if new.crashes > 9_999 {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "what-came-to-nothing-counts",
        file: "host/src/export/versions/canary.rs",
        find: "    seen.tells = seen.rows > 0;
    if rejected.is_empty() {",
        replace: "    seen.tells = true;
    if rejected.is_empty() {",
        noticed_by: SIMULATION,
    },
    Mutant {
        name: "nobody-is-asked-about-an-old-job",
        file: "host/src/export/versions/poll.rs",
        find: "by.filter(|by| by != active.component())",
        replace: "by.filter(|by| by.is_empty())",
        noticed_by: SIMULATION,
    },
];
