//! Follows a redirect by itself, in every way that a path leaves it.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |path| {
            match http::send(&request("GET", path)) {
                Ok(answer) => {
                    let location = answer.headers.iter().find(|(name, _)| name == "location");
                    let to = location.map_or("", |(_, value)| value);
                    let beneath = to.split_once("://").map_or(to, |(_, rest)| rest);
                    let ways = [
                        to.to_owned(),
                        format!("/{to}"),
                        format!("//{beneath}"),
                        format!("/answers/{to}"),
                        format!("/answers/@{beneath}"),
                        format!("/answers/..//{beneath}"),
                    ];
                    let outcomes = ways.map(|path| outcome(&http::send(&request("GET", &path))));
                    format!("{} to {to}; {}", answer.status, outcomes.join("; "))
                }
                answer => outcome(&answer),
            }
        }))
    }
}

hostile!(Guest);
