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
        requests(&call.requests, &mut text);
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

/// Those that differ in the same places as one that is shown already are counted behind it.
fn requests(all: &[RequestDifference], text: &mut String) {
    let mut kinds: Vec<(&RequestDifference, usize)> = vec![];
    for request in all {
        match kinds.iter_mut().find(|(shown, _)| is_like(shown, request)) {
            Some((_, more)) => *more += 1,
            None => kinds.push((request, 0)),
        }
    }
    for (request, more) in kinds {
        one(request, text);
        if more > 0 {
            let _ = writeln!(text, "      and {more} more like it");
        }
    }
}

fn is_like(one: &RequestDifference, other: &RequestDifference) -> bool {
    use RequestDifference::{Changed, Gone, New};
    // Of a path what is shown of it; what stands in its place may be as long as it likes.
    let shape = |request: &str| -> String {
        let mut shape: Vec<char> = request.chars().collect();
        shape.dedup();
        shape.into_iter().collect()
    };
    let at = |all: &[Change]| {
        all.iter()
            .map(|change| change.at.clone())
            .collect::<Vec<_>>()
    };
    let requests = match (one, other) {
        (
            Changed {
                request: one,
                changes,
                ..
            },
            Changed {
                request: other,
                changes: others,
                ..
            },
        ) if at(changes) == at(others) => (one, other),
        (Gone { request: one }, Gone { request: other })
        | (New { request: one, .. }, New { request: other, .. }) => (one, other),
        _ => return false,
    };
    one.denied() == other.denied() && shape(requests.0) == shape(requests.1)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(request: &str, at: &str, is: &str) -> RequestDifference {
        RequestDifference::Changed {
            request: request.to_owned(),
            changes: vec![Change {
                at: at.to_owned(),
                was: None,
                is: Some(is.to_owned()),
            }],
            denied: None,
        }
    }

    #[test]
    fn a_thousand_of_one_kind_are_one_and_a_number() {
        let mut all = vec![changed("POST /users/xxx", "body/a", "x")];
        all.extend((0..998).map(|_| changed("POST /users/xxxxx", "body/a", "xx")));
        all.push(changed("POST /users/xxx", "body/b", "x"));
        all.push(RequestDifference::Order);
        let mut text = String::new();
        requests(&all, &mut text);
        let expected = "  ~ POST /users/xxx\n      body/a: nothing  →  x\n      and 998 more like it\n  \
            ~ POST /users/xxx\n      body/b: nothing  →  x\n  the requests go out in another order\n";
        assert_eq!(text, expected);
    }
}
