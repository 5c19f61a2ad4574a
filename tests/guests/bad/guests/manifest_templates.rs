//! A header that leaves the credential out.

sluice_bad::bad!(|manifest| manifest.auth_methods[0].headers[0].1 = "Bearer".to_owned());
