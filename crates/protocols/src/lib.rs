//! Protocols: each drives its pure wire code over a connection and translates to and from the engine's words.
//!
//! A carrier owns a connection. Quota, resume, rights and checksums are behind [`engine`]; nothing of that is here.

mod carriers;
pub mod files;
pub mod outward;
mod tls;

pub use carriers::{
    Call, Carrier, Descriptor, Inward, LinkWay, Looked, ProxyLogin, Role, Served, Transport, Unopened, Way,
};
pub use outward::{CallTls, Outward, SEEN_MAX, Seen};
pub use tls::{Line, TlsProfiles, trusted};

/// FTP itself, for those who are an FTP client or server beside the gateway's own paths.
pub use carriers::ftp;
/// SFTP itself, for those who are an SFTP client or server beside the gateway's own paths: demo and tests.
pub use carriers::sftp;

/// A new carrier is its folder and one line here.
pub static CARRIERS: &[&dyn Carrier] = &[&carriers::ftp::Ftp, &carriers::sftp::Sftp];

/// The carrier of a protocol, by the name that objects give it.
#[must_use]
pub fn carrier(name: &str) -> Option<&'static dyn Carrier> {
    CARRIERS.iter().copied().find(|carrier| carrier.descriptor().name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_have_names_of_their_own() {
        for (n, one) in CARRIERS.iter().enumerate() {
            let name = one.descriptor().name;
            assert!(CARRIERS.iter().skip(n + 1).all(|other| other.descriptor().name != name), "{name}");
            assert!(carrier(name).is_some());
        }
        assert!(carrier("none").is_none());
    }
}
