//! What the database promises, written once and run on SQLite always, on PostgreSQL if `GATEHOUSE_TEST_POSTGRES` holds
//! the address of one: each test then has a schema of its own there.

mod audit;
mod captures;
mod cost;
mod house;
mod objects;
mod small;
mod transfers;
mod writing;
