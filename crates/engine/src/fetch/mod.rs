//! Files that we fetch from partners: a request that waits for its turn as a delivery does, a look into the partner's
//! folder, and each file in it as a received transfer of its own (protocol-ftp.md 2.1, transfers.md 1.1).
//!
//! What was fetched is known by its record: partner, folder, name, size and time of change are its key. So a file that is
//! still there at the next look is not fetched again, one whose fetching broke off is gone on with, and one that was to be
//! deleted is.

mod filter;
mod intake;
mod job;
mod request;

pub use filter::{Filter, FilterError};
pub use intake::{Alone, Intake, Taken};
pub use job::{FetchJob, Fetched, Sighted};
pub(crate) use request::is_fetch;
pub use request::{After, FetchPlan, FetchRequest, Listing};
