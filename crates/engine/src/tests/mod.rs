//! The engine as a whole: real database, real store, test clock, a carrier that only pretends.

mod admit;
mod care;
mod clock;
mod control;
mod crash;
mod deliver;
mod drops;
mod faults;
mod fetch;
pub(crate) mod house;
mod housekeeping;
mod keep;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "what the tests of the keys make is made here, too")]
#[path = "../../../keys/tests/made/mod.rs"]
mod made;
mod mounts;
mod pickup;
mod rates;
mod receive;
mod rotate;
mod route;
mod see;
mod sql_faults;
mod submit;
mod tls;
mod watch;
