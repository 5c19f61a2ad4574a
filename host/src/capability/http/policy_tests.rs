use super::super::EndpointError;
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
        options_schema: json!({"properties": {"job_path": {"default": "/jobs/{id}"}}}).to_string(),
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
            "/users/a b[c]d%zz",
            Some("https://api.test/v3/users/a%20b%5Bc%5Dd%25zz"),
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
        (
            "PATCH",
            "/users/50%",
            Some("https://api.test/v3/users/50%25"),
        ),
        ("PATCH", "/users/a@b", Some("https://api.test/v3/users/a@b")),
        ("PATCH", "/users/%2e%2e", None),
        ("PATCH", "/users/a%252fb", None),
        ("PATCH", "/users/a?b=c", None),
        ("PATCH", "/users/a#b", None),
        ("CONNECT", "/users", None),
        ("patch", "/users/1", None),
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
        ("X_Forwarded_For", "1.2.3.4", false),
        ("Proxy-Connection", "close", false),
        ("X_Key", "mine", false),
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

#[test]
fn a_cookie_is_allowed_only_where_the_manifest_declares_it() {
    let endpoint = Endpoint::parse("https://a.test", false).unwrap();
    let options = json!({"method": "PATCH"}).as_object().unwrap().clone();
    let mut manifest = manifest();
    let pair = |name: &str| ("request-header".to_owned(), name.to_owned());
    // Only of cookies can a manifest say so.
    manifest.extra = vec![pair("Cookie"), pair("host")];
    let policy = Policy::new(endpoint, &manifest, &options).unwrap();
    let mut asked = request("POST", "/users");
    asked.headers = vec![("cookie".to_owned(), "a=b".to_owned())];
    assert!(policy.judge(&asked, None).is_ok());
    asked.headers = vec![("host".to_owned(), "evil.test".to_owned())];
    assert!(policy.judge(&asked, None).is_err());
}

#[test]
fn an_operator_narrows_and_never_widens() {
    let grants = [
        "POST /users",
        "GET /jobs/7",
        "GET /admin",
        "PATCH /users/{id}",
    ];
    let grants: Vec<_> = grants.map(|text| RouteGrant::parse(text).unwrap()).into();
    assert!(policy().asks_for(&grants[1]) && !policy().asks_for(&grants[2]));
    let policy = policy().narrowed(grants);
    for (method, path, expected) in [
        ("POST", "/users", None),
        ("GET", "/jobs/7", None),
        ("PATCH", "/users/1", None),
        ("GET", "/jobs/8", Some("do not grant it")),
        ("GET", "/admin", Some("no route of the manifest")),
    ] {
        let denial = policy.judge(&request(method, path), None).err();
        match (denial.map(|denial| denial.to_string()), expected) {
            (None, None) => {}
            (Some(said), Some(says)) => assert!(said.contains(says), "{path}: {said}"),
            (found, _) => panic!("{path}: {found:?}"),
        }
    }
    let nothing = policy.narrowed(vec![]);
    assert!(nothing.judge(&request("POST", "/users"), None).is_err());
}

#[test]
fn a_decision_is_explained() {
    let grant = RouteGrant::parse("GET /jobs/*").unwrap();
    let policy = policy().narrowed(vec![grant]);
    let allowed = policy.explain("GET", "/jobs/7");
    assert_eq!(
        allowed.decision.unwrap().as_str(),
        "https://api.test/v3/jobs/7"
    );
    let route = allowed.route.unwrap();
    assert_eq!(
        (route.written.as_str(), route.means.as_str()),
        ("GET {option:job_path}", "GET /jobs/*")
    );
    assert_eq!(allowed.grant.as_deref(), Some("GET /jobs/*"));
    assert!(allowed.others.is_empty());

    let narrowed = policy.explain("POST", "/users");
    assert!(matches!(narrowed.decision, Err(Denial::Narrowed { .. })));
    assert!(narrowed.route.is_some() && narrowed.grant.is_none());

    let unknown = policy.explain("GET", "/job/7");
    assert!(matches!(unknown.decision, Err(Denial::Route { .. })));
    let near: Vec<_> = unknown
        .others
        .iter()
        .map(|(route, why)| (route.means.as_str(), *why))
        .collect();
    assert_eq!(
        near,
        [
            ("GET /jobs/*", Mismatch::Segment(1)),
            ("POST /users", Mismatch::Method),
            ("PATCH /users/*", Mismatch::Method),
        ]
    );
}

#[test]
fn a_line_about_a_denial_names_the_route_and_nothing_of_the_requests_own() {
    let secret = "ada@example.com";
    for (method, path, route) in [
        ("GET", "/jobs/7", "GET /jobs/*"),
        ("PATCH", "/users/ada@example.com", "PATCH /users/*"),
        (
            "PATCH",
            "/user/ada@example.com",
            "none; the nearest is PATCH /users/*: segment 1 of the path is another",
        ),
        (
            "POST",
            "/users/ada@example.com",
            "none; the nearest is POST /users: the path has 2 segments, the route 1",
        ),
    ] {
        let place = policy().place(method, path);
        assert_eq!((place.method, place.route.as_str()), (method, route));
    }
    let made_up = policy().place(secret, secret);
    assert_eq!(made_up.method, "unknown");
    assert!(!made_up.route.contains(secret), "{made_up:?}");
}
