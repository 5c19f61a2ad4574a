//! What must not be seen of a call's answers, and of what its plugin remembered; the rest stays. Pure.

use super::call::Input;
use super::json;
use super::mask::Mask;
use super::memory::{CapturedText, Found};
use super::plain::plain;
use super::vocabulary::members;
use super::words::Words;
use crate::capability::http::Exchange;
use crate::plugin::types::{Body, Content, Failure, Part, Request, Response};

/// Characters of a type of content, like `text/csv`.
fn is_of_type(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '-' | '.')
}

/// Characters of a number of seconds, or of a date as HTTP writes it.
fn is_of_date(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | ':')
}

/// What must not be seen of an exchange, and what may.
pub(super) struct Blind<'a> {
    mask: &'a Mask,
    members: Words,
    kept: Words,
    /// Those that stay where a name may stand.
    names: Words,
    /// Of members, of what the plugin remembered, or of answers: what it puts into requests itself.
    known: Words,
}

impl<'a> Blind<'a> {
    /// Of a call, whose plugin and operator use these words.
    pub fn new(
        mask: &'a Mask,
        kept: Words,
        input: &Input,
        state: &[CapturedText],
        exchanges: &[Exchange],
    ) -> Self {
        let members = members(input);
        let mut names = kept.clone();
        names.extend(plain());
        let mut known = members.clone();
        if let Input::Poll { token } = input {
            known.add_but(token, &names);
        }
        for CapturedText { found, .. } in state {
            if let Found::Text(text) = found {
                known.add_but(text, &names);
            }
        }
        for exchange in exchanges {
            if let Some(Ok(response)) = &exchange.answer {
                known.add_but(&String::from_utf8_lossy(&response.body), &names);
            }
        }
        Self {
            mask,
            members,
            kept,
            names,
            known,
        }
    }

    /// A job's token: what the plugin tells its own tokens apart by may be a digit or a letter.
    pub fn token(&self, token: &str) -> String {
        let short = |word: &str| word.len() == 1 && word.chars().all(|c| c.is_ascii_alphanumeric());
        let stays = |word: &str| short(word) || self.names.spells(word);
        self.mask
            .replace(token, |word| self.members.has(word) || !stays(word))
    }

    pub fn exchange(&self, exchange: &Exchange) -> Exchange {
        Exchange {
            request: self.request(&exchange.request),
            answer: exchange.answer.as_ref().map(|answer| match answer {
                Ok(response) => Ok(self.response(response)),
                Err(failure) => Err(self.failure(failure)),
            }),
        }
    }

    /// As the plugin will ask for it with masked rows, as far as that can be told: only so that the
    /// tape knows it. What is written down is what the plugin asks for.
    fn request(&self, request: &Request) -> Request {
        let only = |text: &str| self.mask.only(text, &self.known);
        let bytes = |bytes: &[u8]| only(&String::from_utf8_lossy(bytes)).into_bytes();
        let pairs = |pairs: &[(String, String)]| -> Vec<_> {
            let one = |(name, value): &(String, String)| (only(name), only(value));
            pairs.iter().map(one).collect()
        };
        let part = |part: &Part| Part {
            content: match &part.content {
                Content::Bytes(content) => Content::Bytes(bytes(content)),
                staged @ Content::Staged(_) => staged.clone(),
            },
            ..part.clone()
        };
        Request {
            path: only(&request.path),
            query: pairs(&request.query),
            headers: pairs(&request.headers),
            body: match &request.body {
                Body::None => Body::None,
                Body::Bytes(content) => Body::Bytes(bytes(content)),
                Body::Multipart(parts) => Body::Multipart(parts.iter().map(part).collect()),
            },
            ..request.clone()
        }
    }

    fn response(&self, response: &Response) -> Response {
        let header = |(name, value): &(String, String)| (self.name(name), self.header(name, value));
        Response {
            status: response.status,
            headers: response.headers.iter().map(header).collect(),
            body: self.body(&response.body),
            extra: response
                .extra
                .iter()
                .map(|(name, value)| (self.name(name), self.hide(value)))
                .collect(),
        }
    }

