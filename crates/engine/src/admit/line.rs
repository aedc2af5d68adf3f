//! The connection under a login, as gates and sites ask about it. Whoever brings the login knows it.

use model::{LoginTls, RemoteSite};

use crate::transfer::Secured;

/// The connection that a login comes by.
pub trait LoginLine: Send + Sync {
    /// Its TLS; none in clear.
    fn tls(&self) -> Option<LoginTls>;

    /// How it is secured, for the records of transfers; none in clear.
    fn secured(&self) -> Option<Secured> {
        None
    }

    /// The name of the partner's certificate in the store, if it is there.
    fn certificate(&self) -> Option<String>;

    /// Whether it is as the site asks for (TLS-27, TLS-44). Gives the profile of the site, if it was negotiated by another
    /// one and fits all the same (event 055).
    ///
    /// # Errors
    /// What does not fit.
    fn fits(&self, site: &RemoteSite) -> Result<Option<String>, Unfit>;
}

/// What of a session is not as its site asks for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}; {fix}")]
pub struct Unfit {
    /// Number of the documented event: 51 what was negotiated, 52 the partner's chain; 0 for the certificate filter.
    pub event: u16,
    /// What it is.
    pub text: String,
    /// What to change.
    pub fix: String,
}
