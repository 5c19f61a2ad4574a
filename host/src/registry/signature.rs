//! Whether a component is signed by somebody whose plugins may run. Pure: it judges bytes that were
//! read, and those are the ones that are run.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::{Error, PublicKey, Signature};

/// What the name of a signature's file has behind that of the component.
pub const SIGNATURE: &str = "minisig";

/// Signatures of one component that are kept.
const MOST: usize = 8;

/// A minisign public key.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    id: String,
    key: PublicKey,
}

/// A text that is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no minisign public key; expected the 56 characters that begin with RW, which is the \
     second line of `minisign.pub`"
)]
pub struct NoKey;

/// Why a component does not pass for signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// There is no signature.
    #[error(
        "it is not signed; get its author's signature, or sign it yourself (`minisign -Sm FILE`)"
    )]
    Missing,
    /// What should be one is none.
    #[error("what should be its signature is none ({0}); get its author's")]
    NoSignature(String),
    /// It is signed by somebody else.
    #[error(
        "it is signed by the key {0}, which is another one; add its public key there if its owner's \
         plugins may run"
    )]
    OtherKey(String),
    /// The signature belongs to another file.
    #[error(
        "its signature is not for this file, and says that it is for {0}; get the one for this file"
    )]
    OtherFile(String),
    /// File and signature do not belong together.
    #[error(
        "it is not what the key {0} has signed: the file or its signature was altered; get both \
         anew from where they come"
    )]
    Altered(String),
}

