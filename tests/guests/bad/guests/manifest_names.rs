//! A version that cannot be compared.

sluice_bad::bad!(|manifest| manifest.version = "new".to_owned());
