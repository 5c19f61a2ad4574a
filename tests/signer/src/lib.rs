//! Signs as minisign does, for the tests.
#![deny(missing_docs)]

use std::io::Cursor;

use minisign::KeyPair;

/// The owner of a key.
#[derive(Debug)]
pub struct Signer(KeyPair);

impl Signer {
    /// One with a new key, which no password protects.
    ///
    /// # Panics
    /// The system has no random numbers.
    #[expect(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("the system has random numbers"))
    }

    /// The public key, as people hand it on.
    pub fn key(&self) -> String {
        self.0.pk.to_base64()
    }

    /// A signature with a trusted comment, as it lies beside what is signed.
    ///
    /// # Panics
    /// The comment has more than one line.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let (pair, bytes) = (&self.0, Cursor::new(bytes));
        let signed = minisign::sign(Some(&pair.pk), &pair.sk, bytes, Some(comment), None);
        signed.expect("the comment is one line").into_string()
    }
}
