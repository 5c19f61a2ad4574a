//! Does nothing bad: the shell that guests in WAT get.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {}

hostile!(Guest);
