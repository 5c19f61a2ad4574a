//! No fault: a destination that takes one row at a time, and nothing else from a host that has read so.

sluice_bad::bad!(|manifest| {
    manifest.limits.stage_rows = 1;
    manifest.limits.deliver_rows = 1;
});
