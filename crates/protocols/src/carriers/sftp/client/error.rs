//! What the server's refusals mean, and what breaks its protocol.

use crate::carriers::sftp::wire::{Defect, FrameError, StatusCode, VERSION, WireError};
use crate::outward::{Answer, ClientError, Meaning};

impl ClientError {
    pub(super) fn unexpected(what: &'static str) -> Self {
        Self::protocol(format!("{what} was answered by a packet of another type"))
    }

    pub(in crate::carriers::sftp) fn version(version: u32) -> Self {
        Self::Unfit { text: format!("speaks SFTP version {version}: version {VERSION} is needed") }
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
        let meaning = match code {
            // 10: NO_SUCH_PATH of later versions.
            StatusCode::NoSuchFile | StatusCode::Other(10) => Meaning::NotFound,
            StatusCode::PermissionDenied => Meaning::Denied,
            StatusCode::Unsupported => Meaning::Unsupported,
            _ => Meaning::Passing,
        };
        Self::refused(what, Answer { number: code.number(), name: code.to_string(), meaning }, text)
    }
}
