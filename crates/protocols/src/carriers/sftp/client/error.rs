//! What can go wrong at a partner's server.

use base::octets_text;
use engine::{Cause, TransferError};

use crate::carriers::sftp::wire::{Defect, FrameError, StatusCode, WireError};

/// Why an operation of the client failed. Texts of the server are cut and escaped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The channel ended.
    #[error("the partner's server ended the channel")]
    Closed,
    /// We ended the channel: the operation had to stop, and the server's answer did not come in time.
    #[error("it had to stop, and the partner's server did not answer in time: the connection was cut")]
    Cut,
    /// No answer came.
    #[error("the partner's server sent nothing for {seconds} s")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// The channel ended between the last request of a delivery and its answer: the file may have its final name or not.
    #[error("the partner's server did not answer the last step of the delivery: {text}")]
    EndUnknown {
        /// How it ended.
        text: String,
    },
    /// It does not speak version 3.
    #[error("the partner's server speaks SFTP version {version}: version 3 is needed")]
    Version {
        /// What it speaks.
        version: u32,
    },
    /// It breaks the protocol.
    #[error("the partner's server breaks the protocol: {text}")]
    Protocol {
        /// How.
        text: String,
    },
    /// It refused a request.
    #[error("the partner's server answered {what} with {code}: {text}")]
    Remote {
        /// The request.
        what: &'static str,
        /// Its answer.
        code: StatusCode,
        /// Its text.
        text: String,
    },
    /// Our side of the file failed.
    #[error("{0}")]
    Local(#[from] TransferError),
    /// The file at the partner has another size than it should have.
    #[error("the file at the partner has {found} octets, {expected} were expected")]
    SizeDiffers {
        /// What it should have.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// The final name is taken, and is to be kept.
    #[error("the partner already has a file {name}: it is kept, as the site's rename policy says")]
    Exists {
        /// The name.
        name: String,
    },
    /// Nothing tells whether an earlier try delivered the file.
    #[error(
        "neither {temporary} nor {name} at the partner tells whether the file arrived: look there, then resend or end it"
    )]
    ToVerify {
        /// The temporary name.
        temporary: String,
        /// The final name.
        name: String,
    },
    /// A directory has too many names.
    #[error("directory at the partner has more than {max} names")]
    TooMany {
        /// The bound.
        max: usize,
    },
}

impl ClientError {
    pub(super) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol { text: text.into() }
    }

    pub(super) fn unexpected(what: &'static str) -> Self {
        Self::protocol(format!("{what} was answered by a packet of another type"))
    }

    pub(super) fn frame(error: FrameError) -> Self {
        Self::protocol(error.to_string())
    }

    pub(super) fn wire(error: WireError) -> Self {
        Self::protocol(error.to_string())
    }

    pub(super) fn defect(defect: Defect) -> Self {
        Self::protocol(defect.to_string())
    }

    pub(super) fn remote(what: &'static str, code: StatusCode, text: &[u8]) -> Self {
        Self::Remote { what, code, text: octets_text(text) }
    }

    /// The code, if the server refused.
    #[must_use]
    pub fn code(&self) -> Option<StatusCode> {
        match self {
            Self::Remote { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the server said that the name does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        // 10: NO_SUCH_PATH of later versions.
        matches!(self.code(), Some(StatusCode::NoSuchFile | StatusCode::Other(10)))
    }

    /// Whether the channel is of no use any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        let is_over = matches!(self, Self::Closed | Self::Cut | Self::Silent { .. } | Self::EndUnknown { .. });
        is_over || matches!(self, Self::Version { .. } | Self::Protocol { .. })
    }
}

impl From<ClientError> for TransferError {
    /// What queue and people make of it: what can pass by itself is tried again, the rest waits for someone.
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Local(error) => error,
            ClientError::Cut => Self::retry(Cause::Stopping, text),
            ClientError::Closed | ClientError::Silent { .. } | ClientError::EndUnknown { .. } => {
                Self::retry(Cause::Connection, text)
            }
            ClientError::Version { .. } => Self::park(Cause::Partner, text),
            ClientError::Protocol { .. } | ClientError::TooMany { .. } => Self::retry(Cause::Partner, text),
            ClientError::SizeDiffers { .. } => Self::retry(Cause::Integrity, text),
            ClientError::Exists { .. } => Self::park(Cause::Exists, text),
            ClientError::ToVerify { .. } => Self::park(Cause::Unclear, text),
            ClientError::Remote { code, .. } => match code {
                StatusCode::NoSuchFile => Self::park(Cause::NotFound, text),
                StatusCode::PermissionDenied => Self::park(Cause::Denied, text),
                StatusCode::Unsupported => Self::park(Cause::Unsupported, text),
                _ => Self::retry(Cause::Partner, text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::ErrorKind;

    use super::*;

    #[test]
    fn a_servers_text_is_cut_and_escaped() {
        let error = ClientError::remote("OPEN", StatusCode::Failure, &[b"\x1b[31m".as_slice(), &[b'x'; 4000]].concat());
        let text = error.to_string();
        assert!(text.starts_with("the partner's server answered OPEN with FAILURE: \\u{1b}[31mxxx"), "{text}");
        assert!(text.chars().count() < 400);
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let remote = |code| ClientError::remote("OPEN", code, b"");
        for (error, kind) in [
            (ClientError::Closed, ErrorKind::Retry),
            (remote(StatusCode::Failure), ErrorKind::Retry),
            (remote(StatusCode::PermissionDenied), ErrorKind::Park),
            (remote(StatusCode::NoSuchFile), ErrorKind::Park),
            (ClientError::Exists { name: "a".into() }, ErrorKind::Park),
            (ClientError::ToVerify { temporary: "t".into(), name: "a".into() }, ErrorKind::Park),
            (ClientError::SizeDiffers { expected: 1, found: 2 }, ErrorKind::Retry),
            (ClientError::Local(TransferError::refuse(Cause::Disk, "x")), ErrorKind::Refuse),
        ] {
            assert_eq!(TransferError::from(error.clone()).kind, kind, "{error}");
        }
    }
}