    /// What decides what a plugin does stays, if it looks as it must.
    fn header(&self, name: &str, value: &str) -> String {
        let only = |text: &str| self.mask.only(text, &self.members);
        match name {
            "content-type" => {
                let (kind, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
                match kind.chars().all(is_of_type) {
                    true => only(kind) + &self.of_type(rest),
                    false => self.hide(value),
                }
            }
            "retry-after" if value.len() < 40 && value.chars().all(is_of_date) => only(value),
            _ => self.hide(value),
        }
    }

    /// What follows a type of content.
    fn of_type(&self, rest: &str) -> String {
        let one = |part: &str| match part.trim().eq_ignore_ascii_case("charset=utf-8") {
            true => part.to_owned(),
            false => self.mask.but(part, &self.names, &self.members),
        };
        rest.split(';').map(one).collect::<Vec<_>>().join(";")
    }

    /// A key is a name, and stays; what stands there may be anything.
    pub fn state(&self, text: &CapturedText) -> CapturedText {
        let only = |why: &str| self.mask.only(why, &self.known);
        CapturedText {
            key: only(&text.key),
            after: text.after,
            found: match &text.found {
                Found::Nothing => Found::Nothing,
                Found::Text(text) => Found::Text(self.text(text)),
                Found::Denied(why) => Found::Denied(only(why)),
                Found::TooLarge(why) => Found::TooLarge(only(why)),
                Found::Unavailable(why) => Found::Unavailable(only(why)),
                Found::Never => Found::Never,
            },
        }
    }

    fn body(&self, body: &[u8]) -> Vec<u8> {
        self.text(&String::from_utf8_lossy(body)).into_bytes()
    }

    fn text(&self, text: &str) -> String {
        let changed = json::changed(
            text,
            &json::Change {
                name: &|name| self.name(name),
                text: &|text| self.hide(text),
                number: &|number| self.mask.number(number),
                // One bit of nobody known; and what a plugin decides by.
                boolean: &|value| value,
            },
        );
        changed.unwrap_or_else(|| self.hide(text))
    }

    /// A name in an answer: it stays if it is made of words that are nobody's.
    fn name(&self, name: &str) -> String {
        self.mask.but(name, &self.names, &self.members)
    }

    fn hide(&self, text: &str) -> String {
        self.mask.but(text, &self.kept, &self.members)
    }

    /// The host's own words, which quote at most what came over the wire or was asked for.
    fn failure(&self, failure: &Failure) -> Failure {
        let only = |why: &String| self.mask.only(why, &self.known);
        match failure {
            Failure::Denied(why) => Failure::Denied(only(why)),
            Failure::Unreachable(why) => Failure::Unreachable(only(why)),
            Failure::Interrupted(why) => Failure::Interrupted(only(why)),
            Failure::TooLarge(why) => Failure::TooLarge(only(why)),
            Failure::Other(why) => Failure::Other(only(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(path: &str, answer: Result<Response, Failure>) -> Exchange {
        Exchange {
            request: Request {
                method: "GET".to_owned(),
                path: path.to_owned(),
                query: vec![],
                headers: vec![],
                body: Body::None,
                extra: vec![],
            },
            answer: Some(answer),
        }
    }

    /// What is left of an answer to `poll`, where no row says whose word it may be.
    fn left(body: &str) -> String {
        let mut kept = Words::default();
        kept.add_names("/import_jobs succeeded");
        let answer = Response {
            status: 200,
            headers: [
                ("x-trace", "Lovelace"),
                ("x-meta-lovelace", "1"),
                ("content-type", "text/csv; charset=utf-8; name=Lovelace.csv"),
                ("retry-after", "30"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: body.as_bytes().to_vec(),
            extra: vec![],
        };
        let exchanges = [answered("/import_jobs/17", Ok(answer))];
        let token = r#"{"v":1,"id":"Lovelace17"}"#.to_owned();
        let mask = Mask::new([7; 32]);
        let blind = Blind::new(
            &mask,
            kept,
            &Input::Poll {
                token: token.clone(),
            },
            &[],
            &exchanges,
        );
        let masked = blind.exchange(&exchanges[0]);
        let token = blind.token(&token);
        assert!(
            token.starts_with(r#"{"v":1,"id":""#) && !token.contains("Lovelace"),
            "{token}"
        );
        let Some(Ok(response)) = masked.answer else {
            panic!("it was an answer");
        };
        let headers = format!("{:?}", response.headers);
        assert!(!headers.to_lowercase().contains("lovelace"), "{headers}");
        for stays in ["\"x-meta-", "\"text/csv; charset=utf-8; name=", "\"30\""] {
            assert!(headers.contains(stays), "{headers}");
        }
        String::from_utf8(response.body).unwrap()
    }

    #[test]
    fn a_name_in_an_answer_stays_only_if_it_is_nobodys() {
        let body = r#"{"status":"succeeded","rejectedRows":{"Lovelace":"no"},"errors":[{"Ada":1,"import_job":2}]}"#;
        let masked = left(body);
        for stays in [
            "\"status\":\"succeeded\"",
            "rejectedRows",
            "errors",
            "import_job\"",
        ] {
            assert!(masked.contains(stays), "{masked}");
        }
        for goes in ["Lovelace", "Ada"] {
            assert!(!masked.contains(goes), "{masked}");
        }
    }

    #[test]
    fn what_the_host_says_of_a_request_quotes_nothing_of_a_token_or_an_answer() {
        let token = "Lovelace".to_owned();
        let why = "path /jobs/Lovelace is not granted".to_owned();
        let exchanges = [answered("/jobs/Lovelace", Err(Failure::Denied(why)))];
        let mask = Mask::new([7; 32]);
        let blind = Blind::new(
            &mask,
            Words::default(),
            &Input::Poll { token },
            &[],
            &exchanges,
        );
        let masked = blind.exchange(&exchanges[0]);
        let Some(Err(Failure::Denied(why))) = &masked.answer else {
            panic!("it was denied");
        };
        assert!(
            why.ends_with("is not granted") && !why.contains("Lovelace"),
            "{why}"
        );
        assert!(!masked.request.path.contains("Lovelace"));
    }
}
