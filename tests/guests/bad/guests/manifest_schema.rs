//! Options of any name at all.

sluice_bad::bad!(
    |manifest| manifest.options_schema = manifest.options_schema.replace(
        "\"additionalProperties\": false",
        "\"additionalProperties\": true"
    )
);
