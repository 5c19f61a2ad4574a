use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::Map;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::super::{Addresses, Endpoint, Lookup};
use super::*;
use crate::plugin::types::{self, AuthMethod, Limits, Manifest, Route};
use crate::usage::Usage;

const KEY: &str = "a-key-of-the-gate";

fn manifest() -> Manifest {
    Manifest {
        name: "test".to_owned(),
        version: "1.0.0".to_owned(),
        description: String::new(),
        auth_methods: vec![AuthMethod {
            id: "key".to_owned(),
            label: String::new(),
            credentials: vec![types::Credential {
                id: "key".to_owned(),
                label: String::new(),
                description: String::new(),
            }],
            headers: vec![("Authorization".to_owned(), "ApiKey {key}".to_owned())],
        }],
        endpoint: String::new(),
        routes: vec![Route {
            method: "POST".to_owned(),
            path: "/users".to_owned(),
            purpose: String::new(),
        }],
        fields: vec![],
        custom_fields: None,
        options_schema: "{}".to_owned(),
        limits: Limits {
            file_bytes: 0,
            file_rows: 0,
            stage_rows: 1,
            deliver_rows: 1,
        },
        extra: vec![],
    }
}

fn gate(endpoint: &str, egress: Egress) -> Gate {
    let manifest = manifest();
    let endpoint = Endpoint::parse(endpoint, true).unwrap();
    let policy = Policy::new(endpoint, &manifest, &Map::new()).unwrap();
    let key = BTreeMap::from([("key".to_owned(), Zeroizing::new(KEY.to_owned()))]);
    let credential = Credential::render(&manifest.auth_methods[0], &key).unwrap();
    Gate::new(policy, Arc::new(Account::new(credential, 2)), egress).unwrap()
}

/// How many requests were denied.
fn denied(used: &crate::usage::Used) -> u64 {
    used.denied().map(|(_, n)| n).sum()
}

fn asking(usage: &Usage) -> Asking<'_> {
    Asking {
        mute: None,
        staged: None,
        header_bytes: 1 << 10,
        answer_bytes: 1 << 10,
        all_bytes: 2 << 10,
        room: None,
        at_once: 1,
        usage,
        refused: None,
    }
}

fn request() -> Request {
    Request {
        method: "POST".to_owned(),
        path: "/users".to_owned(),
        query: vec![],
        headers: vec![],
        body: Body::None,
        extra: vec![],
    }
}

/// Sends an empty request; answers what came of it, and what was counted.
async fn post(gate: &Gate) -> (Result<Response, Failure>, crate::usage::Used) {
    let usage = Usage::default();
    let answer = gate.send(request(), &asking(&usage)).await;
    (answer, usage.take().used)
}

/// A server that answers each connection with this, and closes it if `close`; it hands out what was
/// asked for.
async fn server(
    answer: String,
    close: bool,
) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = vec![];
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let n = connection.read(&mut asked).await.unwrap_or(0);
            let _ = tell.send(String::from_utf8_lossy(&asked[..n]).into_owned());
            let _ = connection.write_all(answer.as_bytes()).await;
            if !close {
                open.push(connection);
            }
        }
    });
    (port, told)
}

/// A name that leads elsewhere each time that somebody asks.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
    }
}

