//! The engine as a whole: real database, real store, test clock, a carrier that only pretends.

mod control;
mod crash;
mod deliver;
mod house;
mod receive;
mod route;
mod see;
mod submit;
