//! What the database promises, written once and run on SQLite always, on PostgreSQL if `GATEHOUSE_TEST_POSTGRES` holds
//! the address of one: each test then has a schema of its own there.

// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout, clippy::too_many_lines)]

mod audit;
mod captures;
mod care;
mod cost;
mod hooks;
mod house;
mod nodes;
mod objects;
mod plans;
mod small;
mod transfers;
mod upgrade;
mod usage;
mod watch;
mod writing;
