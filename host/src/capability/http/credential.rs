//! Rendering a credential into headers, and removing it from whatever comes back.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

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
    /// The manifest asks for nonsense.
    #[error("the plugin's header template `{0}` is not usable")]
    Template(String),
}

/// The headers of one authorization, and the texts to remove from answers.
#[derive(PartialEq, Eq)]
pub struct Credential {
    headers: HeaderMap,
    secrets: Vec<Zeroizing<String>>,
}

/// What stands where a secret stood.
const SCRUBBED: &str = "[credential]";

/// A secret shorter than this would be found by chance in every second answer.
const SCRUB_FROM_BYTES: usize = 6;

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
            let value = values
                .get(&credential.id)
                .ok_or_else(|| CredentialError::Missing(credential.id.clone()))?;
            if value.is_empty() || HeaderValue::from_str(value).is_err() {
                return Err(CredentialError::NotAHeader(credential.id.clone()));
            }
        }
        let mut headers = HeaderMap::new();
        for (name, template) in &method.headers {
            let unusable = || CredentialError::Template(format!("{name}: {template}"));
            let mut text = Zeroizing::new(template.clone());
            for credential in &method.credentials {
                let hole = format!("{{{}}}", credential.id);
                *text = text.replace(&hole, &values[&credential.id]);
            }
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
            let mut value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let secrets = method
            .credentials
            .iter()
            .flat_map(|credential| forms(&values[&credential.id]))
            .filter(|secret| secret.len() >= SCRUB_FROM_BYTES)
            .collect();
        Ok(Self { headers, secrets })
    }

    /// No header at all, for a way that nothing is sent on.
    pub(crate) fn none() -> Self {
        Self {
            headers: HeaderMap::new(),
            secrets: vec![],
        }
    }

    /// The headers to add to every request.
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The same text without the credential in it.
    pub(super) fn scrub_text(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) {
                text.replace(secret.as_str(), SCRUBBED)
            } else {
                text
            }
        })
    }

    /// The same bytes without the credential in them.
    pub(super) fn scrub(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for secret in &self.secrets {
            let needle = secret.as_bytes();
            let mut from = 0;
            while let Some(at) = memchr::memmem::find(&bytes[from..], needle) {
                bytes.splice(from + at..from + at + needle.len(), SCRUBBED.bytes());
                from += at + SCRUBBED.len();
            }
        }
        bytes
    }
}

/// A secret as it is and as JSON and URLs spell it.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let json = serde_json::to_string(secret).unwrap_or_default();
    let json = json.trim_matches('"').to_owned();
    let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
        .to_string();
    let mut forms = vec![secret.to_owned(), json, percent];
    forms.dedup();
    forms.into_iter().map(Zeroizing::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::types;

    fn method() -> AuthMethod {
        AuthMethod {
            id: "api-key".to_owned(),
            label: String::new(),
            credentials: vec![types::Credential {
                id: "api-key".to_owned(),
                label: String::new(),
                description: String::new(),
            }],
            headers: vec![("Authorization".to_owned(), "ApiKey {api-key}".to_owned())],
        }
    }

    fn values(value: &str) -> BTreeMap<String, Zeroizing<String>> {
        BTreeMap::from([("api-key".to_owned(), Zeroizing::new(value.to_owned()))])
    }

    #[test]
    fn the_key_is_rendered_into_its_header() {
        let credential = Credential::render(&method(), &values("k-123456")).unwrap();
        assert_eq!(credential.headers()["authorization"], "ApiKey k-123456");
        assert!(credential.headers()["authorization"].is_sensitive());
    }

    #[test]
    fn a_bad_key_is_refused_without_being_shown() {
        for bad in ["", "two\nlines"] {
            let error = Credential::render(&method(), &values(bad))
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains("api-key") && !error.contains("lines\n"),
                "{error}"
            );
        }
        assert!(Credential::render(&method(), &BTreeMap::new()).is_err());
    }

    #[test]
    fn what_comes_back_holds_no_key_in_any_spelling() {
        let credential = Credential::render(&method(), &values("s3/\"cret+key")).unwrap();
        let echoed = br#"{"a":"s3/\"cret+key","b":"s3%2F%22cret%2Bkey"} s3/"cret+key"#.to_vec();
        let scrubbed = String::from_utf8(credential.scrub(echoed)).unwrap();
        assert_eq!(
            scrubbed,
            r#"{"a":"[credential]","b":"[credential]"} [credential]"#
        );
    }
}
