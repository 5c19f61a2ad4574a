//! Reading secrets from where the operator keeps them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::ask::ask;
use crate::blocking::blocking;
use crate::capability::http::{Credential, Renewal};
use crate::config::{Authorization, Mistake, Secret, Tenant, nearest};
use crate::plugin::types::AuthMethod;

/// Bytes of a secret. Keys have dozens, certificates a few thousand.
const LONGEST: usize = 64 << 10;

/// The credential of an authorization, if everything it needs is there and nothing else.
pub(super) async fn credential(
    tenant: &Tenant,
    authorization: &Authorization,
    method: &AuthMethod,
    mistakes: &mut Vec<Mistake>,
) -> Option<Credential> {
    let needed: Vec<_> = method
        .credentials
        .iter()
        .map(|credential| credential.id.as_str())
        .collect();
    let mut values = BTreeMap::new();
    let before = mistakes.len();
    for (name, secret) in &authorization.secrets {
        let span = authorization.spans.secrets[name].clone();
        if !needed.contains(&name.as_str()) {
            let mistake = Mistake::new(&tenant.source, span, format!("unknown secret `{name}`"));
            mistakes.push(match nearest(name, needed.iter().copied()) {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help(format!("this plugin needs: {}", needed.join(", "))),
            });
            continue;
        }
        let secret = secret.clone();
        match blocking(move || read(&secret)).await {
            Ok(value) => drop(values.insert(name.clone(), value)),
            Err(reason) => {
                let title = format!("secret `{name}` cannot be read: {reason}");
                mistakes.push(Mistake::new(&tenant.source, span, title));
            }
        }
    }
    for credential in &method.credentials {
        if !authorization.secrets.contains_key(&credential.id) {
            let title = format!(
                "[authorizations.{}.secrets] lacks `{}` ({})",
                authorization.id, credential.id, credential.label
            );
            mistakes.push(
                Mistake::new(&tenant.source, authorization.spans.whole.clone(), title).help(
                    format!(
                        "write `{} = {{ env = \"NAME\" }}`. {}",
                        credential.id, credential.description
                    ),
                ),
            );
        }
    }
    if mistakes.len() > before {
        return None;
    }
    match Credential::render(method, &values) {
        Ok(credential) => Some(credential),
        Err(error) => {
            let of_secret = error
                .secret()
                .and_then(|name| authorization.spans.secrets.get(name));
            let span = of_secret.unwrap_or(&authorization.spans.whole).clone();
            mistakes.push(Mistake::new(&tenant.source, span, error.to_string()));
            None
        }
    }
}

/// How to read the same secrets anew, for a destination that refuses the ones that are held.
pub(super) fn renewal(authorization: &Authorization, method: &AuthMethod) -> Renewal {
    let (secrets, method) = (authorization.secrets.clone(), method.clone());
    Box::new(move || {
        let mut values = BTreeMap::new();
        for (name, secret) in &secrets {
            let value = read(secret)
                .map_err(|reason| format!("secret `{name}` cannot be read: {reason}"))?;
            values.insert(name.clone(), value);
        }
        Credential::render(&method, &values).map_err(|error| error.to_string())
    })
}

fn read(secret: &Secret) -> Result<Zeroizing<String>, String> {
    match secret {
        Secret::Env(name) => match std::env::var(name) {
            Ok(value) => Ok(Zeroizing::new(value)),
            Err(std::env::VarError::NotPresent) => {
                Err(format!("the environment has no variable {name}"))
            }
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("variable {name} is not UTF-8")),
        },
        Secret::File { path, shared } => {
            let text = file(path, *shared).map_err(|why| format!("{}: {why}", path.display()))?;
            Ok(Zeroizing::new(text.trim().to_owned()))
        }
        Secret::Command { program, args } => ask(program, args, LONGEST),
        Secret::Value(value) => Ok(value.clone()),
    }
}

/// A file that others cannot read or write, unless the operator has said that they may.
fn file(path: &Path, shared: bool) -> Result<Zeroizing<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    // Of the file that is open: a name may lead to another one by now.
    let mode = file.metadata().map_err(|error| error.to_string())?.mode();
    if !shared && let Some(who) = too_open(mode) {
        return Err(format!(
            "{who} (mode {:03o}); `chmod 600` it, or write `shared = true` beside `file` where that is meant, \
             as with secrets that a container mounts",
            mode & 0o777
        ));
    }
    // Room for all of it at once: text that moves while it grows would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 64));
    file.take(LONGEST as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > LONGEST {
        return Err(format!("it is larger than {LONGEST} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Who else can get at a file of this mode.
fn too_open(mode: u32) -> Option<&'static str> {
    match mode {
        mode if mode & 0o002 != 0 => Some("everybody on this machine can write it"),
        mode if mode & 0o004 != 0 => Some("everybody on this machine can read it"),
        mode if mode & 0o020 != 0 => Some("its group can write it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused_unless_it_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, " a-key\n").unwrap();
        for (mode, refused) in [
            (0o400, None),
            (0o600, None),
            (0o640, None),
            (
                0o644,
                Some("everybody on this machine can read it (mode 644); `chmod 600` it"),
            ),
            (0o602, Some("everybody on this machine can write it")),
            (0o660, Some("its group can write it")),
        ] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let secret = |shared| Secret::File {
                path: path.clone(),
                shared,
            };
            assert_eq!(read(&secret(true)).unwrap().as_str(), "a-key", "{mode:o}");
            match (read(&secret(false)), refused) {
                (Ok(value), None) => assert_eq!(value.as_str(), "a-key", "{mode:o}"),
                (Err(error), Some(says)) => assert!(error.contains(says), "{error}"),
                (found, _) => panic!("{mode:o}: {}", found.is_ok()),
            }
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (bytes, says) in [
            (vec![b'x'; LONGEST + 1], "larger than"),
            (vec![0xff; 8], "not UTF-8"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&Secret::File {
                path: path.clone(),
                shared: true,
            })
            .err()
            .unwrap();
            assert!(error.contains(says) && !error.contains("xxx"), "{error}");
        }
    }
}
