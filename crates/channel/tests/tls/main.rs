//! TLS with partners: between ourselves, and with OpenSSL and GnuTLS as they are installed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "the whole file is a test, helpers too"
)]

mod data;
mod house;
#[path = "../../../keys/tests/made/mod.rs"]
mod made;
mod ourselves;
mod resumption;
mod tools;
mod trust;
