//! What a component may ask for: routes of its manifest below the endpoint of the authorization, as
//! far as the operator has not narrowed them. Pure: every decision can be explained without sending
//! anything.

use serde_json::{Map, Value};
use url::Url;

use super::path::well_formed;
use super::route::{METHODS, Mismatch, Pattern, RouteError, RouteGrant, fill};
use super::{Endpoint, StagedFile, headers};
use crate::plugin::types::{Body, Content, Manifest, Request, Route};
use crate::usage::Denied;

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The method is none of a component's.
    #[error("the method must be one of {METHODS}", METHODS = METHODS.join(", "))]
    Method,
    /// The path is malformed.
    #[error(
        "the path must begin with `/` and hold no empty segment, `.`, `..`, `?`, `#`, backslash or \
         control character, nor anything that a server could decode to one"
    )]
    Path,
    /// No route allows it. The path is the guest's, and may hold member data: not shown.
    #[error("no route of the manifest allows this {method} request")]
    Route {
        /// The method asked for.
        method: String,
    },
    /// The manifest has a route for it, and the operator left it out.
    #[error(
        "the manifest asks for this {method} route, and the operator's `routes` of the authorization \
         do not grant it"
    )]
    Narrowed {
        /// The method asked for.
        method: String,
    },
    /// A guest that writes whole URLs names another host. Which one is the guest's: not shown.
    #[error(
        "the URL is not below the endpoint of the authorization; name that, or `https://destination/` and \
         the path below it"
    )]
    OtherHost,
    /// A header that is the host's business.
    #[error("header `{0}` is set by the host and by nobody else")]
    HostHeader(String),
    /// A header that no request may have.
    #[error("a header's name or value holds a character that no header may hold")]
    BadHeader,
    /// The function that asks only computes.
    #[error("`{0}` may make no requests; `check`, `submit`, `poll` and `deliver` may")]
    Function(&'static str),
    /// A part names a file that this call was not given.
    #[error("a part names a staged file that this call was not given")]
    StagedFile,
    /// A part's name, file name or type would break out of its header.
    #[error("a part's name, file name or content type holds a character that none may hold")]
    BadPart,
}

impl Denial {
    /// The kind of reason, under which it is counted.
    pub(crate) fn kind(&self) -> Denied {
        match self {
            Self::Path => Denied::Path,
            Self::Method | Self::Route { .. } | Self::Narrowed { .. } => Denied::Route,
            Self::HostHeader(_) | Self::BadHeader => Denied::Header,
            Self::StagedFile => Denied::StagedFile,
            Self::BadPart => Denied::Part,
            Self::Function(_) => Denied::Function,
            Self::OtherHost => Denied::Other,
        }
    }
}

/// What one authorization's plugin may ask for under one export's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) endpoint: Endpoint,
    pub(super) rules: Vec<Rule>,
    /// What the operator grants of the manifest's routes; all of them, if nothing is said.
    pub(super) narrowed: Option<Vec<RouteGrant>>,
    pub(super) credential_headers: Vec<String>,
    pub(super) cookie: bool,
}

/// One kind of request that the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub pattern: Pattern,
    /// As the manifest has it.
    pub written: String,
    pub purpose: String,
}

/// A decision about one request, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where it would go, or why it would not.
    pub decision: Result<Url, Denial>,
    /// The manifest's route that it is of.
    pub route: Option<ManifestRoute>,
    /// If it is of none: those of the manifest, the nearest first, and why it is not theirs.
    pub others: Vec<(ManifestRoute, Mismatch)>,
    /// The operator's routes, if there are any.
    pub narrowed: Option<Vec<String>>,
    /// The one of these that grants it.
    pub grant: Option<String>,
}

/// Of which route a request is, for a line in the log. Holds nothing of the request's own text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The method, if there is one of that name for components.
    pub method: &'static str,
    /// The route with options filled in; or the nearest, and why it is not that one.
    pub route: String,
}

/// A route as the manifest asks for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ManifestRoute {
    /// As it is written there.
    pub written: String,
    /// With the export's options filled in.
    pub means: String,
    /// What for.
    pub purpose: String,
}

impl Policy {
    /// The routes of the manifest below this endpoint, options filled in.
    ///
    /// # Errors
    /// A route that can not be used.
    pub fn new(
        endpoint: Endpoint,
        manifest: &Manifest,
        options: &Map<String, Value>,
    ) -> Result<Self, RouteError> {
        let schema: Value = serde_json::from_str(&manifest.options_schema).unwrap_or_default();
        let rule = |route: &Route| {
            let method = fill(&route.method, options, &schema)?;
            let path = fill(&route.path, options, &schema)?;
            Ok(Rule {
                pattern: Pattern::new(&method, &path)?,
                written: format!("{} {}", route.method, route.path),
                purpose: route.purpose.clone(),
            })
        };
        let credential_headers = manifest
            .auth_methods
            .iter()
            .flat_map(|method| &method.headers)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        Ok(Self {
            endpoint,
            rules: manifest.routes.iter().map(rule).collect::<Result<_, _>>()?,
            narrowed: None,
            credential_headers,
            cookie: declared_headers(manifest).any(|name| name.eq_ignore_ascii_case("cookie")),
        })
    }

