//! A plugin that misbehaves on demand: what stands in a row's first cell says how. The host must
//! set such a row apart, and go on with the others. With the option `every_call = "trap"` there are
//! no others: it fails in whatever it is called for.

use std::sync::atomic::{AtomicBool, Ordering};

use sluice_guest::http::{self, Body, Failure, Request};
use sluice_guest::{
    AuthMethod, Batch, Credential, Delivery, Destination, Ended, File, ImportStatus, Limits,
    Manifest, Problem, Rejection, Route, Rows, Settings, Staged, Staging,
};

/// The plugin.
#[derive(Debug)]
pub struct Probe;

/// Rounds of a loop that take some tenths of a second: eight rows, which are a call, stay within a
/// budget of five seconds.
const BURN: u32 = 300_000_000;

/// Whether every call is to trap. For one call only, as all memory of an instance.
static TRAP: AtomicBool = AtomicBool::new(false);

/// Does what the options ask for.
fn called() {
    if TRAP.load(Ordering::Relaxed) {
        act("trap");
    }
}

/// Does what a cell asks for; comes back only from those that ask for nothing but time.
fn act(text: &str) {
    match text {
        "burn" => {
            for round in 0..BURN {
                std::hint::black_box(round);
            }
        }
        "trap" => panic!("as it was asked to"),
        "loop" => loop {
            std::hint::black_box(());
        },
        "memory" => {
            let mut held: Vec<Vec<u8>> = Vec::new();
            loop {
                held.push(vec![1; 1 << 20]);
                std::hint::black_box(&held);
            }
        }
        "recursion" => drop(std::hint::black_box(deeper(1))),
        _ => {}
    }
}

fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == 0 {
        0
    } else {
        deeper(here[7] + 1) + here[9]
    }
}

/// Asks for something that was never granted; answers what the gate said.
fn ask(text: &str) -> Option<String> {
    let (path, headers) = match text {
        "path" => ("/admin", vec![]),
        "climb" => ("/users/../admin", vec![]),
        "host" => ("//evil.test/users", vec![]),
        "credential" => (
            "/users",
            vec![("Authorization".to_owned(), "mine".to_owned())],
        ),
        _ => return None,
    };
    let request = Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers,
        body: Body::None,
        extra: vec![],
    };
    Some(match http::send(&request) {
        Err(Failure::Denied(reason)) => format!("denied: {reason}"),
        Err(_) => "failed in another way".to_owned(),
        Ok(answer) => format!("got through with {}", answer.status),
    })
}

impl Destination for Probe {
    fn describe() -> Manifest {
        Manifest {
            name: "probe".to_owned(),
            version: "0.1.0".to_owned(),
            description: "Misbehaves on demand".to_owned(),
            auth_methods: vec![AuthMethod {
                id: "key".to_owned(),
                label: "Key".to_owned(),
                credentials: vec![Credential {
                    id: "api-key".to_owned(),
                    label: "Key".to_owned(),
                    description: String::new(),
                }],
                headers: vec![("Authorization".to_owned(), "ApiKey {api-key}".to_owned())],
            }],
            endpoint: "https://probe.invalid".to_owned(),
            routes: vec![Route {
                method: "POST".to_owned(),
                path: "/users".to_owned(),
                purpose: "nothing good".to_owned(),
            }],
            fields: vec![],
            custom_fields: None,
            options_schema: "{}".to_owned(),
            limits: Limits {
                file_bytes: 0,
                file_rows: 0,
                stage_rows: 8,
                deliver_rows: 8,
            },
            extra: vec![],
        }
    }

    /// Never traps itself: the host asks it before anything runs, and refuses a configuration that
    /// the plugin fails on.
    fn open(settings: Settings) -> Result<(), Problem> {
        let trap = settings.options.contains(r#""every_call":"trap""#);
        TRAP.store(trap, Ordering::Relaxed);
        Ok(())
    }

    fn check() -> Result<(), Problem> {
        called();
        Ok(())
    }

    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        called();
        let mut staging = Staging::default();
        if offset == 0 {
            staging.bytes.extend(b"what\n");
        }
        staging.begin();
        for row in Rows::new(&rows, 1).iter() {
            let text = row.cell(0).text;
            act(text);
            staging.bytes.extend(text.as_bytes());
            staging.bytes.push(b'\n');
            staging.accept([]);
        }
        Ok(staging.finish())
    }

    fn submit(file: File) -> Result<String, Problem> {
        called();
        Ok(file.rows.to_string())
    }

    fn poll(token: String) -> Result<ImportStatus, Problem> {
        called();
        let accepted = token.parse().ok();
        let ended = Ended {
            accepted,
            ..Ended::default()
        };
        Ok(ImportStatus::Succeeded(ended.into()))
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        called();
        let mut rejected = Vec::new();
        for row in Rows::new(&rows, 1).iter() {
            let text = row.cell(0).text;
            act(text);
            if let Some(reason) = ask(text) {
                rejected.push(Rejection {
                    row: row.index,
                    field: None,
                    reason,
                });
            }
        }
        Ok(Delivery {
            rejected,
            retry: vec![],
            why: None,
            extra: vec![],
        })
    }
}

sluice_guest::export!(Probe);
