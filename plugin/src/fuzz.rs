//! What the fuzz targets in `tests/fuzz/` and the test of their seeds both call: each takes any bytes
//! at all, and panics where a promise does not hold.
//!
//! An input reads like an answer of HTTP: lines, an empty one, a body. The first line that is a number
//! is the status, `name: text` is a header, and `options`, `token` and `file` say what they name.

use sluice_guest::http::{Body, Content, Failure, Request, Response};
use sluice_guest::{File, ImportStatus, Problem};

use crate::import_job;
use crate::options::{Method, Options};
use crate::verdict::{Call, Verdict, judge};

/// An address that no message to the operator may hold.
const CANARY: &str = "ada.canary@member.example";

/// Longest message that is handed on, in characters: what the destination said and some words of
/// the plugin's own.
const LONGEST: usize = 1_000;

/// The contract's bound on numbers that every guest language can hold.
const NUMBERS: u64 = 1 << 53;

/// What one input says.
struct Said {
    options: Options,
    usable: bool,
    token: String,
    file: File,
    answer: Response,
}

fn read(data: &[u8]) -> Said {
    let gap = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match gap {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let mut said = Said {
        options: Options::default(),
        usable: true,
        token: r#"{"v":1,"id":"17"}"#.to_owned(),
        file: File {
            id: "ab12-1".to_owned(),
            bytes: 1,
            rows: 1,
            number: 1,
            created_at: "2026-11-23T10:15:00Z".to_owned(),
            extra: vec![],
        },
        answer: Response {
            status: 200,
            headers: vec![],
            body: body.to_vec(),
            extra: vec![],
        },
    };
    said.options.import_type = "fuzz".to_owned();
    for line in String::from_utf8_lossy(head).split('\n') {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, word.strip_suffix(':')) {
            ("options", _) => match Options::parse(rest) {
                Ok(options) => said.options = options,
                Err(_) => said.usable = false,
            },
            ("token", _) => said.token = rest.to_owned(),
            ("file", _) => {
                let (id, at) = rest.split_once(' ').unwrap_or((rest, ""));
                (said.file.id, said.file.created_at) = (id.to_owned(), at.to_owned());
            }
            (_, Some(name)) => said.answer.headers.push((name.to_owned(), rest.to_owned())),
            (number, _) => said.answer.status = number.parse().unwrap_or(said.answer.status),
        }
    }
    // `open` refuses such options before anything else is called.
    said.usable &= said.options.findings().is_empty();
    said
}

/// What the destination answers about import jobs: it is read as far as possible, tokens come back
/// as the id that they were made of, and no message is long, forged or a member's.
pub fn job_status(data: &[u8]) {
    let said = read(data);
    if !said.usable {
        return;
    }
    let options = &said.options;
    let own = format!("{options:?}");
    let shown = |text: &str| message(text, &own);
    let detail = String::from_utf8_lossy(&said.answer.body).into_owned();
    // What the host says in its own words; and what may quote whatever came over the connection.
    let own_words = "`allow_addresses` does not grant it".to_owned();
    let mut answers = vec![
        Err(Failure::Denied(own_words.clone())),
        Err(Failure::Unreachable(own_words.clone())),
        Err(Failure::TooLarge(own_words)),
        Err(Failure::Interrupted(detail.clone())),
        Err(Failure::Other(detail)),
    ];
    answers.push(Ok(said.answer));
    for answer in &answers {
        for call in [
            Call::User(Method::Post),
            Call::User(Method::Patch),
            Call::Submit,
            Call::Poll,
            Call::Check,
        ] {
            match judge(call, answer, &["Ada", ""]) {
                Verdict::Problem(found) => problem(&found, shown),
                Verdict::Rejected(said) | Verdict::Gone(said) => shown(&said),
                Verdict::Accepted => {}
            }
        }
        if let Err(found) = import_job::check_answer(answer) {
            problem(&found, shown);
        }
        match import_job::token(answer, options) {
            Ok(token) => {
                assert!((1..=4096).contains(&token.len()));
                let asked = import_job::question(&token, options).expect("its own token");
                question(&asked, options);
            }
            Err(found) => problem(&found, shown),
        }
        match import_job::status(answer, options) {
            Ok(found) => status(&found, shown),
            Err(found) => problem(&found, shown),
        }
    }
    match import_job::question(&said.token, options) {
        Ok(asked) => question(&asked, options),
        Err(found) => problem(&found, shown),
    }
}

