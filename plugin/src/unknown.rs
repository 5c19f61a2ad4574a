//! How often the destination did not know a job: one that was just started may appear late, so the first few
//! times it is waited for. Pure.

/// Under which key it is remembered. Jobs are asked about one after the other, so one is enough.
pub const KEY: &str = "unknown-job";

/// So often it may be. The host asks again after a while, and a longer one each time.
const PATIENCE: u32 = 10;

/// What to remember after the destination has not known this job once more; `None`: it was often enough.
pub fn once_more(remembered: Option<&str>, token: &str) -> Option<String> {
    let times = remembered
        .and_then(|text| text.split_once(' '))
        .filter(|(_, of)| *of == token)
        .and_then(|(times, _)| times.parse().ok())
        .unwrap_or(0_u32);
    (times < PATIENCE).then(|| format!("{} {token}", times + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_waited_for_a_few_times_and_another_one_from_the_beginning() {
        let mut remembered = None;
        for times in 1..=PATIENCE {
            remembered = once_more(remembered.as_deref(), "a 1");
            assert_eq!(remembered, Some(format!("{times} a 1")));
        }
        assert_eq!(once_more(remembered.as_deref(), "a 1"), None);
        for begun_anew in [
            remembered.as_deref(),
            None,
            Some("?"),
            Some("x b"),
            Some(""),
        ] {
            assert_eq!(once_more(begun_anew, "b"), Some("1 b".to_owned()));
        }
    }
}
