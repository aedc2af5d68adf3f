//! Our client at our server, in memory; and clients that behave badly.

mod hostile;
mod outward;
mod requests;
mod transfers;
