//! What a hostile plugin is made of: [`Tame`], which behaves well in every call, and of which each
//! guest overrides what it does badly. So a guest's file shows that, and nothing else.

use std::sync::Mutex;

pub use sluice_guest::http::{self, Body, Content, Failure, Part, Request};
pub use sluice_guest::{
    AuthMethod, Batch, Credential, Delivery, Ended, Field, FieldType, File, ImportStatus, Limits,
    Manifest, Problem, Progress, RefusedRow, Rejection, Report, Route, Row, Rows, Settings, Staged,
    Staging, log,
};

#[doc(hidden)]
pub use sluice_guest as guest;

/// A destination that takes everything and sends nothing: of each function the good version.
pub trait Tame {
    /// Who it is.
    fn describe() -> Manifest {
        manifest()
    }

    /// Takes any settings.
    fn open(_settings: Settings) -> Result<(), Problem> {
        Ok(())
    }

    /// Is always content.
    fn check() -> Result<(), Problem> {
        Ok(())
    }

    /// A line for each row.
    fn stage(rows: Batch, offset: u64) -> Result<Staged, Problem> {
        Ok(stage(&rows, offset).finish())
    }

    /// A job that is done at once.
    fn submit(file: File) -> Result<String, Problem> {
        Ok(file.rows.to_string())
    }

    /// All rows were taken.
    fn poll(token: String) -> Result<ImportStatus, Problem> {
        Ok(ImportStatus::Succeeded(report(token.parse().ok())))
    }

    /// All rows are delivered.
    fn deliver(_rows: Batch) -> Result<Delivery, Problem> {
        Ok(delivered())
    }
}

/// Makes a [`Tame`] type the component's exporter.
#[macro_export]
macro_rules! hostile {
    ($guest:ident) => {
        #[derive(Debug)]
        struct Exporter;

        impl $crate::guest::Destination for Exporter {
            fn describe() -> $crate::Manifest {
                <$guest as $crate::Tame>::describe()
            }
            fn open(settings: $crate::Settings) -> Result<(), $crate::Problem> {
                $crate::remember(&settings);
                <$guest as $crate::Tame>::open(settings)
            }
            fn check() -> Result<(), $crate::Problem> {
                <$guest as $crate::Tame>::check()
            }
            fn stage(rows: $crate::Batch, offset: u64) -> Result<$crate::Staged, $crate::Problem> {
                <$guest as $crate::Tame>::stage(rows, offset)
            }
            fn submit(file: $crate::File) -> Result<String, $crate::Problem> {
                <$guest as $crate::Tame>::submit(file)
            }
            fn poll(token: String) -> Result<$crate::ImportStatus, $crate::Problem> {
                <$guest as $crate::Tame>::poll(token)
            }
            fn deliver(rows: $crate::Batch) -> Result<$crate::Delivery, $crate::Problem> {
                <$guest as $crate::Tame>::deliver(rows)
            }
        }

        $crate::guest::export!(Exporter);
    };
}

/// The options that the instance was opened with.
static OPTIONS: Mutex<String> = Mutex::new(String::new());

#[doc(hidden)]
pub fn remember(settings: &Settings) {
    OPTIONS
        .lock()
        .expect("one thread")
        .clone_from(&settings.options);
}

/// Whether the option `how` has this value.
pub fn how(value: &str) -> bool {
    let options = OPTIONS.lock().expect("one thread");
    options.contains(&format!(r#""how":"{value}""#))
}

/// The manifest of a plugin that may send `POST` and `GET` below two paths.
pub fn manifest() -> Manifest {
    let route = |method: &str, path: &str| Route {
        method: method.to_owned(),
        path: path.to_owned(),
        purpose: "nothing good".to_owned(),
    };
    Manifest {
        name: "hostile".to_owned(),
        version: "0.1.0".to_owned(),
        description: "Misbehaves in one way".to_owned(),
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
        endpoint: "https://hostile.invalid".to_owned(),
        routes: vec![route("POST", "/users"), route("GET", "/answers/*")],
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

/// A good answer to `stage`, not yet finished: what stands in a row's only cell, and a line's end.
pub fn stage(rows: &Batch, offset: u64) -> Staging {
    let mut staging = Staging::default();
    if offset == 0 {
        staging.bytes.extend(b"what\n");
    }
    staging.begin();
    for row in each(rows) {
        staging.bytes.extend(row.cell(0).text.as_bytes());
        staging.bytes.push(b'\n');
        staging.accept([]);
    }
    staging
}

/// The rows of a batch; each has one cell.
pub fn each(rows: &Batch) -> impl ExactSizeIterator<Item = Row<'_>> {
    Rows::new(rows, 1).iter()
}

/// The first cell that does not say `fine`: what is to go wrong with the whole batch.
pub fn wish(rows: &Batch) -> Option<&str> {
    let mut cells = Rows::new(rows, 1).iter().map(|row| row.cell(0).text);
    cells.find(|text| *text != "fine")
}

/// A good answer to `deliver`: nothing went wrong.
pub fn delivered() -> Delivery {
    Delivery {
        rejected: vec![],
        retry: vec![],
        why: None,
        extra: vec![],
    }
}

/// What an import job says in the end.
pub fn report(accepted: Option<u64>) -> Report {
    Report::from(Ended {
        accepted,
        ..Ended::default()
    })
}

/// A row that cannot be sent.
pub fn rejection(row: u32, reason: impl Into<String>) -> Rejection {
    Rejection {
        row,
        field: None,
        reason: reason.into(),
    }
}

/// Does to each row what its cell says, and rejects it with what came of that: so the test reads in
/// quarantine how the host has answered.
pub fn attempt(rows: &Batch, attempt: impl Fn(&str) -> String) -> Delivery {
    Delivery {
        rejected: each(rows)
            .map(|row| rejection(row.index, attempt(row.cell(0).text)))
            .collect(),
        ..delivered()
    }
}

/// A request without anything that the host could object to.
pub fn request(method: &str, path: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers: vec![],
        body: Body::None,
        extra: vec![],
    }
}

/// What became of a request, in words.
pub fn outcome(answer: &Result<http::Response, Failure>) -> String {
    match answer {
        Ok(answer) => format!(
            "answered {} with {} bytes",
            answer.status,
            answer.body.len()
        ),
        Err(Failure::Denied(reason)) => format!("denied: {reason}"),
        Err(Failure::Unreachable(reason)) => format!("unreachable: {reason}"),
        Err(Failure::Interrupted(reason)) => format!("interrupted: {reason}"),
        Err(Failure::TooLarge(reason)) => format!("too large: {reason}"),
        Err(Failure::Other(reason)) => format!("other: {reason}"),
    }
}

/// Never comes back.
pub fn forever() -> ! {
    loop {
        std::hint::black_box(());
    }
}

/// Many texts that are the same bytes, so that a small guest hands over far more than it has.
///
/// Each looks like the owner of those bytes, which is unsound: sound code cannot lie about what it
/// owns, and a host must withstand what cannot be written soundly. They are never dropped here: the
/// host reads them, and throws the instance away.
pub fn aliases(count: usize, bytes: usize) -> Vec<String> {
    static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut held = HELD.lock().expect("one thread");
    let buffer = held.insert(vec![b'a'; bytes]);
    let start = buffer.as_mut_ptr();
    (0..count)
        // SAFETY: unsound on purpose, as said above; the bytes are ASCII and stay where they are.
        .map(|_| unsafe { String::from_raw_parts(start, bytes, bytes) })
        .collect()
}
