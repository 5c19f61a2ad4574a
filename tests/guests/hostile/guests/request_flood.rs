//! Sends 100,000 requests: a row's cell says whether one by one, at
//! once, or so that each is denied.

use sluice_hostile::*;

const MANY: usize = 100_000;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| match what {
            "one by one" => tally((0..MANY).map(|_| http::send(&request("POST", "/users")))),
            "denied" => tally((0..MANY).map(|_| http::send(&request("POST", "/admin")))),
            "at once" => {
                let requests = vec![request("POST", "/users"); MANY];
                tally(http::send_all(&requests).into_iter())
            }
            _ => "nothing sent".to_owned(),
        }))
    }
}

fn tally(answers: impl Iterator<Item = Result<http::Response, Failure>>) -> String {
    let (mut answered, mut failed, mut last) = (0, 0, String::new());
    for answer in answers {
        match answer {
            Ok(_) => answered += 1,
            Err(_) => {
                failed += 1;
                last = outcome(&answer);
            }
        }
    }
    format!("{answered} answered, {failed} failed; {last}")
}

hostile!(Guest);
