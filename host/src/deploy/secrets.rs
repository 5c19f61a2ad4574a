//! Reading secrets from where the operator keeps them.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::capability::http::{Credential, Renewal};
use crate::config::{Authorization, Mistake, Secret, Tenant, nearest};
use crate::plugin::types::AuthMethod;

/// The credential of an authorization, if everything it needs is there and nothing else.
pub(super) fn credential(
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
        match read(secret) {
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
            let span = authorization.spans.whole.clone();
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
        Secret::File(path) => {
            let text = std::fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            warn_if_open(path);
            Ok(Zeroizing::new(text.trim().to_owned()))
        }
        Secret::Value(value) => Ok(value.clone()),
    }
}

/// A key that everybody on the machine can read is worth a warning, not a refusal: containers
/// mount secrets like that.
fn warn_if_open(path: &std::path::Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
        {
            tracing::warn!(path = %path.display(), "everybody on this machine can read this secret; `chmod 600` it");
        }
    }
}
