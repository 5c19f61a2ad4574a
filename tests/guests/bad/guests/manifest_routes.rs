//! A route by an option that there is not.

sluice_bad::bad!(|manifest| manifest.routes[0].path = "{option:nowhere}".to_owned());
