//! A destination that takes JSON: the audience as one file of lines, then changes as they come.
//!
//! This page is glue: it keeps the settings of the instance, and is the only one that sends
//! requests. Everything else is pure, and tested by `cargo test`.

mod answer;
mod deliver;
mod import;
mod manifest;
mod member;
mod options;

use std::cell::OnceCell;

use sluice_guest::http::{self, Body, Failure, Request};
use sluice_guest::{
    Batch, Delivery, Destination, File, ImportStatus, Manifest, Problem, Settings, Staged,
};

use answer::{Verdict, judge};
use member::Plan;
use options::Options;

/// The exporter.
pub struct Exporter;

/// What `open` has checked. An instance serves one call and is thrown away: nothing else is kept.
struct Session {
    options: Options,
    plan: Plan,
}

thread_local! {
    static SESSION: OnceCell<Session> = const { OnceCell::new() };
}

fn with_session<T>(work: impl FnOnce(&Session) -> Result<T, Problem>) -> Result<T, Problem> {
    SESSION.with(|session| match session.get() {
        Some(session) => work(session),
        None => Err(Problem::Fatal("the host must call `open` first".to_owned())),
    })
}

impl Destination for Exporter {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn open(settings: Settings) -> Result<(), Problem> {
        let opened = match (
            Options::parse(&settings.options),
            Plan::new(&settings.columns),
        ) {
            (Ok(options), Ok(plan)) => Session { options, plan },
            (options, plan) => {
                let found = [options.err(), plan.err()].into_iter().flatten().flatten();
                return Err(Problem::InvalidSettings(found.collect()));
            }
        };
        SESSION.with(|session| {
            session
                .set(opened)
                .map_err(|_| Problem::Fatal("the host must call `open` only once".to_owned()))
        })
    }

    fn check() -> Result<(), Problem> {
        with_session(|session| {
            let answer = http::send(&request("GET", &session.options.check_path));
            if matches!(answer, Err(Failure::TooLarge(_))) {
                // Nobody is told so much who is not let in.
                return Ok(());
            }
            match judge(&answer, "check_path") {
                // Whatever it thinks of this question: the credential was not refused.
                Verdict::Done(_) | Verdict::Refused(_) => Ok(()),
                Verdict::Problem(problem) => Err(problem),
            }
        })
    }

    fn stage(rows: Batch, _offset: u64) -> Result<Staged, Problem> {
        with_session(|session| Ok(import::stage(&rows, &session.plan)))
    }

    fn submit(file: File) -> Result<String, Problem> {
        with_session(|session| {
            let request = import::submission(&file, &session.options);
            import::token(&http::send(&request))
        })
    }

    fn poll(token: String) -> Result<ImportStatus, Problem> {
        with_session(|session| {
            let request = import::question(&token, &session.options)?;
            import::status(&http::send(&request))
        })
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        with_session(|session| {
            let Session { options, plan } = session;
            Ok(deliver::deliver(&rows, plan, options, http::send))
        })
    }
}

/// A request without a query, headers or a body.
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

sluice_guest::export!(Exporter);
