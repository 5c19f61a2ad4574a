//! Whether the operator's routes are about anything that the plugin asks for.

use crate::config::{Authorization, Mistake, Tenant, nearest};

use super::Prepared;

/// Grants of routes that the manifest asks for under no export's options: most likely misspelt.
pub(super) fn unknown(
    tenant: &Tenant,
    authorization: &Authorization,
    account: &Prepared,
) -> Vec<Mistake> {
    // Of all exports, also those that nobody wants to run now.
    let policies: Result<Vec<_>, _> = tenant
        .exports
        .iter()
        .filter(|export| export.authorization == authorization.id)
        .map(|export| account.policy(&export.spec))
        .collect();
    // An option that no route can be made of is a mistake of its own.
    let Ok(policies) = policies else {
        return vec![];
    };
    let mut asked: Vec<_> = policies.iter().flat_map(|policy| policy.routes()).collect();
    asked.sort_unstable();
    asked.dedup();
    let granted = authorization.routes.iter().flatten();
    granted
        .zip(&authorization.spans.routes)
        .filter(|(grant, _)| !policies.iter().any(|policy| policy.asks_for(grant)))
        .map(|(grant, span)| {
            let title = format!("the plugin asks for no route `{grant}`");
            let mistake = Mistake::new(&tenant.source, span.clone(), title);
            match nearest(&grant.to_string(), asked.iter().map(String::as_str)) {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help(format!("it asks for: {}", asked.join(", "))),
            }
        })
        .collect()
}
