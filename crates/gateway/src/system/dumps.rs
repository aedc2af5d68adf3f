//! No image of our memory outside it: passwords and private keys are in use there (STO-8).

use rustix::io;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// From here on the system writes no core file of this process, whatever limit the caller set, hands none to a collector,
/// and lets no other process of the same user read our memory or attach a debugger; root may.
///
/// Children that we start inherit the limit, not the rest.
///
/// # Errors
///
/// The system refused one of both.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    // A service manager may have set it, and forbidden us to set any.
    if getrlimit(Resource::Core).maximum != Some(0) {
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
