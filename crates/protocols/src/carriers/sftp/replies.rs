//! What the peer reads: one status code and a short text for each cause. The log knows more (BP-20).

use engine::{Cause, TransferError};

use super::wire::{Defect, Reply, StatusCode};
use crate::files::Durable;

/// The reply to a request that did not succeed.
#[must_use]
pub fn refused(error: &TransferError) -> Reply {
    let (code, text) = of_cause(error.cause);
    status(code, text)
}

fn of_cause(cause: Cause) -> (StatusCode, &'static str) {
    match cause {
        Cause::NotFound => (StatusCode::NoSuchFile, "no such file"),
        Cause::NotDirectory => (StatusCode::NoSuchFile, "not a directory"),
        Cause::Denied => (StatusCode::PermissionDenied, "permission denied"),
        Cause::Unsupported => (StatusCode::Unsupported, "not supported here"),
        Cause::Exists => (StatusCode::Failure, "the name is taken"),
        Cause::Quota => (StatusCode::Failure, "quota is used up"),
        Cause::NoSpace => (StatusCode::Failure, "no space left"),
        Cause::Busy => (StatusCode::Failure, "file is in use, try again later"),
        Cause::Invalid => (StatusCode::Failure, "not a valid request for this name"),
        Cause::IsDirectory => (StatusCode::Failure, "is a directory"),
        Cause::Stopping => (StatusCode::Failure, "server is stopping, try again later"),
        _ => (StatusCode::Failure, "server could not do it, try again later"),
    }
}

/// The reply to the CLOSE of an upload. It takes the proof, so none leaves before the file is durable.
#[must_use]
pub fn committed(_proof: &Durable) -> Reply {
    ok()
}

/// Done.
#[must_use]
pub fn ok() -> Reply {
    status(StatusCode::Ok, "")
}

/// Nothing behind this.
#[must_use]
pub fn eof() -> Reply {
    status(StatusCode::Eof, "end of file")
}

/// Something this server never does.
#[must_use]
pub fn unsupported() -> Reply {
    status(StatusCode::Unsupported, "not supported here")
}

/// A request whose fields can't be read.
#[must_use]
pub fn malformed(defect: &Defect) -> Reply {
    Reply::status(StatusCode::BadMessage, defect.to_string())
}

/// A handle that is not open, or was closed.
#[must_use]
pub fn unknown_handle() -> Reply {
    status(StatusCode::Failure, "handle is not open")
}

/// A handle open for something else.
#[must_use]
pub fn wrong_handle() -> Reply {
    status(StatusCode::PermissionDenied, "handle is not open for this")
}

/// A bound of this server is reached.
#[must_use]
pub fn too_many(text: &'static str) -> Reply {
    status(StatusCode::Failure, text)
}

/// A request that means nothing.
#[must_use]
pub fn invalid(text: &'static str) -> Reply {
    status(StatusCode::Failure, text)
}

fn status(code: StatusCode, text: &'static str) -> Reply {
    Reply::status(code, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_reads_the_cause_and_nothing_of_our_log() {
        // BP-20
        for (cause, code) in [
            (Cause::NotFound, StatusCode::NoSuchFile),
            (Cause::NotDirectory, StatusCode::NoSuchFile),
            (Cause::Denied, StatusCode::PermissionDenied),
            (Cause::Unsupported, StatusCode::Unsupported),
            (Cause::Exists, StatusCode::Failure),
            (Cause::Disk, StatusCode::Failure),
            (Cause::Integrity, StatusCode::Failure),
        ] {
            let Reply::Status { code: got, text } = refused(&TransferError::refuse(cause, "/srv/data/secret is gone"))
            else {
                panic!("{cause:?} is answered by a status");
            };
            assert_eq!(got, code, "{cause:?}");
            assert!(!text.is_empty() && !base::octets_text(&text).contains("/srv"), "{cause:?}");
        }
    }
}