/// A message is one line, not endless, and no member's. What stands in the operator's own options is
/// the operator's to see.
fn message(text: &str, own: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.chars().count() <= LONGEST + own.len(), "{text:?}");
    assert!(!text.contains(CANARY) || own.contains(CANARY), "{text:?}");
}

fn problem(problem: &Problem, shown: impl Fn(&str)) {
    match problem {
        Problem::InvalidSettings(findings) => findings.iter().for_each(|one| shown(&one.message)),
        Problem::Throttled(throttle) => shown(&throttle.message),
        Problem::Unauthorized(text) | Problem::Transient(text) | Problem::Fatal(text) => {
            shown(text)
        }
    }
}

fn status(status: &ImportStatus, shown: impl Fn(&str)) {
    let held = |number: Option<u64>| assert!(number.is_none_or(|number| number < NUMBERS));
    match status {
        ImportStatus::Pending(progress) => {
            shown(&progress.message);
            held(progress.done);
            held(progress.total);
        }
        ImportStatus::Succeeded(report) | ImportStatus::Failed(report) => {
            shown(&report.message);
            let counts = &report.counts;
            held(counts.accepted);
            held(counts.created);
            held(counts.updated);
            held(counts.unchanged);
            held(counts.refused);
            for row in &report.rows {
                assert!(row.row.is_some_and(|row| (1..NUMBERS).contains(&row)));
                row.field.iter().for_each(|field| shown(field));
                shown(&row.reason);
            }
        }
    }
}

/// The path has the segments of the option, the id in its place, and nothing that a gate refuses.
fn question(asked: &Request, options: &Options) {
    let wanted: Vec<&str> = options.job_path.split('/').collect();
    let found: Vec<&str> = asked.path.split('/').collect();
    assert_eq!(wanted.len(), found.len(), "{}", asked.path);
    for (wanted, found) in wanted.iter().zip(&found).skip(1) {
        assert!(wanted == found || *wanted == "{id}", "{}", asked.path);
        let bad = |c: char| c.is_control() || matches!(c, '\\' | '?' | '#');
        assert!(
            !matches!(*found, "" | "." | "..") && !found.contains(bad),
            "{}",
            asked.path
        );
    }
}

/// The form that starts an import: whatever the options that `open` accepts, the gate lets it through
/// and the destination finds the parts in it.
pub fn multipart(data: &[u8]) {
    let said = read(data);
    let id = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !said.usable || said.file.id.is_empty() || !said.file.id.chars().all(id) {
        return;
    }
    let request = import_job::submission(&said.file, &said.options);
    let Body::Multipart(parts) = &request.body else {
        panic!("no form");
    };
    for part in parts {
        let texts = [
            Some(&part.name),
            part.file_name.as_ref(),
            part.content_type.as_ref(),
        ];
        for text in texts.into_iter().flatten() {
            let bad = |c: char| c.is_control() || matches!(c, '"' | '\\');
            assert!(!text.trim().is_empty() && !text.contains(bad), "{text:?}");
        }
    }
    let (file, texts) = parts.split_last().expect("at least the file");
    assert_eq!(file.content, Content::Staged(said.file.id));
    assert!(file.name == said.options.entity && file.file_name.is_some());
    assert!(
        texts
            .iter()
            .all(|text| text.file_name.is_none() && text.name != file.name)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    type Target = fn(&[u8]);

    /// Every finding became a seed; so none comes back.
    #[test]
    fn every_seed_keeps_every_promise() {
        let targets: [(&str, Target); 2] = [("job_status", job_status), ("multipart", multipart)];
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds");
        let mut broken = vec![];
        for (name, target) in targets {
            let mut found = 0;
            for seed in std::fs::read_dir(seeds.join(name)).unwrap() {
                let path = seed.unwrap().path();
                let bytes = std::fs::read(&path).unwrap();
                found += 1;
                if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                    broken.push(path);
                }
            }
            assert!(found > 0, "{name} has no seed");
        }
        assert!(broken.is_empty(), "{broken:?}");
    }

    #[test]
    fn an_input_is_read_as_it_is_written() {
        let said = read(b"503\nretry-after: 7\noptions {\"import_type\":\"a\"}\n\n{\"id\":1}\n\nx");
        assert_eq!(said.answer.status, 503);
        assert_eq!(
            said.answer.headers,
            [("retry-after".to_owned(), "7".to_owned())]
        );
        assert_eq!(said.answer.body, b"{\"id\":1}\n\nx");
        assert!(said.usable && said.options.import_type == "a");
    }
}
