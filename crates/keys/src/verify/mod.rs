//! Whether a certificate is trusted, and why not.
//!
//! | for | take |
//! |---|---|
//! | what is stored, ready to be searched | [`TrustStore`] |
//! | a path to a root that is stored and enabled | [`find_path`] |
//! | that, and the rules of a profile | [`judge`] |
//! | whether a server is the one that was called | [`check_name`] |
//! | whether its holder has signed something | [`verify_signed`] |
//! | a revocation list | [`Crl`] |
//! | our own chain, for others to verify | [`OwnChain`], [`choose_own`] |
//! | what a date changes | [`simulate`], [`timeline`] |
//!
//! The result is a [`Path`] or a [`Verified`], which nobody else can make, or a report that tells each path that was tried
//! and what was wrong with it. Nothing here knows a clock, a file or a socket; the work of one verification is bounded.

mod build;
mod crl;
mod host;
mod names;
mod own;
mod path;
mod policies;
mod policy;
mod revocation;
mod rotation;
mod signature;
mod store;
mod trust;
mod validate;

pub use build::{PathRequest, find_path};
pub use crl::{CRL_OCTETS_MAX, Crl};
pub use host::{NameMismatch, PeerName, PeerNameError, check_name};
pub use own::{OwnChain, OwnChoice, Skipped, Wanted, choose_own};
pub use path::{Failure, Origin, Path, PathReport, Step, Tried};
pub use policy::{
    Algorithms, CANDIDATES_MAX, NAME_COMPARISONS_MAX, PATH_DEPTH, PATH_DEPTH_MAX, PathMode, PathModeError, PathPolicy,
    Purpose, Revocation, SENT_MAX, SIGNATURE_CHECKS_MAX, TRIED_MAX,
};
pub use rotation::{Outcome, Part, Turn, Use, simulate, timeline};
pub use signature::{SignatureFailure, certifies, verify_signed};
pub use store::{StoredCertificate, TrustStore};
pub use trust::{Peer, Refusal, Template, Templates, TrustRules, Verified, authority_names, judge};
