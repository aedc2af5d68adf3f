//! An FTP client: one control connection, and a data connection for each file and list.
//!
//! One operation at a time. What goes out is a [`Command`], so nothing that a site or a file is called can become one.

mod control;
mod data;
mod error;
mod get;
mod login;
mod names;
mod options;
mod probe;
mod proxy;
mod put;
mod remote;
mod said;
#[cfg(test)]
mod tests;

use std::fmt;

use base::Shown;
use channel::Target;

pub use login::Caller;
pub use names::Folder;
pub use options::ClientOptions;
pub use probe::{AuthTls, look};

use self::control::Control;
use super::wire::Argument;
use crate::outward::{CallTls, ClientError};

/// A session with a server, logged in.
pub struct FtpClient {
    control: Control,
    options: ClientOptions,
    offers: Offers,
    /// What the server said of itself.
    server: String,
    /// Data connections get TLS by this.
    data_tls: Option<CallTls>,
    /// The server lets data connections go on from the session of the control connection.
    resumes: bool,
    /// The server, if a proxy connects us to it: data connections then go through that, too.
    tunnelled: Option<Target>,
    /// What was found not to work, so that it is not tried again.
    lacks: Lacks,
}

/// What a server says that it can do (RFC 2389); one that does not tell may still be able to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Offers {
    /// MLST and MLSD.
    facts: bool,
    /// MFMT.
    modify: bool,
    /// UTF8.
    utf8: bool,
}

/// What a server was found not to be able to do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Lacks {
    /// EPSV, or what stands between lets its connections not through.
    extended: bool,
    /// SIZE.
    size: bool,
    /// REST before STOR.
    restart: bool,
    /// APPE.
    append: bool,
}

impl FtpClient {
    /// What the server said of itself, safe to show.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The options in use.
    #[must_use]
    pub const fn options(&self) -> &ClientOptions {
        &self.options
    }
}

/// A path as it stands on a line.
///
/// # Errors
/// [`ClientError::Local`]: a control character would end the line (FTP-24, FTP-25).
fn argument(path: &[u8]) -> Result<Argument, ClientError> {
    let wrong = |error| {
        let text = format!("the name {} can't be sent: {error}", Shown(path));
        ClientError::Local(engine::TransferError::park(engine::Cause::Invalid, text))
    };
    Argument::new(path.to_vec()).map_err(wrong)
}

impl fmt::Debug for FtpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FtpClient").field("server", &self.server).field("offers", &self.offers).finish_non_exhaustive()
    }
}
