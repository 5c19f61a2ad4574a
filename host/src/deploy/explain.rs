//! Why a request of an export's plugin would be sent or not, as things are right now.

use crate::capability::http::{Explanation, Leads};

use super::Deployed;

/// Everything that decides about one request.
pub struct Explained {
    /// What the policy says, and why.
    pub policy: Explanation,
    /// Where the endpoint leads right now, if it was looked up: for what is denied nobody asks.
    pub leads: Option<Leads>,
    /// The names of the headers that the host adds.
    pub adds: Vec<String>,
}

/// What every request gets besides the credential.
const ADDED: [&str; 3] = ["host", "user-agent", "accept-encoding"];

impl Deployed {
    /// Judges a request as the gate would, without sending it.
    pub async fn explain(&self, method: &str, path: &str) -> Explained {
        let policy = self.policy.explain(method, path);
        let leads = match &policy.decision {
            Ok(url) => Some(self.authorized.egress().leads(url).await),
            Err(_) => None,
        };
        let of_credential = self.authorized.credential_headers();
        let of_credential = of_credential.map(str::to_lowercase);
        Explained {
            policy,
            leads,
            adds: ADDED
                .map(str::to_owned)
                .into_iter()
                .chain(of_credential)
                .collect(),
        }
    }
}

impl Explained {
    /// Why the request would not be sent; nothing, if it would be.
    pub fn denied(&self) -> Option<String> {
        if let Err(denial) = &self.policy.decision {
            return Some(denial.to_string());
        }
        match &self.leads {
            Some(Leads::To(found)) if found.is_empty() => {
                Some("the name has no address".to_owned())
            }
            Some(Leads::To(found)) => {
                let first = found.first().and_then(|(_, class)| *class)?;
                let none = found.iter().all(|(_, class)| class.is_some());
                none.then(|| format!("the endpoint leads to {first}, and `allow_addresses` of the authorization does not grant it"))
            }
            Some(Leads::Nowhere(why)) => Some(format!("the name cannot be looked up: {why}")),
            Some(Leads::Through(_)) | None => None,
        }
    }
}
