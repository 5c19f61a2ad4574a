//! What differs between calls then and now, for people.

use std::fmt::Write;

use sluice::capture::{CallDifference, Change, RequestDifference};

/// Calls, each with what differs in it; nothing of those in which nothing does.
pub fn text(calls: &[CallDifference]) -> String {
    let mut text = String::new();
    for call in calls.iter().filter(|call| !call.is_none()) {
        let _ = writeln!(
            text,
            "call {}  {}, {} rows",
            call.number, call.call, call.rows
        );
        for request in &call.requests {
            one(request, &mut text);
        }
        if !call.remembers.is_empty() {
            text.push_str("  what it remembers\n");
            changes(&call.remembers, &mut text);
        }
        if !call.outcome.is_empty() {
            let _ = match &call.ended {
                (then, now) if then == now => writeln!(text, "  {then}"),
                (then, now) => writeln!(text, "  {then}  →  {now}"),
            };
            changes(&call.outcome, &mut text);
        }
    }
    text
}

fn one(request: &RequestDifference, text: &mut String) {
    let _ = match request {
        RequestDifference::Gone { request } => writeln!(text, "  - {request}"),
        RequestDifference::New { request, .. } => writeln!(text, "  + {request}"),
        RequestDifference::Changed { request, .. } => writeln!(text, "  ~ {request}"),
        RequestDifference::Order => writeln!(text, "  the requests go out in another order"),
    };
    if let Some(why) = request.denied() {
        let _ = writeln!(text, "      denied by the gate: {why}");
    }
    if let RequestDifference::Changed { changes: all, .. } = request {
        changes(all, text);
    }
}

fn changes(all: &[Change], text: &mut String) {
    for Change { at, was, is } in all {
        let _ = match (was, is) {
            (Some(was), Some(is)) => writeln!(text, "      {at}: {was}  →  {is}"),
            (Some(was), None) => writeln!(text, "      {at}: {was}  →  nothing"),
            (None, Some(is)) => writeln!(text, "      {at}: nothing  →  {is}"),
            (None, None) => writeln!(text, "      {at}"),
        };
    }
}
