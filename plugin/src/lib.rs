//! The Retention Science destination as a sluice plugin. `README.md` is its specification.
//!
//! This page is glue: it keeps the settings of the instance and is the only one that sends
//! requests and writes log lines. Everything else is pure.
#![deny(missing_docs)]

pub mod answer;
pub mod country;
pub mod country_table;
pub mod csv_file;
pub mod date;
pub mod date_format;
pub mod deliver;
pub mod email;
pub mod fields;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod import_job;
pub mod manifest;
pub mod mapping;
pub mod mask;
pub mod options;
mod options_check;
pub mod row;
pub mod session;
pub mod text;
pub mod unknown;
pub mod user_json;
pub mod value;
pub mod verdict;

#[cfg(test)]
mod fixture;

use std::cell::OnceCell;

use sluice_guest::{
    Batch, Delivery, Destination, File, ImportStatus, Manifest, Problem, Settings, Staged, http,
    log,
};

use session::Session;

/// The exporter.
#[derive(Debug)]
pub struct RetentionScience;

thread_local! {
    /// What `open` checked. An instance serves one export, so it is set once.
    static SESSION: OnceCell<Session> = const { OnceCell::new() };
}

fn with_session<T>(work: impl FnOnce(&Session) -> Result<T, Problem>) -> Result<T, Problem> {
    SESSION.with(|session| match session.get() {
        Some(session) => work(session),
        None => Err(Problem::Fatal("the host must call `open` first".to_owned())),
    })
}

impl Destination for RetentionScience {
    fn describe() -> Manifest {
        manifest::describe()
    }

    fn open(settings: Settings) -> Result<(), Problem> {
        let opened = Session::open(&settings)?;
        SESSION.with(|session| {
            session
                .set(opened)
                .map_err(|_| Problem::Fatal("the host must call `open` only once".to_owned()))
        })
    }

    fn check() -> Result<(), Problem> {
        with_session(|session| {
            if !session.plan.sends("account_created_on") {
                log::write(
                    log::Level::Warn,
                    "`account_created_on` is not mapped; Retention Science's rules for files call \
                     it required, so the import job may be refused",
                );
            }
            import_job::check_answer(&http::send(&import_job::check_request(&session.options)))
        })
    }

    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        with_session(|session| csv_file::stage(&rows, offset, session))
    }

    fn submit(file: File) -> Result<String, Problem> {
        with_session(|session| {
            let answer = http::send(&import_job::submission(&file, &session.options));
            import_job::token(&answer, &session.options)
        })
    }

    fn poll(token: String) -> Result<ImportStatus, Problem> {
        with_session(|session| {
            let request = import_job::question(&token, &session.options)?;
            let answer = http::send(&request);
            if import_job::is_unknown(&answer) && may_appear(&token) {
                return Err(Problem::Transient("the job is not known yet".to_owned()));
            }
            import_job::status(&answer, &session.options)
        })
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        with_session(|session| {
            deliver::deliver(&rows, session, |requests: &[http::Request]| {
                http::send_all(requests)
            })
        })
    }
}

/// Whether a job that the destination does not know is waited for. Where that cannot be remembered it is not.
#[cfg(not(feature = "track-0-1"))]
fn may_appear(token: &str) -> bool {
    use sluice_guest::state;
    let Ok(remembered) = state::get(unknown::KEY) else {
        return false;
    };
    let next = unknown::once_more(remembered.as_deref(), token);
    let noted = state::compare_and_set(unknown::KEY, remembered.as_deref(), next.as_deref());
    next.is_some() && noted.is_ok()
}

#[cfg(feature = "track-0-1")]
fn may_appear(_token: &str) -> bool {
    false
}

#[cfg(feature = "component")]
sluice_guest::export!(RetentionScience);
