//! Whether the operator's routes are about anything that a plugin asks for.

use crate::capability::http::Policy;
use crate::config::{Authorization, Mistake, Tenant, nearest};

/// Grants of routes that no manifest asks for under any export's options: most likely misspelt.
pub(super) fn unknown(
    tenant: &Tenant,
    authorization: &Authorization,
    policies: &[Policy],
) -> Vec<Mistake> {
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
