//! Exit codes. Documented in `--help` and in docs/operation.md.

use std::process::ExitCode;

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Fine = 0,
    Unforeseen = 1,
    /// Clap's, too: what was typed cannot be done.
    Usage = 2,
    Configuration = 3,
    Plugin = 4,
    Refused = 5,
    Parked = 6,
    Quarantined = 7,
    Denied = 8,
    Differs = 9,
    Swap = 10,
    Broken = 11,
}

/// The table of `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, nothing wrong
  1  something unforeseen: disk, network set-up, a store in use by another process
  2  the command line is wrong
  3  the configuration is wrong; every mistake was shown
  4  a plugin cannot be loaded, kept or taken away: no component, for another version of the
     contract, not signed as it must be, not kept, or in use
  5  the destination refused the credential, or could not be checked
  6  an export is parked and waits for a person; everything is kept
  7  done, but rows are in quarantine
  8  the gate would deny the request that was asked about (`explain`)
  9  a plugin asks for or decides something else than before (`replay`, `plugin shadow`)
 10  a swap was refused or rolled back (`plugin swap`); the version before stays, nothing is lost
 11  a plugin breaks a rule of the contract (`plugin test`)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
