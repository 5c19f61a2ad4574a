//! Live delivery: one request for a whole batch, and halves of it where the receiver refuses it.

use sluice_guest::http::{Body, Failure, Request, Response};
use sluice_guest::{Batch, Delivery, Problem, Rejection, Row, Rows};

use crate::answer::{Verdict, judge};
use crate::member::{KEY, Plan, word};
use crate::options::Options;
use crate::request;

/// Sends a batch by `send`. In order: a later change of a member never goes out before an earlier one.
pub fn deliver(
    batch: &Batch,
    plan: &Plan,
    options: &Options,
    mut send: impl FnMut(&Request) -> Result<Response, Failure>,
) -> Delivery {
    let mut delivery = Delivery {
        rejected: vec![],
        retry: vec![],
        why: None,
        extra: vec![],
    };
    let mut rows: Vec<Row<'_>> = vec![];
    for row in Rows::new(batch, plan.columns()).iter() {
        match plan.key(&row) {
            Ok(_) => rows.push(row),
            Err(refusal) => delivery.rejected.push(Rejection {
                row: row.index,
                field: Some(KEY.to_owned()),
                reason: format!("`{KEY}` {}", refusal.0),
            }),
        }
    }
    // What is still to be sent, the next one last.
    let mut ahead = vec![&rows[..]];
    while let Some(some) = ahead.pop() {
        let [first, ..] = some else { continue };
        if delivery.why.is_some() {
            delivery.retry.extend(some.iter().map(|row| row.index));
            continue;
        }
        let answer = send(&changes(some, plan, options));
        match judge(&answer, "members_path") {
            Verdict::Done(body) => {
                let refused = body["rejected"].as_array().into_iter().flatten();
                let indices = refused.filter_map(|row| row["index"].as_u64());
                let mut indices: Vec<_> = indices.collect();
                indices.sort_unstable();
                indices.dedup();
                let rows = indices.iter().filter_map(|&index| some.get(index as usize));
                delivery.rejected.extend(rows.map(|row| Rejection {
                    row: row.index,
                    field: None,
                    reason: "the receiver rejected it".to_owned(),
                }));
            }
            Verdict::Refused(status) if some.len() == 1 => delivery.rejected.push(Rejection {
                row: first.index,
                field: None,
                reason: format!("the receiver answered {status}"),
            }),
            // One of them is at fault, and the others are not: look for it.
            Verdict::Refused(_) => {
                let (front, back) = some.split_at(some.len() / 2);
                ahead.extend([back, front]);
            }
            Verdict::Problem(problem) => stop(&mut delivery, some, problem),
        }
    }
    delivery
}

/// From here on everything has to wait.
fn stop(delivery: &mut Delivery, rows: &[Row<'_>], problem: Problem) {
    delivery.retry.extend(rows.iter().map(|row| row.index));
    delivery.why = Some(problem);
}

/// An array of changes.
fn changes(rows: &[Row<'_>], plan: &Plan, options: &Options) -> Request {
    let mut body = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        body += &format!("{comma}{{\"change\":\"{}\",\"member\":", word(row.change));
        plan.write(row, &mut body);
        body.push('}');
    }
    body.push(']');
    Request {
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Body::Bytes(body.into_bytes()),
        ..request("POST", &options.members_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_guest::Column;

    fn response(status: u16, body: &str) -> Result<Response, Failure> {
        Ok(Response {
            status,
            headers: vec![],
            body: body.into(),
            extra: vec![],
        })
    }

    /// Delivers rows with these ids; answers what came of them, and the bodies that were sent.
    fn delivered(
        ids: &[&str],
        answer: impl Fn(&str) -> Result<Response, Failure>,
    ) -> (Delivery, Vec<String>) {
        let plan = Plan::new(&[Column {
            source: "id".to_owned(),
            destination: "id".to_owned(),
        }]);
        let batch = Batch {
            rows: ids.len() as u32,
            cells: ids.concat(),
            ends: (1..=ids.len())
                .map(|n| ids[..n].concat().len() as u32)
                .collect(),
            kinds: vec![2; ids.len()],
            changes: vec![2; ids.len()],
            extra: vec![],
        };
        let mut bodies = vec![];
        let send = |request: &Request| {
            let Body::Bytes(body) = &request.body else {
                panic!("no body")
            };
            bodies.push(String::from_utf8(body.clone()).unwrap());
            answer(bodies.last().unwrap())
        };
        let delivery = deliver(&batch, &plan.unwrap(), &Options::default(), send);
        (delivery, bodies)
    }

    #[test]
    fn a_batch_is_one_request_and_an_empty_one_is_none() {
        let (delivery, bodies) = delivered(&["a", "b"], |_| response(200, ""));
        assert!(delivery.rejected.is_empty() && delivery.retry.is_empty());
        let [body] = &bodies[..] else {
            panic!("{bodies:?}")
        };
        assert_eq!(
            body,
            r#"[{"change":"update","member":{"id":"a"}},{"change":"update","member":{"id":"b"}}]"#
        );
        assert!(delivered(&[], |_| response(200, "")).1.is_empty());
    }

    #[test]
    fn the_row_at_fault_is_found_and_the_others_are_sent_in_order() {
        let ids = ["a", "b", "bad", "c", "d"];
        let (delivery, bodies) = delivered(&ids, |body| {
            response(if body.contains("\"bad\"") { 422 } else { 200 }, "")
        });
        let rejected: Vec<_> = delivery.rejected.iter().map(|row| row.row).collect();
        assert_eq!((rejected, delivery.retry), (vec![2], vec![]));
        let taken: Vec<_> = bodies.iter().filter(|body| !body.contains("bad")).collect();
        assert!(taken[0].contains("\"a\"") && taken.last().unwrap().contains("\"d\""));
    }

    #[test]
    fn rows_that_the_answer_names_are_rejected() {
        let body = r#"{"rejected": [{"index": 1}, {"index": 1}, {"index": 9}]}"#;
        let (delivery, _) = delivered(&["a", "b"], |_| response(200, body));
        assert_eq!(delivery.rejected.len(), 1);
        assert_eq!(delivery.rejected[0].row, 1);
    }

    #[test]
    fn after_trouble_nothing_more_is_sent() {
        let (delivery, bodies) = delivered(&["a", "bad", "c", "d"], |body| {
            response(if body.contains("bad") { 422 } else { 503 }, "")
        });
        // The whole, its first half, and `a` alone, which was not taken.
        assert_eq!(bodies.len(), 3, "{bodies:?}");
        assert_eq!(delivery.retry, [0, 1, 2, 3]);
        assert!(matches!(delivery.why, Some(Problem::Transient(_))));
    }
}
