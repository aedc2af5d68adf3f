//! What a fresh installation has.

use crate::object::Draft;

/// The CLIENT profile of sites that name none (SSH-4, SSH-5).
pub const SFTP_OUT: &str = "SFTP_OUT";
/// The SERVER profile made at installation.
pub const SFTP_IN: &str = "SFTP_IN";
/// The gateway's own SSH key, made at the first start as ED25519.
pub const GATEHOUSE_KEY: &str = "GATEHOUSE_SSH";

/// The objects of a fresh installation, in the order in which they can be created; the key [`GATEHOUSE_KEY`] comes before
/// them. No listener and no network profile: nothing is let in until a person says so (NET-13).
#[must_use]
pub fn default_objects() -> Vec<Draft> {
    todo!()
}
