//! Words that every room uses: names, secrets, ids, time, patterns, text that is safe to show, bounded readers.
//!
//! Pure except for [`SystemClock`] and [`random`].

mod alias;
mod clock;
mod ids;
mod octets;
mod pattern;
mod secret;
mod text;

pub use alias::{ALIAS_LEN_MAX, Alias, AliasError};
pub use clock::{Clock, SystemClock, TestClock, TimeError, UtcMicros};
pub use ids::{ObjectId, PayloadId, TransferId};
pub use octets::{Octets, OctetsError, hex, random, unhex};
pub use pattern::{Pattern, QuestionMark};
pub use secret::{Secret, same_octets};
pub use text::{Shown, brief, octets_text};
