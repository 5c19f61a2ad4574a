//! Kinds of destinations that there may be, none of which is a fault.

use serde_json::Value;
use sluice_guest::http::{self, Body, Failure, Request, Response};
use sluice_guest::{Batch, Delivery, Problem, Rows, Staged, Staging};

use crate::answer::{Verdict, judge};
use crate::faults::Session;
use crate::member::{KEY, Plan};
use crate::{request, spoilt};

/// Sends a request, and hears what this kind of plugin hears.
pub fn send(session: &Session, asked: &Request) -> Result<Response, Failure> {
    let answer = http::send(asked)?;
    let status = match (session.kind.as_str(), answer.status) {
        // Where everybody is let in nobody is refused.
        ("open-to-all", 401) => 500,
        // It is busy, which will pass.
        ("busy", 503) => 429,
        (_, status) => status,
    };
    Ok(Response { status, ..answer })
}

/// Asks where members go before it sends any.
pub fn ask_first(session: &Session) -> Result<(), Problem> {
    let answer = send(session, &request("GET", &session.options.check_path));
    match judge(&answer, "check_path") {
        Verdict::Problem(problem) => Err(problem),
        Verdict::Done(body) if body["list"] != Value::Null => Ok(()),
        Verdict::Done(_) | Verdict::Refused(_) => Err(Problem::Fatal(
            "there is no list to put members into".to_owned(),
        )),
    }
}

/// A form for every row.
pub fn forms(rows: &Batch, session: &Session, joined: bool) -> Delivery {
    let mut answers = vec![];
    for row in Rows::new(rows, session.plan.columns()).iter() {
        let pairs = row.cells().enumerate().map(|(column, cell)| {
            let text = if joined {
                cell.text.to_owned()
            } else {
                escaped(cell.text)
            };
            format!("c{column}={text}")
        });
        let kind = "application/x-www-form-urlencoded".to_owned();
        let asked = Request {
            headers: vec![("content-type".to_owned(), kind)],
            body: Body::Bytes(pairs.collect::<Vec<_>>().join("&").into_bytes()),
            ..request("POST", &session.options.members_path)
        };
        answers.push(send(session, &asked));
    }
    spoilt::decided(&answers)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// A file of lines and columns.
pub struct Table {
    delimiter: char,
    /// Else special signs are escaped with a backslash.
    quotes: bool,
}

/// The table that a kind of destination wants.
pub fn table(kind: &str) -> Option<Table> {
    let (delimiter, quotes) = match kind {
        "tabs" => ('\t', true),
        "plain-tabs" => ('\t', false),
        "semicolons" => (';', true),
        "carets" => ('^', true),
        _ => return None,
    };
    Some(Table { delimiter, quotes })
}

impl Table {
    /// Stages rows; `joined` is how somebody does it who has not heard of quotes.
    pub fn stage(&self, rows: &Batch, plan: &Plan, offset: u64, joined: bool) -> Staged {
        let mut staging = Staging::default();
        if offset == 0 {
            let names = (0..plan.columns()).map(|column| format!("c{column}"));
            staging.bytes.extend(self.line(names, joined));
        }
        staging.begin();
        for row in Rows::new(rows, plan.columns()).iter() {
            match plan.key(&row) {
                Ok(key) => {
                    let cells = row.cells().map(|cell| cell.text.to_owned());
                    staging.bytes.extend(self.line(cells, joined));
                    staging.accept([format!("{KEY}:{key}").as_str()]);
                }
                Err(refusal) => staging.reject(Some(KEY), refusal.0),
            }
        }
        staging.finish()
    }

    fn line(&self, cells: impl Iterator<Item = String>, joined: bool) -> Vec<u8> {
        let cells = cells.map(|text| match (joined, self.quotes) {
            (true, _) => text,
            (false, true) => format!("\"{}\"", text.replace('"', "\"\"")),
            (false, false) => text
                .replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
                .replace('\r', "\\r"),
        });
        let cells: Vec<_> = cells.collect();
        (cells.join(&self.delimiter.to_string()) + "\n").into_bytes()
    }
}
