//! Sends headers without end, or one without end: a row's cell says which.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| {
            let mut request = request("POST", "/users");
            request.headers = match what {
                "many" => (0..10_000)
                    .map(|n| (format!("x-{n}"), "v".to_owned()))
                    .collect(),
                "large" => vec![("x-large".to_owned(), "v".repeat(1 << 20))],
                "long name" => vec![("x".repeat(100_000), "v".to_owned())],
                "query" => {
                    request.query = vec![("q".to_owned(), "v".repeat(1 << 20))];
                    vec![]
                }
                "path" => {
                    request.method = "GET".to_owned();
                    request.path = format!("/answers/{}", "p".repeat(1 << 20));
                    vec![]
                }
                _ => vec![],
            };
            outcome(&http::send(&request))
        }))
    }
}

hostile!(Guest);
