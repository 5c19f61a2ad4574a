//! Whatever a manifest, an operator and a guest say together: what the gate lets through stays
//! below the endpoint, and a form has the parts that were asked for and no other.
//!
//! An input is text, one line a fact (`seeds/egress` shows all of them), so that seeds can be read;
//! `␤` stands for a line break within a fact.

use futures_util::{FutureExt, StreamExt};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use url::Url;

use super::gate::form;
use super::{Endpoint, Policy};
use crate::plugin::types::{AuthMethod, Body, Content, Limits, Manifest, Part, Request, Route};

/// What one input says.
struct Asked {
    endpoint: String,
    allow_http: bool,
    manifest: Manifest,
    options: Map<String, Value>,
    request: Request,
}

impl Asked {
    fn read(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut asked = Self {
            endpoint: "https://api.test/v3".to_owned(),
            allow_http: false,
            manifest: manifest(),
            options: Map::new(),
            request: Request {
                method: "POST".to_owned(),
                path: "/users".to_owned(),
                query: vec![],
                headers: vec![],
                body: Body::None,
                extra: vec![],
            },
        };
        let mut defaults = Map::new();
        let mut parts = vec![];
        for line in text.split('\n') {
            let (fact, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.replace('␤', "\n");
            let pair = |at: char| {
                let (one, two) = rest.split_once(at).unwrap_or((&rest, ""));
                (one.to_owned(), two.to_owned())
            };
            match fact {
                "endpoint" => asked.endpoint = rest,
                "allow_http" => asked.allow_http = true,
                "route" => {
                    let (method, path) = pair(' ');
                    asked.manifest.routes.push(Route {
                        method,
                        path,
                        purpose: String::new(),
                    });
                }
                "credential" => {
                    let headers = &mut asked.manifest.auth_methods[0].headers;
                    headers.push((rest, "{key}".to_owned()));
                }
                "default" => {
                    let (name, value) = pair(' ');
                    defaults.insert(name, json!({ "default": value }));
                }
                "option" => {
                    let (name, value) = pair(' ');
                    asked.options.insert(name, value.into());
                }
                "send" => (asked.request.method, asked.request.path) = pair(' '),
                "query" => asked.request.query.push(pair('=')),
                "header" => asked.request.headers.push(pair(':')),
                "body" => asked.request.body = Body::Bytes(rest.into_bytes()),
                "part" => parts.push(part(&rest)),
                _ => {}
            }
        }
        if !parts.is_empty() {
            asked.request.body = Body::Multipart(parts);
        }
        asked.manifest.options_schema = json!({ "properties": defaults }).to_string();
        asked
    }

    /// The policy, if all of it is usable.
    fn policy(&self) -> Option<Policy> {
        let endpoint = Endpoint::parse(&self.endpoint, self.allow_http).ok()?;
        let again = Endpoint::parse(&endpoint.to_string(), self.allow_http);
        assert_eq!(again.as_ref(), Ok(&endpoint), "what is shown is not it");
        Policy::new(endpoint, &self.manifest, &self.options).ok()
    }
}

/// A name, a file name, a type and a content, `|` between them; nothing where there is none.
fn part(text: &str) -> Part {
    let mut texts = text.splitn(4, '|').map(str::to_owned);
    let mut next = || texts.next().unwrap_or_default();
    Part {
        name: next(),
        file_name: Some(next()).filter(|name| !name.is_empty()),
        content_type: Some(next()).filter(|kind| !kind.is_empty()),
        content: match next() {
            id if id.starts_with("staged:") => Content::Staged(id),
            text => Content::Bytes(text.into_bytes()),
        },
    }
}

fn manifest() -> Manifest {
    Manifest {
        name: "fuzz".to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        auth_methods: vec![AuthMethod {
            id: "key".to_owned(),
            label: String::new(),
            credentials: vec![],
            headers: vec![],
        }],
        endpoint: String::new(),
        routes: vec![],
        fields: vec![],
        custom_fields: None,
        options_schema: "{}".to_owned(),
        limits: Limits {
            file_bytes: 0,
            file_rows: 0,
            stage_rows: 0,
            deliver_rows: 0,
        },
        extra: vec![],
    }
}

/// A request that is let through goes where the operator and the manifest said, whatever its path,
/// query and headers are made of.
pub fn egress(data: &[u8]) {
    let asked = Asked::read(data);
    let Some(policy) = asked.policy() else { return };
    match policy.judge(&asked.request, None) {
        Ok(url) => allowed(&asked, &url),
        // It is shown to people: what the guest chose must not forge a line.
        Err(denial) => assert!(!denial.to_string().contains(char::is_control), "{denial:?}"),
    }
}

fn allowed(asked: &Asked, url: &Url) {
    let endpoint = Url::parse(&asked.endpoint).expect("it was an endpoint");
    assert!(url.scheme() == "https" || (url.scheme() == "http" && asked.allow_http));
    assert_eq!(url.scheme(), endpoint.scheme());
    assert_eq!(url.host(), endpoint.host());
    assert_eq!(
        url.port_or_known_default(),
        endpoint.port_or_known_default()
    );
    assert_eq!((url.username(), url.password()), ("", None));
    assert_eq!(url.fragment(), None);
    // Whoever reads the text once more comes to the same place.
    assert_eq!(Url::parse(url.as_str()).as_ref(), Ok(url));
    let plain = |c: char| c.is_ascii_graphic();
    assert!(url.as_str().chars().all(plain), "{url}");

    let base = endpoint.path().trim_end_matches('/');
    let below = url.path().strip_prefix(base).expect("below the endpoint");
    let segments: Vec<String> = below
        .split('/')
        .skip(1)
        .map(|segment| {
            percent_decode_str(segment)
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    let wanted: Vec<&str> = asked.request.path.split('/').skip(1).collect();
    assert_eq!(segments, wanted, "{url}");
    for segment in &segments {
        assert!(!matches!(segment.as_str(), "" | "." | ".."), "{url}");
        let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
        assert!(!segment.contains(bad), "{url}");
        assert!(!segment.contains(['?', '#']), "{url}");
        // Nor for a server that decodes once or twice too often.
        let mut decoded = segment.clone();
        for _ in 0..2 {
            decoded = percent_decode_str(&decoded)
                .decode_utf8_lossy()
                .into_owned();
            assert!(!matches!(decoded.as_str(), "." | ".."), "{url}");
            assert!(!decoded.contains(bad), "{url}");
        }
    }
    assert!(
        asked
            .manifest
            .routes
            .iter()
            .any(|route| grants(asked, route, &segments))
    );
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];
    assert!(
        methods.contains(&asked.request.method.as_str()),
        "{}",
        asked.request.method
    );

    let query: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(query, asked.request.query);
    for (name, value) in &asked.request.headers {
        header(asked, &name.to_ascii_lowercase(), value);
    }
}

/// Whether a route, read in the simplest way, speaks of this request.
fn grants(asked: &Asked, route: &Route, segments: &[String]) -> bool {
    let schema: Value = serde_json::from_str(&asked.manifest.options_schema).unwrap();
    let filled = |text: &str| -> String {
        let Some(name) = text
            .strip_prefix("{option:")
            .and_then(|rest| rest.strip_suffix('}'))
        else {
            return text.to_owned();
        };
        let default = || schema.pointer(&format!("/properties/{name}/default"));
        let value = asked.options.get(name).or_else(default);
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let path = filled(&route.path);
    let pattern: Vec<&str> = path.split('/').skip(1).collect();
    let fits = |(pattern, segment): (&&str, &String)| {
        *pattern == "*"
            || (pattern.starts_with('{') && pattern.ends_with('}'))
            || pattern == segment
    };
    filled(&route.method) == asked.request.method
        && pattern.len() == segments.len()
        && pattern.iter().zip(segments).all(fits)
}

/// A header that goes out is the guest's to set, and one header only.
fn header(asked: &Asked, name: &str, value: &str) {
    let of_the_host = [
        "host",
        "authorization",
        "content-length",
        "transfer-encoding",
        "connection",
        "cookie",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "expect",
    ];
    assert!(!of_the_host.contains(&name), "{name}");
    let mut credentials = asked.manifest.auth_methods[0].headers.iter();
    assert!(
        !credentials.any(|(header, _)| header.eq_ignore_ascii_case(name)),
        "{name}"
    );
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    assert!(!name.is_empty() && name.bytes().all(token), "{name:?}");
    assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
}

/// A form that is let through has, for whoever reads it strictly, the parts that were asked for:
/// no name, file name or content type breaks out of its part's header.
pub fn multipart(data: &[u8]) {
    let mut asked = Asked::read(data);
    asked.manifest.routes = vec![Route {
        method: asked.request.method.clone(),
        path: "/users".to_owned(),
        purpose: String::new(),
    }];
    asked.request.path = "/users".to_owned();
    let (Some(policy), Body::Multipart(parts)) = (asked.policy(), &asked.request.body) else {
        return;
    };
    let names_a_file = parts
        .iter()
        .any(|part| matches!(part.content, Content::Staged(_)));
    match policy.judge(&asked.request, None) {
        Err(_) => return,
        Ok(_) => assert!(!names_a_file, "a file that the call was not given"),
    }
    let Some(Ok(form)) = form(parts.clone(), None).now_or_never() else {
        return;
    };
    let boundary = form.boundary().to_owned();
    let pieces = form.into_stream().collect::<Vec<_>>().now_or_never();
    let body: Vec<u8> = pieces
        .expect("bytes are there at once")
        .into_iter()
        .flat_map(|piece| piece.expect("bytes are there").to_vec())
        .collect();
    let read = parse(&body, &boundary);
    assert_eq!(read.len(), parts.len());
    for (read, part) in read.iter().zip(parts) {
        same(read, part);
    }
}

/// The header lines and the content of each part, read strictly.
fn parse<'a>(body: &'a [u8], boundary: &str) -> Vec<(Vec<&'a str>, &'a [u8])> {
    let mut parts = vec![];
    let opening = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(opening.as_bytes()).expect("a boundary");
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let head = memchr::memmem::find(part, b"\r\n\r\n").expect("the end of the headers");
        let (head, content) = (&part[..head], &part[head + 4..]);
        let end = memchr::memmem::find(content, between.as_bytes()).expect("a boundary");
        let head = std::str::from_utf8(head).expect("headers are text");
        parts.push((head.split("\r\n").collect(), &content[..end]));
        rest = &content[end + between.len()..];
    }
    assert_eq!(rest, b"--\r\n");
    parts
}

fn same((lines, content): &(Vec<&str>, &[u8]), part: &Part) {
    assert!(
        lines.iter().all(|line| !line.contains(char::is_control)),
        "{lines:?}"
    );
    let disposition = lines[0].strip_prefix("Content-Disposition: form-data; ");
    let (name, rest) = parameter(disposition.expect("what it is"), "name");
    assert_eq!(name, part.name, "{lines:?}");
    let rest = match &part.file_name {
        None => rest,
        Some(wanted) => {
            let rest = rest.strip_prefix("; ").expect("a file name");
            let (name, rest) = parameter(rest, "filename");
            assert_eq!(&name, wanted, "{lines:?}");
            rest
        }
    };
    assert_eq!(rest, "", "{lines:?}");
    match &part.content_type {
        None => assert_eq!(lines.len(), 1, "{lines:?}"),
        Some(_) => {
            let kind = lines[1].strip_prefix("Content-Type: ").expect("its type");
            assert!(kind.contains('/') && lines.len() == 2, "{lines:?}");
        }
    }
    let Content::Bytes(bytes) = &part.content else {
        panic!("a file that the call was not given");
    };
    assert_eq!(content, bytes);
}

/// The value of a parameter and what follows it. Readers differ on what a backslash in quotes
/// means, so none may stand there.
fn parameter<'a>(text: &'a str, name: &str) -> (String, &'a str) {
    if let Some(rest) = text.strip_prefix(&format!("{name}=\"")) {
        let (value, rest) = rest.split_once('"').expect("a closing quote");
        assert!(!value.contains('\\'), "{text}");
        return (value.to_owned(), rest);
    }
    let rest = text.strip_prefix(&format!("{name}*=utf-8''")).expect(name);
    let (value, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
    let value = percent_decode_str(value).decode_utf8().expect("UTF-8");
    (value.into_owned(), rest)
}

/// Inputs that must get through, so that the targets look at what is allowed and not only at what
/// is denied.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_input_is_let_through() {
        let asked = Asked::read(
            b"endpoint https://api.test/v3/\nroute {option:method} /users/*\ndefault method PATCH\n\
              send PATCH /users/a b\nquery a&b=c d\nheader accept:text/plain\npart file|a.csv|text/csv|x",
        );
        let url = asked.policy().unwrap().judge(&asked.request, None).unwrap();
        assert_eq!(url.as_str(), "https://api.test/v3/users/a%20b?a%26b=c+d");
        allowed(&asked, &url);
    }

    #[test]
    fn a_part_that_breaks_out_of_its_header_is_noticed() {
        let part = part("a|b|text/plain|x");
        let good = "Content-Disposition: form-data; name=\"a\"; filename=\"b\"";
        same(&(vec![good, "Content-Type: text/plain"], b"x"), &part);
        for bad in [
            "Content-Disposition: form-data; name=\"a\"; filename=\"b\"; c=\"d\"",
            "Content-Disposition: form-data; name=\"a\\\"; filename=\"b\"",
        ] {
            let lines = (vec![bad, "Content-Type: text/plain"], b"x".as_slice());
            assert!(
                std::panic::catch_unwind(|| same(&lines, &part)).is_err(),
                "{bad}"
            );
        }
    }
}
