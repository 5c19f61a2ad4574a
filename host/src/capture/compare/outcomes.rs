//! What differs in how a call ended.

use std::collections::BTreeSet;

use super::super::outcome::{CapturedReport, Decision, Outcome, Rejected};
use super::changes::Changes;
use super::content::{bytes, lines};
use super::shown::Shown;

pub(super) fn outcomes(then: &Outcome, now: &Outcome, shown: &Shown<'_>, changes: &mut Changes) {
    if then == now {
        return;
    }
    match (then, now) {
        (
            Outcome::Delivered {
                rejected: then_rejected,
                retry: then_retry,
                why: then_why,
            },
            Outcome::Delivered {
                rejected,
                retry,
                why,
            },
        ) => {
            rows(then_rejected, rejected, shown, changes);
            let list = |rows: &[u32]| match rows {
                [] => "none".to_owned(),
                rows => rows
                    .iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            changes.if_different("rows to retry", list(then_retry), list(retry));
            let decided = |why: &Option<Decision>| {
                why.as_ref()
                    .map_or("nothing".to_owned(), |why| decision(why, shown))
            };
            changes.if_different("why", decided(then_why), decided(why));
        }
        (
            Outcome::Staged {
                bytes: then_bytes,
                start: then_start,
                ends: then_ends,
                rejected: then_rejected,
                identities: then_identities,
            },
            Outcome::Staged {
                bytes: now_bytes,
                start,
                ends,
                rejected,
                identities,
            },
        ) => {
            rows(then_rejected, rejected, shown, changes);
            bytes("staged", &then_bytes.0, &now_bytes.0, shown, changes);
            if then_bytes == now_bytes && (then_start, then_ends) != (start, ends) {
                changes.text("where rows begin and end", None, None);
            }
            let all = |identities: &[(u32, String)]| {
                let one = |(row, text): &(u32, String)| format!("row {row} {text}\n");
                identities.iter().map(one).collect::<String>()
            };
            let (then, now) = (all(then_identities), all(identities));
            lines("identities", &then, &now, shown, changes);
        }
        (Outcome::Submitted { token: then }, Outcome::Submitted { token }) => {
            changes.text("token", Some(shown.value(then)), Some(shown.value(token)));
        }
        (then, now) => {
            let all = |outcome: &Outcome| told(outcome, shown);
            changes.text("outcome", Some(all(then)), Some(all(now)));
        }
    }
    if changes.all.is_empty() {
        changes.text("outcome: differs in what is masked", None, None);
    }
}

fn rows(then: &[Rejected], now: &[Rejected], shown: &Shown<'_>, changes: &mut Changes) {
    let of = |all: &[Rejected], row: u32| {
        let found = all.iter().find(|rejected| rejected.row == row);
        found.map(|rejected| {
            let field = rejected
                .field
                .as_ref()
                .map_or(String::new(), |field| format!("{field}: "));
            format!("rejected: {}", shown.name(&(field + &rejected.reason)))
        })
    };
    let all = then.iter().chain(now).map(|rejected| rejected.row);
    let all: BTreeSet<u32> = all.collect();
    for row in all {
        let (was, is) = (of(then, row), of(now, row));
        if was != is {
            changes.text(&format!("row {row}"), was, is);
        }
    }
}

fn decision(decision: &Decision, shown: &Shown<'_>) -> String {
    let said = match decision {
        Decision::InvalidSettings(all) => all.join("; "),
        Decision::Unauthorized(message)
        | Decision::Transient(message)
        | Decision::Fatal(message)
        | Decision::Throttled { message, .. } => message.clone(),
    };
    let wait = match decision {
        Decision::Throttled {
            retry_after_ms: Some(ms),
            ..
        } => format!(" (after {ms} ms)"),
        _ => String::new(),
    };
    format!("{}: {}{wait}", decision.name(), shown.name(&said))
}

/// An outcome with what the plugin says of it.
fn told(outcome: &Outcome, shown: &Shown<'_>) -> String {
    let report = |report: &CapturedReport| {
        let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
        let rows = report.rows.iter();
        let rows: String = rows
            .map(|row| {
                let which = match (row.row, &row.identity) {
                    (Some(row), _) => row.to_string(),
                    (None, Some(identity)) => shown.value(identity),
                    (None, None) => "?".to_owned(),
                };
                format!("; row {which}: {}", shown.name(&row.reason))
            })
            .collect();
        format!(
            "{} accepted ({} created, {} updated, {} unchanged), {} refused, says `{}`{rows}",
            number(report.accepted),
            number(report.created),
            number(report.updated),
            number(report.unchanged),
            number(report.refused),
            shown.name(&report.message)
        )
    };
    match outcome {
        Outcome::Problem(problem) => decision(problem, shown),
        Outcome::Pending {
            message,
            done,
            total,
        } => {
            let number = |n: &Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
            let (done, total) = (number(done), number(total));
            format!(
                "import job pending: {done} of {total}, says `{}`",
                shown.name(message)
            )
        }
        Outcome::Succeeded(ended) => format!("import job succeeded: {}", report(ended)),
        Outcome::Failed(ended) => format!("import job failed: {}", report(ended)),
        Outcome::Submitted { token } => format!("import job started, token {}", shown.value(token)),
        outcome => outcome.summary(),
    }
}
