//! What the exports of one authorization share: the credential, the quota, and whether the
//! destination has refused it.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::Credential;
use super::quota::Quota;

/// Reads the secrets anew and renders them. The error says what is wrong without any value.
pub type Renewal = Box<dyn Fn() -> Result<Credential, String> + Send + Sync>;

/// One authorization at work.
pub struct Account {
    credential: RwLock<Arc<Credential>>,
    renewal: Option<Renewal>,
    pub(super) quota: Quota,
    refused: watch::Sender<Option<String>>,
}

impl Account {
    /// An account with this credential, and so many requests at a time.
    pub fn new(credential: Credential, requests_in_flight: usize) -> Self {
        Self {
            credential: RwLock::new(Arc::new(credential)),
            renewal: None,
            quota: Quota::new(requests_in_flight),
            refused: watch::Sender::new(None),
        }
    }

    /// The same, with a way to read the secrets anew.
    pub fn with_renewal(self, renewal: Renewal) -> Self {
        Self {
            renewal: Some(renewal),
            ..self
        }
    }

    /// Another credential of the same authorization: they share the quota.
    pub fn beside(&self, credential: Credential) -> Self {
        Self {
            credential: RwLock::new(Arc::new(credential)),
            renewal: None,
            quota: self.quota.clone(),
            refused: watch::Sender::new(None),
        }
    }

    /// What requests are made with now.
    pub(super) fn credential(&self) -> Arc<Credential> {
        self.credential
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the secrets anew; answers whether they have changed. Blocking.
    ///
    /// # Errors
    /// A secret that cannot be read or used; then the old one stays.
    pub(crate) fn renew(&self) -> Result<bool, String> {
        let Some(renewal) = &self.renewal else {
            return Ok(false);
        };
        let fresh = renewal()?;
        let mut held = self
            .credential
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = **held != fresh;
        *held = Arc::new(fresh);
        Ok(changed)
    }

    /// Tells every export of the authorization that the destination has refused it, and what it
    /// said; `None` once it is accepted again.
    pub(crate) fn refuse(&self, refused: Option<String>) {
        self.refused
            .send_if_modified(|known| std::mem::replace(known, refused.clone()) != refused);
    }

    /// What the destination said when it refused.
    pub(crate) fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use zeroize::Zeroizing;

    use super::*;
    use crate::plugin::types::{self, AuthMethod};

    fn credential(key: &str) -> Credential {
        let method = AuthMethod {
            id: "key".to_owned(),
            label: String::new(),
            credentials: vec![types::Credential {
                id: "key".to_owned(),
                label: String::new(),
                description: String::new(),
            }],
            headers: vec![("Authorization".to_owned(), "{key}".to_owned())],
        };
        let values = BTreeMap::from([("key".to_owned(), Zeroizing::new(key.to_owned()))]);
        Credential::render(&method, &values).unwrap()
    }

    #[test]
    fn a_secret_that_was_replaced_is_used_and_one_that_is_gone_leaves_the_old_one() {
        let file = Arc::new(Mutex::new(Some("first-key")));
        let read = file.clone();
        let account = Account::new(credential("first-key"), 1).with_renewal(Box::new(move || {
            let key = *read.lock().unwrap();
            key.map(credential).ok_or_else(|| "it is gone".to_owned())
        }));
        let sent = || account.credential().headers().next().unwrap().1;
        assert_eq!(account.renew(), Ok(false));
        *file.lock().unwrap() = Some("second-key");
        assert_eq!(account.renew(), Ok(true));
        assert_eq!(sent(), "second-key");
        *file.lock().unwrap() = None;
        assert_eq!(account.renew(), Err("it is gone".to_owned()));
        assert_eq!(sent(), "second-key");
    }

    #[tokio::test]
    async fn another_credential_of_the_authorization_shares_its_quota_and_not_its_refusal() {
        use futures_util::FutureExt;

        let first = Account::new(credential("some-key"), 1);
        let second = first.beside(credential("other-key"));
        let permit = first.quota.acquire(first.quota.ticket()).await;
        let waits = second.quota.acquire(second.quota.ticket());
        assert!(waits.now_or_never().is_none());
        drop(permit);
        let turn = second.quota.acquire(second.quota.ticket());
        assert!(turn.now_or_never().is_some());
        first.refuse(Some("401".to_owned()));
        assert_eq!(*second.refused().borrow(), None);
    }

    #[test]
    fn everybody_hears_of_a_refusal_once() {
        let account = Account::new(credential("some-key"), 1);
        let mut heard = account.refused();
        account.refuse(Some("401".to_owned()));
        assert!(heard.has_changed().unwrap());
        assert_eq!(heard.borrow_and_update().as_deref(), Some("401"));
        account.refuse(Some("401".to_owned()));
        assert!(!heard.has_changed().unwrap());
        account.refuse(None);
        assert_eq!(*heard.borrow_and_update(), None);
    }
}
