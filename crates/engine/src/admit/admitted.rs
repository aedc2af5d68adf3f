//! The proof that a partner has logged in.

use std::net::SocketAddr;
use std::time::Duration;

use model::{TransferRates, VfdRight};

use crate::transfer::Secured;

/// A partner that has proved who it is and was bound to a gate and a site. Only the admission makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// The gate that let it in.
    pub gate: String,
    /// The remote site it is bound to; `$S_login` where the gate's group has a template (OBJ-18).
    pub site: String,
    /// The login it gave.
    pub login: String,
    /// The protocol it speaks, as sites name it: `SFTP`.
    pub protocol: &'static str,
    /// Its address.
    pub peer: SocketAddr,
    /// Our address that it called.
    pub local: SocketAddr,
    /// Alias of the key it proved, if it came by key.
    pub key: Option<String>,
    /// The stored certificate that stood for its password, if one did; it must stay enabled.
    pub certificate: Option<String>,
    /// How its connection is secured (TLS-29); none in clear, and over SSH.
    pub secured: Option<Secured>,
    /// The folder it cannot leave, as an absolute virtual path.
    pub root_dir: String,
    /// The folder where it begins, as an absolute virtual path below `root_dir`.
    pub home_dir: String,
    /// What it may do where: the union over gate and groups (OBJ-21).
    pub rights: Vec<VfdRight>,
    /// How long a committed upload rests before it is routed (DESIGN 1.2).
    pub settle: Duration,
    /// Largest file it may upload, in octets.
    pub max_upload: Option<u64>,
    /// How much it may transfer in a minute.
    pub rates: TransferRates,
    /// Destination of its files where no rule says otherwise.
    pub route_remote_agent: Option<String>,
}
