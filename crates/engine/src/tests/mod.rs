//! The engine as a whole: real database, real store, test clock, a carrier that only pretends.

mod admit;
mod care;
mod clock;
mod control;
mod crash;
mod deliver;
mod drops;
mod faults;
pub(crate) mod house;
mod housekeeping;
mod keep;
mod mounts;
mod pickup;
mod receive;
mod rotate;
mod route;
mod see;
mod sql_faults;
mod submit;
mod watch;
