//! What can go wrong at a partner's server.

use std::fmt;

use base::octets_text;
use engine::{Cause, TransferError};

/// Why an operation of the client failed. Texts of the server are cut and escaped.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The connection ended.
    #[error("the partner's server ended the connection")]
    Closed,
    /// We ended the connection: the operation had to stop, and the server's answer did not come in time.
    #[error("it had to stop, and the partner's server did not answer in time: the connection was cut")]
    Cut,
    /// No answer came.
    #[error("the partner's server sent nothing for {seconds} s")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// The connection ended between the last request of a delivery and its answer: the file may have its final name or not.
    #[error("the partner's server did not answer the last step of the delivery: {text}")]
    EndUnknown {
        /// How it ended.
        text: String,
    },
    /// It ends the connection, and says so.
    #[error("the partner's server ends the connection: {text}")]
    Leaving {
        /// Its words.
        text: String,
    },
    /// A connection for data did not come to stand; the session goes on.
    #[error(
        "there is no data connection with the partner's server: {text}; look at firewalls, and at ftp_passive_mode"
    )]
    NoData {
        /// Why.
        text: String,
    },
    /// A connection for data failed, and the session with it.
    #[error("{text}")]
    Broken {
        /// How.
        text: String,
    },
    /// It does not speak what we need.
    #[error("the partner's server {text}")]
    Unfit {
        /// What it speaks, and what is needed.
        text: String,
    },
    /// It breaks the protocol.
    #[error("the partner's server breaks the protocol: {text}")]
    Protocol {
        /// How.
        text: String,
    },
    /// It refused a request.
    #[error("the partner's server answered {what} with {answer}: {text}")]
    Refused {
        /// The request.
        what: &'static str,
        /// Its answer.
        answer: Answer,
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

/// A refusal, as the protocol has it, and what it means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its number in the protocol.
    pub number: u32,
    /// Its name there.
    pub name: String,
    /// What it means.
    pub meaning: Meaning,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a refusal means, as far as what follows depends on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// The name does not exist.
    NotFound,
    /// A right is missing.
    Denied,
    /// The server can't do that.
    Unsupported,
    /// The same request will be refused again.
    Permanent,
    /// It may pass.
    Passing,
}

impl ClientError {
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol { text: text.into() }
    }

    /// The server refused `what`.
    pub(crate) fn refused(what: &'static str, answer: Answer, text: &[u8]) -> Self {
        Self::Refused { what, answer, text: octets_text(text) }
    }

    /// What the server meant, if it refused.
    #[must_use]
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Refused { answer, .. } => Some(answer.meaning),
            _ => None,
        }
    }

    /// Whether the server refused a request, and the connection goes on.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.meaning().is_some()
    }

    /// Whether the server said that the name does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.meaning() == Some(Meaning::NotFound)
    }

    /// Whether the connection is of no use any more.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        let is_over = matches!(self, Self::Closed | Self::Cut | Self::Silent { .. } | Self::EndUnknown { .. });
        let is_out_of_step = matches!(self, Self::Leaving { .. } | Self::Broken { .. } | Self::Protocol { .. });
        is_over || is_out_of_step || matches!(self, Self::Unfit { .. })
    }
}

impl From<ClientError> for TransferError {
    /// What passes by itself is tried again; the rest waits for someone.
    fn from(error: ClientError) -> Self {
        let text = error.to_string();
        match error {
            ClientError::Local(error) => error,
            ClientError::Cut => Self::retry(Cause::Stopping, text),
            ClientError::Closed
            | ClientError::Silent { .. }
            | ClientError::EndUnknown { .. }
            | ClientError::Leaving { .. }
            | ClientError::NoData { .. }
            | ClientError::Broken { .. } => Self::retry(Cause::Connection, text),
            ClientError::Unfit { .. } => Self::park(Cause::Partner, text),
            ClientError::Protocol { .. } | ClientError::TooMany { .. } => Self::retry(Cause::Partner, text),
            ClientError::SizeDiffers { .. } => Self::retry(Cause::Integrity, text),
            ClientError::Exists { .. } => Self::park(Cause::Exists, text),
            ClientError::ToVerify { .. } => Self::park(Cause::Unclear, text),
            ClientError::Refused { answer, .. } => match answer.meaning {
                Meaning::NotFound => Self::park(Cause::NotFound, text),
                Meaning::Denied => Self::park(Cause::Denied, text),
                Meaning::Unsupported => Self::park(Cause::Unsupported, text),
                Meaning::Permanent => Self::park(Cause::Partner, text),
                Meaning::Passing => Self::retry(Cause::Partner, text),
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
        let answer = Answer { number: 4, name: "FAILURE".into(), meaning: Meaning::Passing };
        let error = ClientError::refused("OPEN", answer, &[b"\x1b[31m".as_slice(), &[b'x'; 4000]].concat());
        let text = error.to_string();
        assert!(text.starts_with("the partner's server answered OPEN with FAILURE: \\u{1b}[31mxxx"), "{text}");
        assert!(text.chars().count() < 400);
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let remote = |meaning| {
            let answer = Answer { number: 0, name: "x".into(), meaning };
            ClientError::refused("OPEN", answer, b"")
        };
        for (error, kind) in [
            (ClientError::Closed, ErrorKind::Retry),
            (remote(Meaning::Passing), ErrorKind::Retry),
            (remote(Meaning::Permanent), ErrorKind::Park),
            (remote(Meaning::Denied), ErrorKind::Park),
            (remote(Meaning::NotFound), ErrorKind::Park),
            (ClientError::Exists { name: "a".into() }, ErrorKind::Park),
            (ClientError::ToVerify { temporary: "t".into(), name: "a".into() }, ErrorKind::Park),
            (ClientError::SizeDiffers { expected: 1, found: 2 }, ErrorKind::Retry),
            (ClientError::Local(TransferError::refuse(Cause::Disk, "x")), ErrorKind::Refuse),
        ] {
            assert_eq!(TransferError::from(error.clone()).kind, kind, "{error}");
        }
    }
}
