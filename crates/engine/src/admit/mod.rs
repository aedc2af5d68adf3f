//! Who may come in, for every protocol: login, gate, site, keys, lock-out, and the capture of unknown keys.

mod admitted;
mod alarm;
mod capture;
mod host;
mod last;
mod line;
mod rates;
mod refusals;
mod session;
mod tls;
mod trust;
mod vault;

pub use admitted::Admitted;
pub(crate) use alarm::Told;
pub use host::{host_key_is_good, judge_host_key};
pub use last::LastLogin;
pub(crate) use last::Noted;
pub use line::{LoginLine, Unfit};
pub(crate) use rates::{Meter, QUOTA_WINDOW, Rates, Way};
pub(crate) use refusals::Refusals;
pub use refusals::RefusedHandshake;
pub use session::{AuthAnswer, AuthSession, LoginRules, MethodsLeft, source_of};
pub use tls::{TlsPlace, tls_other_certificate, tls_refused};
pub use trust::{KeyDemand, KeyVerdict, judge};
pub use vault::{OurKey, Vault, VaultError};
