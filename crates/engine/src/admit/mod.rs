//! Who may come in: login, gate, site, lock-out and the capture of unknown keys, for every protocol.

mod admitted;

pub use admitted::Admitted;
