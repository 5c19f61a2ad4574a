//! What a component may ask for: routes of its manifest below the endpoint of the authorization.
//! Pure: every decision can be explained without sending anything.

use http::header::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::StagedFile;
use crate::plugin::types::{Body, Content, Manifest, Request};

/// Where an authorization's requests go: scheme, host, port and the path that all begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

/// Why a text is no endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It does not parse.
    #[error("`{0}` is no URL; expected something like `https://api.example.com/v3`")]
    NotAUrl(String),
    /// Plain HTTP was not granted.
    #[error("the endpoint is plain http; use https, or grant it with `allow_http = true`")]
    Insecure,
    /// It has parts that no endpoint may have.
    #[error("an endpoint has no user, password, query or fragment")]
    Extra,
}

/// What stands in a path segment as it is; everything else is escaped.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Endpoint {
    /// Reads an endpoint.
    ///
    /// # Errors
    /// Not a URL, not https without the grant, or with parts that an endpoint may not have.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, EndpointError> {
        let mut url = Url::parse(text).map_err(|_| EndpointError::NotAUrl(text.to_owned()))?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err(EndpointError::Insecure),
            _ => return Err(EndpointError::NotAUrl(text.to_owned())),
        }
        let extra = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if extra || url.host().is_none() {
            return Err(EndpointError::Extra);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL for a path below it, each segment escaped.
    fn join(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.0.clone();
        let escaped: String = path
            .split('/')
            .skip(1)
            .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
            .collect();
        let base = self.0.path().trim_end_matches('/');
        url.set_path(&format!("{base}{escaped}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// One kind of request that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    method: String,
    /// `None` stands for any one segment.
    segments: Vec<Option<String>>,
}

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
        "route `{0}`: a path begins with `/` and has no empty segment, `.`, `..`, query or fragment"
    )]
    BadPath(String),
}

/// Why a request is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The path is malformed.
    #[error(
        "the path must begin with `/` and hold no empty segment, `.`, `..`, backslash or control character"
    )]
    Path,
    /// No route allows it. The path is the guest's, and may hold member data: not shown.
    #[error("no route of the manifest allows this {method} request")]
    Route {
        /// The method asked for, if it is one.
        method: String,
    },
    /// A header that is the host's business.
    #[error("header `{0}` is set by the host and by nobody else")]
    HostHeader(String),
    /// A header that no request may have.
    #[error("a header's name or value holds a character that no header may hold")]
    BadHeader,
    /// A part names a file that this call was not given.
    #[error("a part names a staged file that this call was not given")]
    StagedFile,
    /// A part's name, file name or type would break out of its header.
    #[error("a part's name, file name or content type holds a character that none may hold")]
    BadPart,
}

/// Headers that are the host's: the credential, the connection, the body's framing.
const HOST_HEADERS: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

