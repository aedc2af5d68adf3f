//! How the connection was secured that a file came or went by (TLS-29).

use serde::{Deserialize, Serialize};

/// How the connection of a transfer was secured, as its record keeps it. In clear there is none.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Secured {
    /// Name of the security profile.
    pub profile: String,
    /// Protocol and version, as profiles name it: `TLSv13`.
    pub version: String,
    /// Cipher suite, as profiles name it.
    pub suite: String,
    /// The client has proved itself by a certificate.
    pub client_authenticated: bool,
    /// So has the server.
    pub server_authenticated: bool,
}