impl Lookup for Scripted {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let next = self.0.lock().unwrap().pop_front();
        Box::pin(async move { next.ok_or_else(|| std::io::Error::other("asked too often")) })
    }
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let (port, mut asked) = server(FINE.to_owned(), true).await;
    // 127.0.0.1 stands for a public address: it is the one that is granted.
    let names = Scripted::new(&[
        &["127.0.0.1"],
        &["127.0.0.2"],
        &["169.254.169.254"],
        &["::ffff:10.0.0.1", "127.0.0.1"],
    ]);
    let addresses = Addresses::granting(["127.0.0.1"]).unwrap();
    let egress = Egress::new(addresses, None).with_lookup(names.clone());
    let gate = gate(&format!("http://rebinding.test:{port}"), egress);
    let (answer, used) = post(&gate).await;
    assert_eq!(answer.unwrap().status, 200);
    assert_eq!((used.requests, denied(&used)), (1, 0));
    for class in ["a loopback address", "a cloud metadata address"] {
        let (answer, used) = post(&gate).await;
        let Err(Failure::Unreachable(reason)) = answer else {
            panic!("{answer:?}");
        };
        assert!(
            reason.starts_with(&format!("`rebinding.test` leads to {class}")),
            "{reason}"
        );
        assert_eq!(denied(&used), 1);
    }
    // What is refused among others is left out.
    assert_eq!(post(&gate).await.0.unwrap().status, 200);
    assert!(names.0.lock().unwrap().is_empty());
    drop(gate);
    assert!(
        asked
            .recv()
            .await
            .unwrap()
            .starts_with("POST /users HTTP/1.1\r\n")
    );
    assert!(asked.recv().await.is_some());
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn an_address_in_the_place_of_a_name_is_judged_too() {
    let (port, mut asked) = server(FINE.to_owned(), true).await;
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let gate = gate(&format!("http://{host}:{port}"), Egress::default());
        let (answer, used) = post(&gate).await;
        let Err(Failure::Unreachable(reason)) = answer else {
            panic!("{host}: {answer:?}");
        };
        assert!(reason.contains("leads to a loopback address"), "{reason}");
        assert_eq!(denied(&used), 1);
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_proxy_that_was_named_is_used_and_looks_the_name_up() {
    let (port, mut asked) = server(FINE.to_owned(), true).await;
    let proxy = super::super::Proxy::parse(&format!("http://proxy.test:{port}")).unwrap();
    // Only the proxy's name is asked for, and its address needs no grant.
    let names = Scripted::new(&[&["127.0.0.1"]]);
    let egress = Egress::new(Addresses::default(), Some(proxy)).with_lookup(names);
    let gate = gate("http://destination.test", egress);
    assert_eq!(post(&gate).await.0.unwrap().status, 200);
    let asked = asked.recv().await.unwrap();
    assert!(
        asked.starts_with("POST http://destination.test/users HTTP/1.1\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn an_answer_that_never_ends_is_no_answer() {
    // The headers come at once, and the rest of the body never.
    let endless = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
    let (port, _asked) = server(endless.to_owned(), false).await;
    let addresses = Addresses::granting(["127.0.0.1"]).unwrap();
    let mut gate = gate(
        &format!("http://127.0.0.1:{port}"),
        Egress::new(addresses, None),
    );
    gate.answer = Duration::from_millis(50);
    let (answer, used) = post(&gate).await;
    let Err(Failure::Interrupted(reason)) = answer else {
        panic!("{answer:?}");
    };
    assert!(reason.starts_with("no whole answer within"), "{reason}");
    assert_eq!(used.requests, 1);
    // The quota is free again.
    assert!(post(&gate).await.0.is_err() && post(&gate).await.0.is_err());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_holds_no_key() {
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/?key={KEY}\r\n\
         x-{KEY}: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (port, mut asked) = server(moved, true).await;
    let addresses = Addresses::granting(["127.0.0.1"]).unwrap();
    let gate = gate(
        &format!("http://127.0.0.1:{port}"),
        Egress::new(addresses, None),
    );
    let answer = post(&gate).await.0.unwrap();
    assert_eq!(answer.status, 302);
    let header = |name: &str| answer.headers.iter().find(|(found, _)| found == name);
    let location = header("location").unwrap();
    assert_eq!(location.1, "http://169.254.169.254/?key=[credential]");
    assert!(header("[credential]").is_some());
    drop(gate);
    let sent = asked.recv().await.unwrap();
    assert!(
        sent.contains(&format!("authorization: ApiKey {KEY}\r\n")),
        "{sent}"
    );
    assert!(sent.contains("accept-encoding: identity\r\n"), "{sent}");
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_compressed_answer_is_not_handed_on() {
    let zipped = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx";
    let (port, _asked) = server(zipped.to_owned(), true).await;
    let addresses = Addresses::granting(["127.0.0.1"]).unwrap();
    let gate = gate(
        &format!("http://127.0.0.1:{port}"),
        Egress::new(addresses, None),
    );
    assert!(matches!(post(&gate).await.0, Err(Failure::Interrupted(_))));
}

/// Each of them has its bound; all of them together have one, too, since all are held until the last is there.
#[tokio::test]
async fn answers_that_are_asked_for_together_have_a_bound_in_common() {
    let body = "x".repeat(900);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 900\r\nconnection: close\r\n\r\n";
    let (port, _asked) = server(format!("{head}{body}"), true).await;
    let addresses = Addresses::granting(["127.0.0.1"]).unwrap();
    let gate = gate(
        &format!("http://127.0.0.1:{port}"),
        Egress::new(addresses, None),
    );
    let http = super::super::Http::Gate(Arc::new(gate));
    let usage = Usage::default();
    let answers = http
        .send_all(vec![request(), request(), request()], &asking(&usage))
        .await;
    let [Ok(first), Ok(second), Err(Failure::TooLarge(reason))] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!((first.body.len(), second.body.len()), (900, 900));
    assert!(reason.contains("limit `memory_mib`"), "{reason}");
    // By themselves each of them is taken.
    for _ in 0..3 {
        assert!(http.send(request(), &asking(&usage)).await.is_ok());
    }
}