/// What one authorization's plugin may ask for under one export's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    endpoint: Endpoint,
    rules: Vec<Rule>,
    credential_headers: Vec<String>,
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
        let rules = manifest
            .routes
            .iter()
            .map(|route| {
                let method = fill(&route.method, options, &schema)?;
                let path = fill(&route.path, options, &schema)?;
                if !well_formed(&path) {
                    return Err(RouteError::BadPath(path));
                }
                let segments = path
                    .split('/')
                    .skip(1)
                    .map(|segment| match segment {
                        "*" => None,
                        hole if hole.starts_with('{') && hole.ends_with('}') => None,
                        fixed => Some(fixed.to_owned()),
                    })
                    .collect();
                Ok(Rule { method, segments })
            })
            .collect::<Result<_, _>>()?;
        let credential_headers = manifest
            .auth_methods
            .iter()
            .flat_map(|method| &method.headers)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        Ok(Self {
            endpoint,
            rules,
            credential_headers,
        })
    }

    /// Where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The URL that a request goes to.
    ///
    /// # Errors
    /// Why it does not go anywhere.
    pub fn judge(&self, request: &Request, staged: Option<&StagedFile>) -> Result<Url, Denial> {
        if !well_formed(&request.path) {
            return Err(Denial::Path);
        }
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        let allowed =
            self.rules.iter().any(|rule| {
                rule.method == request.method
                    && rule.segments.len() == segments.len()
                    && rule.segments.iter().zip(&segments).all(|(rule, segment)| {
                        rule.as_deref().is_none_or(|fixed| fixed == *segment)
                    })
            });
        if !allowed {
            let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
            let method = known
                .iter()
                .find(|m| **m == request.method)
                .unwrap_or(&"unknown");
            return Err(Denial::Route {
                method: (*method).to_owned(),
            });
        }
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Denial::BadHeader)?;
            HeaderValue::from_str(value).map_err(|_| Denial::BadHeader)?;
            let taken = HOST_HEADERS.contains(&name.as_str())
                || self
                    .credential_headers
                    .iter()
                    .any(|header| header == name.as_str())
                || (name == "content-type" && matches!(request.body, Body::Multipart(_)));
            if taken {
                return Err(Denial::HostHeader(name.as_str().to_owned()));
            }
        }
        if let Body::Multipart(parts) = &request.body {
            for part in parts {
                let texts = [
                    Some(&part.name),
                    part.file_name.as_ref(),
                    part.content_type.as_ref(),
                ];
                if texts
                    .into_iter()
                    .flatten()
                    .any(|text| text.chars().any(char::is_control))
                {
                    return Err(Denial::BadPart);
                }
                if let Content::Staged(id) = &part.content
                    && staged.is_none_or(|file| file.id != *id)
                {
                    return Err(Denial::StagedFile);
                }
            }
        }
        Ok(self.endpoint.join(&request.path, &request.query))
    }
}

/// A whole text of the form `{option:name}` becomes the option's value or default.
fn fill(text: &str, options: &Map<String, Value>, schema: &Value) -> Result<String, RouteError> {
    let Some(option) = text
        .strip_prefix("{option:")
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return Ok(text.to_owned());
    };
    options
        .get(option)
        .or_else(|| schema.pointer(&format!("/properties/{option}/default")))
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| RouteError::NoOption {
            route: text.to_owned(),
            option: option.to_owned(),
        })
}

