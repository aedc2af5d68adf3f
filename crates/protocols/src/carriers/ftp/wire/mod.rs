//! The control connection of FTP (RFC 959 and its extensions), encode beside decode.
//!
//! Pure: no socket, file, clock. Names are octets, never text, so a name that is no UTF-8 survives; an [`Argument`] holds
//! nothing that would end its line, so no name can become a command or a reply (FTP-25).

mod address;
mod argument;
mod command;
mod incoming;
mod lines;
mod listing;
mod reply;
mod telnet;
#[cfg(test)]
mod tests;
mod text;
mod time;

pub use address::{
    AddressError, Family, decode_epsv_text, decode_pasv_text, eprt_argument, epsv_text, pasv_text, port_argument,
};
pub use argument::{Argument, ArgumentError};
pub use command::{Bare, Command, CommandError, DataType, Loose, Mode, Named, Protection, Structure, verbs};
pub use incoming::{Incoming, IncomingError, REPLY_LINES_MAX, REPLY_OCTETS_MAX};
pub use lines::{LineTooLong, Lines};
pub use listing::{Listed, ListedKind, decode_facts, decode_line};
pub use reply::Reply;
pub use text::{FromWire, ToWire};
pub use time::{parse_time, time_text};

/// Octets of a command line with its end: a verb and a path of the longest kind, with room for what stands before it.
pub const LINE_OCTETS_MAX: usize = 4096;
