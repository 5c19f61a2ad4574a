//! One fault in what it does: the option `how` names the rule that it breaks.

sluice_bad::bad!(|manifest| ());
