//! Rendering a credential into headers. What it is made of is kept in memory that is overwritten when
//! it is given up, and has no way to be shown.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::headers;
use super::scrub::{SHORTEST, Scrubber};
use crate::plugin::types::AuthMethod;

/// Why the headers of an authorization could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A value is missing.
    #[error("secret `{0}` is needed, and was not given")]
    Missing(String),
    /// A value can not stand in a header. The value is not shown.
    #[error(
        "secret `{0}` is empty, or holds a line break or another character that no header may hold"
    )]
    NotAHeader(String),
    /// A value is too short to be told from other text.
    #[error(
        "secret `{0}` is shorter than {SHORTEST} bytes: so short a text stands by chance in many an \
         answer, and could not be scrubbed from what the plugin gets to see"
    )]
    TooShort(String),
    /// The manifest asks for nonsense.
    #[error("the plugin's header template `{0}` is not usable")]
    Template(String),
}

impl CredentialError {
    /// The secret that is at fault.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Missing(name) | Self::NotAHeader(name) | Self::TooShort(name) => Some(name),
            Self::Template(_) => None,
        }
    }
}

/// The headers of one authorization, and what to remove from answers.
#[derive(PartialEq, Eq)]
pub struct Credential {
    headers: Vec<(HeaderName, Zeroizing<Vec<u8>>)>,
    scrubber: Scrubber,
}

impl Credential {
    /// Renders the templates of `method` with these values, named as `credential.id`.
    ///
    /// # Errors
    /// A value that is missing or can not stand in a header; never shows a value.
    pub fn render(
        method: &AuthMethod,
        values: &BTreeMap<String, Zeroizing<String>>,
    ) -> Result<Self, CredentialError> {
        for credential in &method.credentials {
            let id = || credential.id.clone();
            let value = values
                .get(&credential.id)
                .ok_or_else(|| CredentialError::Missing(id()))?;
            // As `HeaderValue` has it, which would keep a copy.
            let fits = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
            if value.is_empty() || !value.bytes().all(fits) {
                return Err(CredentialError::NotAHeader(id()));
            }
            if value.len() < SHORTEST {
                return Err(CredentialError::TooShort(id()));
            }
        }
        let mut headers = vec![];
        let mut wholes = vec![];
        for (name, template) in &method.headers {
            let unusable = || CredentialError::Template(format!("{name}: {template}"));
            let plain = HeaderValue::from_str(template).is_ok();
            if !plain || !headers::may_hold_credential(name) {
                return Err(unusable());
            }
            let pieces = pieces(template, method, values);
            // All of it at once: text that moves while it grows would leave copies behind.
            let length = pieces.iter().map(|piece| piece.len()).sum();
            let mut text = Zeroizing::new(String::with_capacity(length));
            pieces.iter().for_each(|piece| text.push_str(piece));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
            headers.push((name, Zeroizing::new(text.as_bytes().to_owned())));
            if *text != *template {
                wholes.push(text);
            }
        }
        let secrets = method
            .credentials
            .iter()
            .map(|credential| values[&credential.id].as_str());
        let scrubber = Scrubber::new(wholes.iter().map(|text| text.as_str()).chain(secrets));
        Ok(Self { headers, scrubber })
    }

    /// No header at all, for a way that nothing is sent on.
    pub(crate) fn none() -> Self {
        Self {
            headers: vec![],
            scrubber: Scrubber::default(),
        }
    }

    /// The headers to add to one request, in memory that is overwritten when it is sent.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.headers.iter().filter_map(|(name, value)| {
            let value = Bytes::from_owner(value.clone());
            let mut value = HeaderValue::from_maybe_shared(value).ok()?;
            value.set_sensitive(true);
            Some((name.clone(), value))
        })
    }

    /// What finds it in answers.
    pub(super) fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }
}

/// A template in pieces, with values where their names stood. What a value holds is never taken for
/// a name.
fn pieces<'p>(
    template: &'p str,
    method: &AuthMethod,
    values: &'p BTreeMap<String, Zeroizing<String>>,
) -> Vec<&'p str> {
    let mut pieces = vec![];
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, hole) = rest.split_at(at);
        pieces.push(before);
        let known = method.credentials.iter().find_map(|credential| {
            let rest = hole[1..].strip_prefix(credential.id.as_str())?;
            Some((credential, rest.strip_prefix('}')?))
        });
        rest = match known {
            Some((credential, behind)) => {
                pieces.push(values[&credential.id].as_str());
                behind
            }
            None => {
                pieces.push("{");
                &hole[1..]
            }
        };
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::types;

    fn method(headers: &[(&str, &str)]) -> AuthMethod {
        let credential = |id: &str| types::Credential {
            id: id.to_owned(),
            label: String::new(),
            description: String::new(),
        };
        AuthMethod {
            id: "api-key".to_owned(),
            label: String::new(),
            credentials: vec![credential("api-key")],
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    const TEMPLATE: [(&str, &str); 1] = [("Authorization", "ApiKey {api-key}")];

    fn values(value: &str) -> BTreeMap<String, Zeroizing<String>> {
        BTreeMap::from([("api-key".to_owned(), Zeroizing::new(value.to_owned()))])
    }

    #[test]
    fn the_key_is_rendered_into_its_header() {
        let credential = Credential::render(&method(&TEMPLATE), &values("k-{api-key}")).unwrap();
        let headers: Vec<_> = credential.headers().collect();
        let [(name, value)] = &headers[..] else {
            panic!("{} headers", headers.len())
        };
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("authorization", "ApiKey k-{api-key}")
        );
        assert!(value.is_sensitive());
    }

    #[test]
    fn a_bad_key_is_refused_without_being_shown() {
        for (bad, says) in [
            ("", "is empty"),
            ("two\nlines", "a line break"),
            ("12345", "shorter than 6"),
        ] {
            let error = Credential::render(&method(&TEMPLATE), &values(bad))
                .err()
                .unwrap();
            assert_eq!(error.secret(), Some("api-key"));
            let error = error.to_string();
            assert!(error.contains(says), "{error}");
            assert!(
                !error.contains("lines") && !error.contains("12345"),
                "{error}"
            );
        }
        assert!(Credential::render(&method(&TEMPLATE), &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_manifest_cannot_set_the_connections_headers_by_way_of_the_credential() {
        for (name, template) in [
            ("Host", "evil.test"),
            ("Content-Length", "0"),
            ("X-Forwarded-For", "{api-key}"),
            ("a b", "{api-key}"),
            ("Authorization", "a\r\nHost: evil.test"),
        ] {
            let rendered = Credential::render(&method(&[(name, template)]), &values("k-123456"));
            assert!(
                matches!(rendered, Err(CredentialError::Template(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn what_comes_back_holds_no_key_and_no_whole_header() {
        let credential = Credential::render(&method(&TEMPLATE), &values("s3/\"cret+key")).unwrap();
        let echoed = r#"{"a":"s3/\"cret+key","b":"s3%2F%22cret%2Bkey"} ApiKey s3/"cret+key"#;
        assert_eq!(
            credential.scrubber().scrub_text(echoed.to_owned()),
            r#"{"a":"[credential]","b":"[credential]"} [credential]"#
        );
    }

    #[test]
    fn a_header_without_a_secret_is_none() {
        let all = [TEMPLATE[0], ("X-Version", "version-7")];
        let credential = Credential::render(&method(&all), &values("k-123456")).unwrap();
        assert_eq!(
            credential.scrubber().scrub_text("version-7".to_owned()),
            "version-7"
        );
    }
}