    /// The same, with no more than what these grant as well.
    pub fn narrowed(self, grants: Vec<RouteGrant>) -> Self {
        Self {
            narrowed: Some(grants),
            ..self
        }
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The manifest's routes, options filled in.
    pub fn routes(&self) -> impl Iterator<Item = String> {
        self.rules.iter().map(|rule| rule.pattern.to_string())
    }

    /// What it comes to, for people and for comparing two versions of a plugin: where requests go, and the
    /// routes that the operator has not left out.
    pub fn granted(&self) -> Vec<String> {
        let granted = |rule: &&Rule| {
            let grants = self.narrowed.as_ref();
            grants.is_none_or(|grants| grants.iter().any(|grant| rule.pattern.meets(&grant.0)))
        };
        let rules = self.rules.iter().filter(granted);
        let routes = rules.map(|rule| rule.pattern.to_string());
        std::iter::once(format!("requests to {}", self.endpoint))
            .chain(routes)
            .collect()
    }

    /// Whether a grant is about any of the manifest's routes.
    pub fn asks_for(&self, grant: &RouteGrant) -> bool {
        self.rules.iter().any(|rule| rule.pattern.meets(&grant.0))
    }

    /// The URL that a request goes to.
    ///
    /// # Errors
    /// Why it does not go anywhere.
    pub fn judge(&self, request: &Request, staged: Option<&StagedFile>) -> Result<Url, Denial> {
        let url = self.judge_route(&request.method, &request.path, &request.query)?;
        headers::check(request, &self.credential_headers, self.cookie)?;
        if let Body::Multipart(parts) = &request.body {
            for part in parts {
                if !headers::part_is_contained(part) {
                    return Err(Denial::BadPart);
                }
                if let Content::Staged(id) = &part.content
                    && staged.is_none_or(|file| file.id != *id)
                {
                    return Err(Denial::StagedFile);
                }
            }
        }
        Ok(url)
    }

    /// What would become of a request without a header or a body, and why.
    pub fn explain(&self, method: &str, path: &str) -> Explanation {
        let of_rule = |rule: &Rule| ManifestRoute {
            written: rule.written.clone(),
            means: rule.pattern.to_string(),
            purpose: rule.purpose.clone(),
        };
        let matches = |rule: &&Rule| rule.pattern.mismatch(method, path).is_none();
        let route = self.rules.iter().find(matches).map(of_rule);
        let mut others: Vec<_> = self
            .rules
            .iter()
            .filter_map(|rule| Some((of_rule(rule), rule.pattern.mismatch(method, path)?)))
            .collect();
        others.sort_by_key(|(_, mismatch)| mismatch.distance());
        if route.is_some() {
            others.clear();
        }
        let grants = self.narrowed.iter().flatten();
        Explanation {
            decision: self.judge_route(method, path, &[]),
            route,
            others,
            narrowed: self
                .narrowed
                .as_ref()
                .map(|grants| grants.iter().map(ToString::to_string).collect()),
            grant: grants
                .filter(|grant| grant.0.mismatch(method, path).is_none())
                .map(ToString::to_string)
                .next(),
        }
    }

    /// Of which route a request is.
    pub(super) fn place(&self, method: &str, path: &str) -> Place {
        if self.endpoint.denial_of_url(path).is_some() {
            return Place::elsewhere(method);
        }
        let measured = |rule: &Rule| {
            let mismatch = rule.pattern.mismatch(method, path);
            (mismatch.map_or(0, |why| 1 + why.distance()), mismatch)
        };
        let rules = self.rules.iter().map(|rule| (rule, measured(rule)));
        let route = match rules.min_by_key(|(_, (distance, _))| *distance) {
            None => "none".to_owned(),
            Some((rule, (_, None))) => rule.pattern.to_string(),
            Some((rule, (_, Some(why)))) => format!("none; the nearest is {}: {why}", rule.pattern),
        };
        Place {
            method: known(method),
            route,
        }
    }

    fn judge_route(
        &self,
        method: &str,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Url, Denial> {
        if !METHODS.contains(&method) {
            return Err(Denial::Method);
        }
        if let Some(denial) = self.endpoint.denial_of_url(path) {
            return Err(denial);
        }
        if !well_formed(path) {
            return Err(Denial::Path);
        }
        let matches = |pattern: &Pattern| pattern.mismatch(method, path).is_none();
        let method = method.to_owned();
        if !self.rules.iter().any(|rule| matches(&rule.pattern)) {
            return Err(Denial::Route { method });
        }
        let narrowed = self.narrowed.as_ref();
        if narrowed.is_some_and(|grants| !grants.iter().any(|grant| matches(&grant.0))) {
            return Err(Denial::Narrowed { method });
        }
        let url = self.endpoint.join(path, query);
        // Whatever a URL makes of it: it stays below the endpoint.
        match self.endpoint.holds(&url) {
            true => Ok(url),
            false => Err(Denial::Path),
        }
    }
}

impl Place {
    /// That of a request whose URL is none of the destination's.
    fn elsewhere(method: &str) -> Self {
        Self {
            method: known(method),
            route: "none".to_owned(),
        }
    }
}

/// A method as lines show it: what a guest made up is not repeated.
fn known(method: &str) -> &'static str {
    let known = METHODS.iter().find(|known| **known == method);
    known.copied().unwrap_or("unknown")
}

/// Headers that a manifest says its requests may set though they are the host's by default.
pub fn declared_headers(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest
        .extra
        .iter()
        .filter(|(key, _)| key == "request-header")
        .map(|(_, name)| name.as_str())
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
