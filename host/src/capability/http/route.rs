//! Routes: a method and a pattern of path segments, as a manifest declares them and as an operator
//! narrows them. Pure.

use serde_json::{Map, Value};

use super::path::well_formed;

/// The methods that there are for a component.
pub(super) const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// A method and a pattern for paths: fixed segments, and `*` for any one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    method: String,
    /// `None` stands for any one segment.
    segments: Vec<Option<String>>,
}

/// A route that the operator grants, of those that the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteGrant(pub(super) Pattern);

/// Why a text grants no route.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no route; expected something like `POST /users` or `GET /jobs/*`, with a method of {METHODS}",
    METHODS = METHODS.join(", ")
)]
pub struct RouteGrantError(String);

/// Why a manifest's route could not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// It names an option without a value.
    #[error("route `{route}` needs option `{option}`, which has no value and no default")]
    NoOption {
        /// The route, as the manifest has it.
        route: String,
        /// The option.
        option: String,
    },
    /// Its path is not one.
    #[error(
        "route `{0}`: a path begins with `/` and has no empty segment, `.`, `..`, query or fragment, \
         nor anything that spells one"
    )]
    BadPath(String),
    /// Its method is not one.
    #[error("route with method `{0}`: expected one of {METHODS}", METHODS = METHODS.join(", "))]
    BadMethod(String),
}

impl RouteGrant {
    /// Reads `METHOD /path`, where a segment `*` stands for any one.
    ///
    /// # Errors
    /// It is no route.
    pub fn parse(text: &str) -> Result<Self, RouteGrantError> {
        let error = || RouteGrantError(text.to_owned());
        let (method, path) = text.split_once(' ').ok_or_else(error)?;
        let pattern = Pattern::new(method, path.trim_start()).map_err(|_| error())?;
        Ok(Self(pattern))
    }
}

impl std::fmt::Display for RouteGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Pattern {
    pub fn new(method: &str, path: &str) -> Result<Self, RouteError> {
        if !METHODS.contains(&method) {
            return Err(RouteError::BadMethod(method.to_owned()));
        }
        if !well_formed(path) {
            return Err(RouteError::BadPath(path.to_owned()));
        }
        let segment = |segment: &str| match segment {
            "*" => None,
            hole if hole.starts_with('{') && hole.ends_with('}') => None,
            fixed => Some(fixed.to_owned()),
        };
        Ok(Self {
            method: method.to_owned(),
            segments: path.split('/').skip(1).map(segment).collect(),
        })
    }

    /// Why a request is none of this route's, if it is not.
    pub fn mismatch(&self, method: &str, path: &str) -> Option<Mismatch> {
        if self.method != method {
            return Some(Mismatch::Method);
        }
        let count = path.split('/').skip(1).count();
        if count != self.segments.len() {
            return Some(Mismatch::Length(count, self.segments.len()));
        }
        let segments = path.split('/').skip(1);
        let differs = |(rule, found): (&Option<String>, &str)| {
            rule.as_deref().is_some_and(|fixed| fixed != found)
        };
        let mut pairs = self.segments.iter().zip(segments);
        pairs.position(differs).map(|at| Mismatch::Segment(at + 1))
    }

    /// Whether some request could be of both.
    pub fn meets(&self, other: &Self) -> bool {
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| !matches!(pair, (Some(one), Some(other)) if one != other))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.method)?;
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.as_deref().unwrap_or("*")))
    }
}

/// What makes a request none of a route's. Says nothing of the request's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another method.
    #[error("another method")]
    Method,
    /// So many segments, and not so many.
    #[error("the path has {0} segments, the route {1}")]
    Length(usize, usize),
    /// The segment of this number, from one.
    #[error("segment {0} of the path is another")]
    Segment(usize),
}

impl Mismatch {
    /// How far off it is: the least first.
    pub(super) fn distance(self) -> usize {
        match self {
            Self::Segment(_) => 0,
            Self::Length(..) => 1,
            Self::Method => 2,
        }
    }
}

/// A whole text of the form `{option:name}` becomes the option's value or default.
pub(super) fn fill(
    text: &str,
    options: &Map<String, Value>,
    schema: &Value,
) -> Result<String, RouteError> {
    let Some(option) = text
        .strip_prefix("{option:")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return Ok(text.to_owned());
    };
    options
        .get(option)
        .or_else(|| schema.get("properties")?.get(option)?.get("default"))
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| RouteError::NoOption {
            route: text.to_owned(),
            option: option.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> RouteGrant {
        RouteGrant::parse(text).unwrap()
    }

    #[test]
    fn a_grant_is_a_method_and_a_path() {
        assert_eq!(grant("GET /jobs/*").to_string(), "GET /jobs/*");
        assert_eq!(grant("GET /jobs/{id}"), grant("GET  /jobs/*"));
        for text in [
            "GET",
            "/users",
            "get /users",
            "TRACE /users",
            "CONNECT /users",
            "* /users",
            "GET users",
            "GET /users/../admin",
            "GET https://evil.test/users",
        ] {
            assert!(RouteGrant::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_is_of_a_route_or_it_is_said_why_not() {
        let pattern = Pattern::new("GET", "/jobs/*").unwrap();
        for (method, path, why) in [
            ("GET", "/jobs/7", None),
            ("POST", "/jobs/7", Some(Mismatch::Method)),
            ("GET", "/jobs", Some(Mismatch::Length(1, 2))),
            ("GET", "/job/7", Some(Mismatch::Segment(1))),
        ] {
            assert_eq!(pattern.mismatch(method, path), why, "{method} {path}");
        }
    }

    #[test]
    fn patterns_meet_if_one_request_can_be_of_both() {
        for (one, other, meet) in [
            ("GET /jobs/*", "GET /jobs/{id}", true),
            ("GET /jobs/7", "GET /jobs/*", true),
            ("GET /*/7", "GET /jobs/*", true),
            ("GET /jobs/*", "POST /jobs/*", false),
            ("GET /jobs/*", "GET /jobs", false),
            ("GET /users/*", "GET /jobs/*", false),
        ] {
            assert_eq!(grant(one).0.meets(&grant(other).0), meet, "{one} {other}");
        }
    }
}