impl SigningKey {
    /// What minisign calls it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for SigningKey {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let text = text.trim();
        let key = PublicKey::from_base64(text).map_err(|_| NoKey)?;
        let id = id(text).ok_or(NoKey)?;
        Ok(Self { id, key })
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// Judges the bytes of a component by what should be its signatures, one behind the other. It is enough
/// that one of the keys has signed. The file's name, where its author may have given it, only makes for a
/// better message.
pub(crate) fn judge(
    file: Option<&str>,
    bytes: &[u8],
    signatures: Option<&str>,
    keys: &[SigningKey],
) -> Result<(), Unsigned> {
    let text = signatures.ok_or(Unsigned::Missing)?;
    let mut nearest = None;
    for signature in each(text) {
        match judge_one(file, bytes, &signature, keys) {
            Ok(()) => return Ok(()),
            Err(why) => {
                if nearest
                    .as_ref()
                    .is_none_or(|other| rank(&why) > rank(other))
                {
                    nearest = Some(why);
                }
            }
        }
    }
    Err(nearest.unwrap_or_else(|| Unsigned::NoSignature("the file is empty".to_owned())))
}

/// Puts signatures together with those that are there: a component may be signed by several, and whoever
/// brings one more takes nobody else's away. The new ones come first, so that of too many the oldest go.
pub(crate) fn together(there: Option<&str>, new: &str) -> Result<String, Unsigned> {
    let mut all: Vec<String> = vec![];
    for signature in each(new) {
        decode(&signature)?;
        signer(&signature).ok_or_else(|| Unsigned::NoSignature("without a key".to_owned()))?;
        all.push(signature);
    }
    if all.is_empty() {
        return Err(Unsigned::NoSignature("the file is empty".to_owned()));
    }
    for signature in there.into_iter().flat_map(each) {
        if !all.contains(&signature) && decode(&signature).is_ok() {
            all.push(signature);
        }
    }
    all.truncate(MOST);
    Ok(all.concat())
}

/// The keys that signatures say they are by. Nothing is proved by that.
pub(crate) fn signers(signatures: &str) -> Vec<String> {
    each(signatures)
        .filter_map(|signature| signer(&signature))
        .collect()
}

fn judge_one(
    file: Option<&str>,
    bytes: &[u8],
    text: &str,
    keys: &[SigningKey],
) -> Result<(), Unsigned> {
    let signature = decode(text)?;
    let id = signer(text).ok_or_else(|| Unsigned::NoSignature("without a key".to_owned()))?;
    let mut held = keys.iter().filter(|key| key.id == id).peekable();
    if held.peek().is_none() {
        return Err(Unsigned::OtherKey(id));
    }
    // Legacy signatures are over the bytes themselves, and no weaker.
    if held.any(|key| key.key.verify(bytes, &signature, true).is_ok()) {
        return Ok(());
    }
    match of_file(signature.trusted_comment()) {
        Some(named) if file.is_some_and(|file| file != named) => Err(Unsigned::OtherFile(named)),
        _ => Err(Unsigned::Altered(id)),
    }
}

/// How much a person learns from it, who has brought several.
fn rank(unsigned: &Unsigned) -> u8 {
    match unsigned {
        Unsigned::Altered(_) | Unsigned::OtherFile(_) => 2,
        Unsigned::OtherKey(_) => 1,
        Unsigned::NoSignature(_) | Unsigned::Missing => 0,
    }
}

/// Signatures are four lines each.
fn each(text: &str) -> impl Iterator<Item = String> {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let one = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect();
    lines
        .chunks(4)
        .map(one)
        .collect::<Vec<String>>()
        .into_iter()
}

fn decode(text: &str) -> Result<Signature, Unsigned> {
    Signature::decode(text).map_err(|error| {
        let why = match error {
            Error::UnsupportedAlgorithm => "of an unknown kind",
            _ => "not the four lines that `minisign -S` writes",
        };
        Unsigned::NoSignature(why.to_owned())
    })
}

/// The key that a signature says it is by.
fn signer(signature: &str) -> Option<String> {
    id(signature.lines().nth(1)?)
}

/// The id in a key or a signature: eight bytes behind two that name the algorithm.
fn id(base64: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(base64.trim()).ok()?;
    let id = bytes.get(2..10)?.try_into().ok()?;
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

/// The file that a signature's comment names, as far as it is a plain name: it is shown.
fn of_file(comment: &str) -> Option<String> {
    let name = comment
        .split_whitespace()
        .find_map(|word| word.strip_prefix("file:"))?;
    let fine = |c: char| c.is_ascii_alphanumeric() || ".+-_@".contains(c);
    (!name.is_empty() && name.len() <= 128 && name.chars().all(fine)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use sluice_signer::Signer;

    use super::*;

    fn keys() -> (Signer, SigningKey) {
        let pair = Signer::new();
        let key = pair.key().parse().unwrap();
        (pair, key)
    }

    fn sign(pair: &Signer, bytes: &[u8], comment: &str) -> String {
        pair.sign(bytes, comment)
    }

    #[test]
    fn a_signature_by_one_of_the_keys_passes() {
        let ((pair, key), (_, other)) = (keys(), keys());
        let signature = sign(&pair, b"bytes", "timestamp:1\tfile:a.wasm\thashed");
        let judged = |keys: &[_]| judge(Some("a.wasm"), b"bytes", Some(&signature), keys);
        assert_eq!(judged(std::slice::from_ref(&key)), Ok(()));
        assert_eq!(judged(&[other.clone(), key.clone()]), Ok(()));
        // A file may be renamed.
        let keys = [key.clone()];
        let renamed = judge(Some("b.wasm"), b"bytes", Some(&signature), &keys);
        assert_eq!(renamed, Ok(()));
        assert_eq!(judged(&[other]), Err(Unsigned::OtherKey(key.id.clone())));
        assert_eq!(judged(&[]), Err(Unsigned::OtherKey(key.id)));
    }

    /// Made by minisign itself, for the text `test`; the older way, and the newer one.
    #[test]
    fn legacy_and_prehashed_signatures_pass() {
        let key: SigningKey = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
            .parse()
            .unwrap();
        assert_eq!(key.id(), "E7620F1842B4E81F");
        for signature in [
            "untrusted comment: signature from minisign secret key\n\
             RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
             trusted comment: timestamp:1555779966\tfile:test\n\
             QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==",
            "untrusted comment: signature from minisign secret key\n\
             RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
             trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
             wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==",
        ] {
            let keys = [key.clone()];
            assert_eq!(judge(None, b"test", Some(signature), &keys), Ok(()));
            let altered = judge(None, b"tesu", Some(signature), &keys);
            assert_eq!(altered, Err(Unsigned::Altered(key.id.clone())));
        }
    }

    #[test]
    fn whatever_else_is_there_is_told_for_what_it_is() {
        let (pair, key) = keys();
        let keys = [key.clone()];
        let comment = "timestamp:1\tfile:a.wasm\thashed";
        let good = sign(&pair, b"bytes", comment);
        let judged = |signature: &str| judge(Some("a.wasm"), b"bytes", Some(signature), &keys);
        let altered = Err(Unsigned::Altered(key.id.clone()));
        assert_eq!(
            judge(Some("a.wasm"), b"bytes", None, &keys),
            Err(Unsigned::Missing)
        );
        assert_eq!(judge(Some("a.wasm"), b"bytez", Some(&good), &keys), altered);
        // The comment is signed as well.
        assert_eq!(judged(&good.replace("timestamp:1", "timestamp:2")), altered);
        let other = sign(&pair, b"others", "timestamp:1\tfile:b.wasm\thashed");
        let named = Err(Unsigned::OtherFile("b.wasm".to_owned()));
        assert_eq!(judged(&other), named);
        assert_eq!(judge(None, b"bytes", Some(&other), &keys), altered);
        // What is no plain name is not shown.
        let forged = sign(&pair, b"others", "file:\x1b[31m");
        assert_eq!(judged(&forged), altered);
        for none in [
            "",
            "a\nb\nc\nd",
            "\n\n\n\n",
            &good[..good.len() / 2],
            &"x".repeat(9999),
        ] {
            let error = judged(none).unwrap_err();
            assert!(matches!(error, Unsigned::NoSignature(_)), "{error}");
        }
    }

    #[test]
    fn a_component_may_be_signed_by_several() {
        let ((one, key), (two, other), (_, third)) = (keys(), keys(), keys());
        let comment = "timestamp:1\tfile:a.wasm\thashed";
        let (first, second) = (sign(&one, b"bytes", comment), sign(&two, b"bytes", comment));
        let both = together(Some(&first), &second).unwrap();
        let judged =
            |key: &SigningKey| judge(None, b"bytes", Some(&both), std::slice::from_ref(key));
        assert_eq!((judged(&key), judged(&other)), (Ok(()), Ok(())));
        assert!(matches!(judged(&third), Err(Unsigned::OtherKey(_))));
        assert_eq!(signers(&both), [other.id.clone(), key.id.clone()]);
        // Once more changes nothing; what is none is not taken; what is wrong harms nobody.
        assert_eq!(together(Some(&both), &second).unwrap(), both);
        for none in ["", "\n\n", "a\nb\nc\nd"] {
            assert!(together(Some(&both), none).is_err(), "{none}");
        }
        let stale = sign(&one, b"another", comment);
        let all = together(Some(&both), &stale).unwrap();
        assert_eq!(judge(None, b"bytes", Some(&all), &[key]), Ok(()));
        let mut many = all;
        for number in 0..MOST {
            let new = sign(&one, b"bytes", &format!("timestamp:{number}"));
            many = together(Some(&many), &new).unwrap();
        }
        assert_eq!(signers(&many).len(), MOST);
        // The nearest reason is told.
        let wrong = judge(None, b"bytez", Some(&both), std::slice::from_ref(&other));
        assert_eq!(wrong, Err(Unsigned::Altered(other.id)));
    }

    #[test]
    fn a_key_is_told_from_other_texts() {
        let (pair, key) = keys();
        let text = pair.key();
        assert_eq!(format!(" {text}\n").parse(), Ok(key));
        let no_algorithm = text.replacen("RW", "QQ", 1);
        for none in [
            "",
            "RW",
            "untrusted comment",
            &text[..50],
            no_algorithm.as_str(),
        ] {
            assert_eq!(none.parse::<SigningKey>(), Err(NoKey), "{none}");
        }
    }
}
