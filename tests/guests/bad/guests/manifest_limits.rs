//! A file for every row.

sluice_bad::bad!(|manifest| manifest.limits.file_rows = 1);
