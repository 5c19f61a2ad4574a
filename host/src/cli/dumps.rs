//! Keeping what this process holds in memory to itself.

/// From now on no core dump of this process is written, and no other process of the same user can
/// read its memory: it holds keys and members. What refuses is told; it is no reason not to work.
pub fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        eprintln!("warning: core dumps cannot be forbidden: {error}");
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            eprintln!("warning: this process's memory cannot be closed to others: {error}");
        }
    }
}
