//! Hooks: the operator's own programs, asked before or told after something happens (connected-systems.md section 5).
//!
//! A program gets a list of arguments and an environment of its own, never a shell. It has a time limit, at whose end
//! it dies with all that it started; of what it prints the last is kept. LOGIN and UPLOAD are asked while the partner
//! waits; all else is told afterwards, at least once, from a queue in the database that triggers fill.

mod ask;
mod program;
mod safe;
mod told;

pub(crate) use ask::facts;
pub use safe::{may_change_user, program_is_safe};
pub use told::run_hooks;
