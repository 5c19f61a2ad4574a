//! The token that whoever asks must have, where one is needed.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A shorter token could be guessed over the network.
const LEAST_BYTES: usize = 16;

/// What is kept of the token: enough to compare, and nothing that could be shown.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file could not be read.
    #[error("the admin token's file {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error(
        "everybody on this machine can read the admin token in {path}: `chmod 600` it, or hand the \
         token over as SLUICE_ADMIN_TOKEN"
    )]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It is none.
    #[error(
        "the admin token is unusable: expected at least {LEAST_BYTES} letters, digits or signs without a space, \
         as `openssl rand -hex 32` makes them"
    )]
    Unusable,
}

impl Token {
    /// Takes a token.
    ///
    /// # Errors
    /// It is too short, or could not stand in a header.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() < LEAST_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unusable);
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Reads it from a file that not everybody can read.
    ///
    /// # Errors
    /// The file's, or the token's.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        use std::io::Read;
        let error = |source| TokenError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = std::fs::File::open(path).map_err(error)?;
        // Of the file that was opened, whatever takes its name meanwhile.
        if open_to_all(&file.metadata().map_err(error)?) {
            return Err(TokenError::Open {
                path: path.to_owned(),
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(error)?;
        Self::new(&text)
    }

    /// Whether this is the token, in the same time whatever it is.
    pub(super) fn is(&self, text: &str) -> bool {
        let found: [u8; 32] = Sha256::digest(text).into();
        self.0.ct_eq(&found).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(unix)]
fn open_to_all(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn open_to_all(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        assert!(token.is("0123456789abcdef"));
        for other in [
            "",
            "0123456789abcde",
            "0123456789abcdeF",
            "0123456789abcdef ",
        ] {
            assert!(!token.is(other), "{other}");
        }
        for wrong in [
            "",
            "short",
            "0123456789 abcdef",
            "0123456789abcdé",
            "0123456789\u{7f}abcdef",
        ] {
            assert!(Token::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(Token::read(&path), Err(TokenError::Read { .. })));
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        for (mode, fine) in [(0o600, true), (0o440, true), (0o644, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match Token::read(&path) {
                Ok(_) => assert!(fine, "{mode:o}"),
                Err(error) => assert!(!fine && error.to_string().contains("chmod 600"), "{mode:o}"),
            }
        }
    }
}
