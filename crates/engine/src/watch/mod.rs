//! Watching over the gateway: what runs, what failed, what needs a person, and who is told.
//!
//! [`Vitals`] is what only the running program knows. The [`ledger`] gathers events as they are told, and a task writes
//! them down as sums by hour. [`Engine::status`] puts both together with bounded looks into the database; `conditions.rs`
//! says what of it needs a person, which command line, alarms and mail all show.

mod alarms;
mod cloud_event;
mod conditions;
mod courier;
mod gauges;
mod ledger;
mod limits;
mod meters;
mod outbox;
mod run;
mod status;
mod traces;
mod vitals;

pub use alarms::MailPace;
#[cfg(test)]
pub(crate) use alarms::Watchman;
pub use cloud_event::{new_secret, signing_key};
pub use conditions::{Severity, Thresholds};
pub use courier::{Answer, Courier, Letter, Parcel};
pub(crate) use ledger::Ledger;
pub use meters::{METERS, Meter, STEP_BUCKETS_S, STEP_SECONDS, StepTimer};
pub use outbox::run_outbox;
pub use run::run_watch;
pub(crate) use status::LAST_BACKUP;
pub use status::{
    BackupStand, DiskStand, FailureSum, Need, OldestWaiting, QueueStand, Status, Throughput, WebhookStand,
};
pub use traces::run_traces;
pub use vitals::{ListenerStand, SessionMark, Vitals};