/// A path whose segments are plain text: nothing that a server could read as a way out.
fn well_formed(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    rest.split('/').all(|segment| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && !segment.chars().any(|c| c.is_control() || c == '\\')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::types::{AuthMethod, Limits, Part, Route};
    use serde_json::json;

    fn manifest() -> Manifest {
        let route = |method: &str, path: &str| Route {
            method: method.to_owned(),
            path: path.to_owned(),
            purpose: String::new(),
        };
        Manifest {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            auth_methods: vec![AuthMethod {
                id: "key".to_owned(),
                label: String::new(),
                credentials: vec![],
                headers: vec![("X-Key".to_owned(), "{key}".to_owned())],
            }],
            endpoint: String::new(),
            routes: vec![
                route("POST", "/users"),
                route("GET", "{option:job_path}"),
                route("{option:method}", "/users/*"),
            ],
            fields: vec![],
            custom_fields: None,
            options_schema: json!({"properties": {"job_path": {"default": "/jobs/{id}"}}})
                .to_string(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 0,
                deliver_rows: 0,
            },
            extra: vec![],
        }
    }

    fn policy() -> Policy {
        let endpoint = Endpoint::parse("https://api.test/v3/", false).unwrap();
        let options = json!({"method": "PATCH"}).as_object().unwrap().clone();
        Policy::new(endpoint, &manifest(), &options).unwrap()
    }

    fn request(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: vec![],
            headers: vec![],
            body: Body::None,
            extra: vec![],
        }
    }

    #[test]
    fn only_routes_of_the_manifest_are_allowed() {
        for (method, path, expected) in [
            ("POST", "/users", Some("https://api.test/v3/users")),
            ("GET", "/jobs/7", Some("https://api.test/v3/jobs/7")),
            (
                "PATCH",
                "/users/a b?c#d%2f",
                Some("https://api.test/v3/users/a%20b%3Fc%23d%252f"),
            ),
            ("GET", "/users", None),
            ("post", "/users", None),
            ("DELETE", "/users/1", None),
            ("GET", "/jobs", None),
            ("GET", "/jobs/7/rows", None),
            ("GET", "/jobs/..", None),
            ("GET", "/jobs/", None),
            ("POST", "//users", None),
            ("POST", "users", None),
            ("POST", "https://evil.test/users", None),
            ("PATCH", "/users/..\\x", None),
            ("PATCH", "/users/a\r\nb", None),
        ] {
            let url = policy().judge(&request(method, path), None).ok();
            assert_eq!(url.as_ref().map(Url::as_str), expected, "{method} {path:?}");
        }
    }

    #[test]
    fn the_host_escapes_the_query() {
        let mut asked = request("POST", "/users");
        asked.query = vec![("a&b".to_owned(), "c=d#é".to_owned())];
        let url = policy().judge(&asked, None).unwrap();
        assert_eq!(
            url.as_str(),
            "https://api.test/v3/users?a%26b=c%3Dd%23%C3%A9"
        );
    }

    #[test]
    fn headers_of_the_host_are_denied() {
        for (name, value, allowed) in [
            ("accept", "application/json", true),
            ("Content-Type", "application/json", true),
            ("Authorization", "x", false),
            ("host", "evil.test", false),
            ("Content-Length", "0", false),
            ("Transfer-Encoding", "chunked", false),
            ("Cookie", "a=b", false),
            ("x-key", "mine", false),
            ("a", "b\r\nc: d", false),
            ("a b", "c", false),
        ] {
            let mut asked = request("POST", "/users");
            asked.headers = vec![(name.to_owned(), value.to_owned())];
            assert_eq!(policy().judge(&asked, None).is_ok(), allowed, "{name}");
        }
    }

    #[test]
    fn a_part_can_name_only_the_file_of_the_call() {
        let part = |id: &str| Part {
            name: "users".to_owned(),
            file_name: None,
            content_type: None,
            content: Content::Staged(id.to_owned()),
        };
        let file = StagedFile {
            id: "a".to_owned(),
            path: "a.csv".into(),
            bytes: 1,
            sent: Default::default(),
        };
        let mut asked = request("POST", "/users");
        asked.body = Body::Multipart(vec![part("a")]);
        assert!(policy().judge(&asked, Some(&file)).is_ok());
        assert_eq!(policy().judge(&asked, None), Err(Denial::StagedFile));
        asked.body = Body::Multipart(vec![part("../a")]);
        assert_eq!(policy().judge(&asked, Some(&file)), Err(Denial::StagedFile));
        asked.headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        assert!(matches!(
            policy().judge(&asked, Some(&file)),
            Err(Denial::HostHeader(_))
        ));
    }

    #[test]
    fn an_endpoint_is_https_unless_granted_and_bare() {
        assert!(Endpoint::parse("https://a.test", false).is_ok());
        assert_eq!(
            Endpoint::parse("http://a.test", false),
            Err(EndpointError::Insecure)
        );
        assert!(Endpoint::parse("http://127.0.0.1:80/v3", true).is_ok());
        assert_eq!(
            Endpoint::parse("https://u:p@a.test", false),
            Err(EndpointError::Extra)
        );
        assert_eq!(
            Endpoint::parse("https://a.test?x", false),
            Err(EndpointError::Extra)
        );
        assert!(matches!(
            Endpoint::parse("a.test/v3", false),
            Err(EndpointError::NotAUrl(_))
        ));
        assert!(matches!(
            Endpoint::parse("file:///etc", true),
            Err(EndpointError::NotAUrl(_))
        ));
    }

    #[test]
    fn a_route_needs_its_option() {
        let endpoint = Endpoint::parse("https://a.test", false).unwrap();
        let error = Policy::new(endpoint.clone(), &manifest(), &Map::new()).unwrap_err();
        assert!(matches!(error, RouteError::NoOption { option, .. } if option == "method"));
        let options = json!({"method": "PATCH", "job_path": "/a/../b"})
            .as_object()
            .unwrap()
            .clone();
        assert!(matches!(
            Policy::new(endpoint, &manifest(), &options),
            Err(RouteError::BadPath(_))
        ));
    }
}
