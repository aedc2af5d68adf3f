//! The engine as a whole: real database, real store, test clock, a carrier that only pretends.

mod admit;
mod clock;
mod control;
mod crash;
mod deliver;
mod faults;
mod house;
mod housekeeping;
mod mounts;
mod receive;
mod route;
mod see;
mod sql_faults;
mod submit;
