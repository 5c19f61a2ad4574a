//! Whole URLs, as guests with `wasi:http` write them: whether they name the destination, and the path
//! below its endpoint. Pure.

use http::Uri;
use percent_encoding::percent_decode_str;
use url::{Url, form_urlencoded};

use super::{Denial, Endpoint};

/// The host that a guest names which does not know where the operator has put the endpoint: what follows
/// is the path below it, as in `https://destination/users`.
const PLACEHOLDER: &str = "destination";

/// A path below the endpoint and the query's pairs, both without escapes, as the contract has them.
pub(super) type Below = (String, Vec<(String, String)>);

impl Endpoint {
    /// What a URL asks for, if it is below this endpoint.
    ///
    /// # Errors
    /// It names another host, or has a path that the contract could not name.
    pub(super) fn below(&self, uri: &Uri) -> Result<Below, Denial> {
        let authority = uri.authority().ok_or(Denial::OtherHost)?;
        let path = match authority.as_str().eq_ignore_ascii_case(PLACEHOLDER) {
            true => uri.path(),
            false => self.without_base(uri).ok_or(Denial::OtherHost)?,
        };
        let mut plain = String::with_capacity(path.len());
        for segment in path.strip_prefix('/').ok_or(Denial::Path)?.split('/') {
            let segment = percent_decode_str(segment).decode_utf8();
            let segment = segment.map_err(|_| Denial::Path)?;
            // Escaped, it is no border of segments; written plainly, it would become one.
            if segment.contains('/') {
                return Err(Denial::Path);
            }
            plain.push('/');
            plain.push_str(&segment);
        }
        let query = uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        Ok((plain, pairs.collect()))
    }

    /// Why a path is denied that is a whole URL.
    pub(super) fn denial_of_url(&self, path: &str) -> Option<Denial> {
        let uri: Uri = path.parse().ok()?;
        uri.scheme().and(uri.authority())?;
        // Below the endpoint it is still no path.
        Some(self.below(&uri).err().unwrap_or(Denial::Path))
    }

    /// The path behind the endpoint's own, if scheme, host and port are the endpoint's.
    fn without_base<'u>(&self, uri: &'u Uri) -> Option<&'u str> {
        let origin = format!("{}://{}", uri.scheme()?, uri.authority()?);
        let origin = Url::parse(&origin).ok()?;
        if !self.is_origin(&origin) {
            return None;
        }
        let rest = uri.path().strip_prefix(self.base())?;
        rest.starts_with('/').then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(uri: &str) -> Result<(String, String), Denial> {
        let endpoint = Endpoint::parse("https://api.example.com:8443/v3", false).unwrap();
        let (path, pairs) = endpoint.below(&uri.parse().unwrap())?;
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        Ok((path, pairs.collect::<Vec<_>>().join(" ")))
    }

    #[test]
    fn the_endpoint_and_its_placeholder_are_the_destination() {
        for (uri, path, query) in [
            ("https://destination/users", "/users", ""),
            ("http://DESTINATION/users/a%20b", "/users/a b", ""),
            ("https://api.example.com:8443/v3/users", "/users", ""),
            (
                "https://API.example.com:8443/v3/users?a=1&b=x%26y&c",
                "/users",
                "a=1 b=x&y c=",
            ),
            // Judged as every path is: this one is denied as malformed.
            ("https://destination/users/../keys", "/users/../keys", ""),
            ("https://destination/users/%2e%2e", "/users/..", ""),
        ] {
            assert_eq!(below(uri), Ok((path.to_owned(), query.to_owned())), "{uri}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for uri in [
            "https://evil.test/users",
            "https://api.example.com/v3/users",
            "http://api.example.com:8443/v3/users",
            "https://api.example.com:8443/v4/users",
            "https://api.example.com:8443/v3",
            "https://api.example.com:8443/v33/users",
            "https://user@destination/users",
            "https://destination:8443/users",
            "https://destination.evil.test/users",
            "https://user:key@api.example.com:8443/v3/users",
            "https://127.0.0.1/users",
            "/users",
        ] {
            assert_eq!(below(uri), Err(Denial::OtherHost), "{uri}");
            let endpoint = Endpoint::parse("https://api.example.com:8443/v3", false).unwrap();
            let as_path = (uri != "/users").then_some(Denial::OtherHost);
            assert_eq!(endpoint.denial_of_url(uri), as_path, "{uri}");
        }
        for uri in [
            "https://destination/users%2fkeys",
            "https://destination/users/%ff",
        ] {
            assert_eq!(below(uri), Err(Denial::Path), "{uri}");
        }
    }
}
