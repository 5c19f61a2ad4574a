//! What goes wrong on purpose: which request, and how.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// One rule. Of several that match a request, the first that strikes is taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// Strikes every so many matching requests: the third, the sixth, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Strikes the first so many matching requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    #[serde(default)]
    pub seed: u64,
    pub kind: Kind,
    /// The rule is spent after it struck so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// With or without the base path: `/v3/users` and `/users` mean the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answered late, by the wall's time; everything else as usual.
    LatencyMs(u64),
    /// Answered as usual, but not before the rules are replaced by others or by none.
    Held,
    /// Answered like this, without any effect.
    Status(Answer),
    /// The connection is reset, nothing has happened.
    #[default]
    ResetBeforeEffect,
    /// Everything has happened, but the answer is lost.
    ResetAfterEffect,
    /// Everything has happened, the answer's JSON ends in the middle.
    TruncatedJson,
    /// Everything has happened, the answer comes byte by byte with so many milliseconds between.
    SlowDrip(u64),
    /// Everything has happened, the answer is a web page.
    NotJson,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub code: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What happens to the next import jobs. See [`crate::Simulator::release_jobs`] for the end of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRule {
    pub job: JobFault,
    #[serde(default = "once")]
    pub next: u64,
}

fn once() -> u64 {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobFault {
    /// Stays in processing until it is released.
    Stuck,
    /// Fails without taking any row.
    Failed,
    /// Accepted, then forgotten: reading it is answered 404 until it is released.
    Unknown,
}

impl JobFault {
    fn name(self) -> &'static str {
        match self {
            Self::Stuck => "job_stuck",
            Self::Failed => "job_failed",
            Self::Unknown => "job_unknown",
        }
    }

    /// Whether such a job never ends by itself.
    pub(crate) fn is_lost(self) -> bool {
        matches!(self, Self::Stuck | Self::Unknown)
    }
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::LatencyMs(_) => "latency_ms",
            Self::Held => "held",
            Self::Status(_) => "status",
            Self::ResetBeforeEffect => "reset_before_effect",
            Self::ResetAfterEffect => "reset_after_effect",
            Self::TruncatedJson => "truncated_json",
            Self::SlowDrip(_) => "slow_drip",
            Self::NotJson => "not_json",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Active>,
    jobs: VecDeque<JobRule>,
    /// How often each kind has struck. Outlives the rules.
    struck: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    seen: u64,
    struck: u64,
    random: u64,
}

impl Faults {
    pub(crate) fn set(&mut self, rules: Vec<Rule>, jobs: Vec<JobRule>) {
        self.rules = rules
            .into_iter()
            .map(|rule| Active {
                seen: 0,
                struck: 0,
                random: rule.seed,
                rule,
            })
            .collect();
        self.jobs = jobs.into();
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.rules
            .iter()
            .map(|active| active.rule.clone())
            .collect()
    }

    pub(crate) fn strike(&mut self, method: &str, path: &str, base: &str) -> Option<Kind> {
        let kind = self
            .rules
            .iter_mut()
            .filter(|active| active.rule.matches.covers(method, path, base))
            .find_map(|active| active.strikes().then(|| active.rule.kind.clone()))?;
        self.count(&match &kind {
            Kind::Status(answer) => format!("{}_{}", kind.name(), answer.code),
            kind => kind.name().to_owned(),
        });
        Some(kind)
    }

    /// One more fault of this kind has struck.
    pub(crate) fn count(&mut self, kind: &str) {
        *self.struck.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn struck(&self) -> &BTreeMap<String, u64> {
        &self.struck
    }

    pub(crate) fn next_job(&mut self) -> Option<JobFault> {
        let rule = self.jobs.front_mut()?;
        let fault = rule.job;
        rule.next = rule.next.saturating_sub(1);
        if rule.next == 0 {
            self.jobs.pop_front();
        }
        self.count(fault.name());
        Some(fault)
    }
}

impl Match {
    fn covers(&self, method: &str, path: &str, base: &str) -> bool {
        let inner = path.strip_prefix(base).unwrap_or(path);
        self.method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .path_prefix
                .as_ref()
                .is_none_or(|prefix| path.starts_with(prefix) || inner.starts_with(prefix))
    }
}

impl Active {
    fn strikes(&mut self) -> bool {
        self.seen += 1;
        if self.rule.times.is_some_and(|times| self.struck >= times) {
            return false;
        }
        let strikes = match self.rule {
            Rule { every: Some(n), .. } => n > 0 && self.seen.is_multiple_of(n),
            Rule { first: Some(n), .. } => self.seen <= n,
            Rule {
                probability: Some(p),
                ..
            } => self.chance() < p,
            _ => true,
        };
        self.struck += u64::from(strikes);
        strikes
    }

    /// The next number from 0 to 1 (splitmix64: the same seed gives the same faults).
    fn chance(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(rule: Rule, n: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.set(vec![rule], Vec::new());
        (0..n)
            .map(|_| faults.strike("POST", "/v3/users", "/v3").is_some())
            .collect()
    }

    #[test]
    fn every_first_and_times_count_matching_requests() {
        let every = Rule {
            every: Some(3),
            times: Some(1),
            ..Rule::default()
        };
        assert_eq!(strikes(every, 6), [false, false, true, false, false, false]);
        let first = Rule {
            first: Some(2),
            ..Rule::default()
        };
        assert_eq!(strikes(first, 3), [true, true, false]);
    }

    #[test]
    fn probability_with_the_same_seed_strikes_the_same_requests() {
        let rule = Rule {
            probability: Some(0.3),
            seed: 7,
            ..Rule::default()
        };
        let once = strikes(rule.clone(), 1_000);
        assert_eq!(once, strikes(rule, 1_000));
        let struck = once.iter().filter(|s| **s).count();
        assert!((250..350).contains(&struck), "{struck}");
    }

    #[test]
    fn a_rule_is_for_its_method_and_path_only() {
        let matches = Match {
            method: Some("post".into()),
            path_prefix: Some("/users".into()),
        };
        assert!(matches.covers("POST", "/v3/users", "/v3"));
        assert!(!matches.covers("GET", "/v3/users", "/v3"));
        assert!(!matches.covers("POST", "/v3/import_jobs", "/v3"));
    }

    #[test]
    fn rules_read_as_documented() {
        let text = r#"[{"match": {"method": "POST"}, "every": 2, "kind": "reset_after_effect"},
            {"kind": {"status": {"code": 503, "retry_after": 2}}, "times": 5},
            {"kind": {"latency_ms": 200}}, {"kind": {"slow_drip": 10}}]"#;
        let rules: Vec<Rule> = serde_json::from_str(text).unwrap();
        assert_eq!(rules[0].kind, Kind::ResetAfterEffect);
        assert_eq!(rules[2].kind, Kind::LatencyMs(200));
    }
}
