//! What is made of a manifest before anything of an export runs.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::settings;
use crate::capability::http::{Credential, Endpoint, Policy};
use crate::plugin::types::Manifest;

/// A key that stands nowhere else.
const KEY: &str = "canary-key-17";

/// Options are judged by its schema, routes and headers made of it, without a panic or an end that
/// does not come; the key is in the headers and in nothing else.
pub(crate) fn manifest(manifest: &Manifest, options: Map<String, Value>) {
    let tenant = crate::config::fuzz::example();
    let mut export = tenant.exports[0].clone();
    export.spec.options = options;
    for mistake in settings::options(&tenant, &export, &manifest.options_schema) {
        assert!(!mistake.to_string().is_empty());
    }
    let (bytes, rows) = export.spec.file_limits(manifest);
    assert!(bytes > 0 && rows > 0);
    if let Ok(endpoint) = Endpoint::parse(&manifest.endpoint, false) {
        let _ = Policy::new(endpoint, manifest, &export.spec.options);
    }
    for method in &manifest.auth_methods {
        let ids = method
            .credentials
            .iter()
            .map(|credential| credential.id.clone());
        let values: BTreeMap<_, _> = ids.map(|id| (id, Zeroizing::new(KEY.to_owned()))).collect();
        // A plugin that guesses the key may say it itself.
        let guessed = format!("{method:?}").contains(KEY);
        if let Err(error) = Credential::render(method, &values)
            && !guessed
        {
            assert!(!error.to_string().contains(KEY), "{error}");
        }
    }
}
