//! Asks for requests that were granted where none may be made: in `describe`, `open` and `stage`, by the
//! contract's interface and by `wasi:http`. What it was told is the reason of the rows that it rejects.

use std::sync::Mutex;

use sluice_hostile::*;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{ErrorCode, Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

/// What `open` was told.
static OPENED: Mutex<String> = Mutex::new(String::new());

struct Guest;

impl Tame for Guest {
    fn describe() -> Manifest {
        told();
        manifest()
    }

    fn open(_settings: Settings) -> Result<(), Problem> {
        *OPENED.lock().expect("one thread") = told();
        Ok(())
    }

    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        let mut staging = Staging::default();
        if offset == 0 {
            staging.bytes.extend(b"what\n");
        }
        staging.begin();
        for _ in each(&rows) {
            staging.reject(None, &told());
        }
        Ok(staging.finish())
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| match what {
            "opened" => OPENED.lock().expect("one thread").clone(),
            _ => told(),
        }))
    }
}

/// What it is told in each of three ways.
fn told() -> String {
    let asked = || request("POST", "/users");
    let one = outcome(&http::send(&asked()));
    let several: Vec<_> = http::send_all(&[asked(), asked()])
        .iter()
        .map(outcome)
        .collect();
    let wasi = match by_wasi() {
        Ok(status) => format!("answered {status}"),
        Err(error) => format!("{error:?}"),
    };
    format!("{one} | {} | {wasi}", several.join(" | "))
}

fn by_wasi() -> Result<u16, ErrorCode> {
    let asked = OutgoingRequest::new(Fields::new());
    asked.set_method(&Method::Post).expect("it is one");
    asked.set_scheme(Some(&Scheme::Https)).expect("it is one");
    asked.set_authority(Some("destination")).expect("it is one");
    asked
        .set_path_with_query(Some("/users"))
        .expect("it is one");
    let body = asked.body().expect("the first time");
    let answer = handle(asked, None)?;
    OutgoingBody::finish(body, None)?;
    answer.subscribe().block();
    let answer = answer
        .get()
        .expect("it is there")
        .expect("the first time")?;
    Ok(answer.status())
}

hostile!(Guest);
