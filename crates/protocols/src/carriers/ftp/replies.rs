//! What the peer reads: one code and a short text for each cause. The log knows more (BP-20).

use engine::{Cause, ErrorKind, TransferError};

use super::wire::{AddressError, CommandError, Reply};
use crate::files::Durable;

/// The reply to a command that did not succeed (RFC 959 section 4.2.1).
#[must_use]
pub fn refused(error: &TransferError) -> Reply {
    let (code, text) = match error.cause {
        Cause::NotFound => (550, "No such file or folder"),
        Cause::NotDirectory => (550, "Not a folder"),
        Cause::IsDirectory => (550, "Is a folder"),
        Cause::Denied => (550, "Permission denied"),
        Cause::Unsupported => (504, "Not served here"),
        Cause::Exists => (553, "The name is taken"),
        Cause::Invalid => (553, "Not a valid request for this name"),
        Cause::Quota if error.kind == ErrorKind::Retry => (450, "Quota of the moment is used up, try again later"),
        Cause::Quota => (552, "Quota is used up, or the file is too large"),
        Cause::NoSpace => (452, "No space left, try again later"),
        Cause::Busy => (450, "File is in use, try again later"),
        Cause::Stopping => (421, "Server is stopping, try again later"),
        _ => (451, "Server could not do it, try again later"),
    };
    Reply::new(code, text)
}

/// The reply to an upload that is whole. It takes the proof, so none leaves before the file is durable.
#[must_use]
pub fn committed(proof: &Durable) -> Reply {
    Reply::new(226, format!("Transfer complete, {} octets stored", proof.size()))
}

/// The reply to a line that is no command that can be carried out.
#[must_use]
pub fn malformed(error: &CommandError) -> Reply {
    let code = match error {
        CommandError::Unknown { .. } => 500,
        CommandError::NotServed { .. } => 502,
        CommandError::Parameter { .. } => 504,
        CommandError::Address(AddressError::Family) => 522,
        _ => 501,
    };
    Reply::new(code, sentence(&error.to_string()))
}

/// Texts of errors begin in lower case; replies do not.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carriers::ftp::wire::Command;

    #[test]
    fn the_peer_reads_the_cause_and_nothing_of_our_log() {
        // BP-20
        for (cause, code) in [
            (Cause::NotFound, 550),
            (Cause::Denied, 550),
            (Cause::Exists, 553),
            (Cause::Quota, 552),
            (Cause::NoSpace, 452),
            (Cause::Disk, 451),
            (Cause::Integrity, 451),
        ] {
            let reply = refused(&TransferError::refuse(cause, "/srv/data/secret is gone"));
            assert_eq!(reply.code(), code, "{cause:?}");
            assert!(!reply.to_string().contains("/srv"), "{cause:?}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_by_its_code() {
        for (line, code) in
            [("FOO", 500), ("REIN", 502), ("PORT x", 501), ("EPRT |3|x|1|", 522), ("TYPE E", 504), ("USER", 501)]
        {
            let error = Command::decode(line.as_bytes()).unwrap_err();
            assert_eq!(malformed(&error).code(), code, "{line}");
        }
    }
}
