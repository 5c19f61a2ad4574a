//! A field that nobody explains.

sluice_bad::bad!(|manifest| manifest.fields[0].description.clear());
