//! Bounds of this folder.

use std::time::Duration;

/// Time between two writings of the ledger.
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(2);
/// Sums that the ledger holds between two writings; what is beyond is counted under its cause alone.
pub(super) const SUMS_MAX: usize = 1_000;
/// Partners whose failing is remembered.
pub(super) const FAILING_MAX: usize = 10_000;
/// Minutes over which refused logins are counted.
pub(super) const REFUSED_MINUTES: u64 = 10;
/// Hours that `status` looks back.
pub(super) const FAILURES_BACK: Duration = Duration::from_secs(24 * 3600);
/// Groups of failures that `status` shows.
pub(super) const FAILURES_SHOWN_MAX: usize = 20;
/// How long sums by hour are kept.
pub(super) const TALLY_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Events that are read from the outbox at once.
pub(super) const EVENTS_BATCH: u32 = 16;
/// Events that ever wait for one webhook; older ones are dropped, which is told.
pub(super) const EVENTS_KEPT_MAX: u32 = 100_000;
/// How long an event that was given up is kept.
pub(super) const PARKED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Time between two looks at the size of an outbox.
pub(super) const TRIM_EVERY: Duration = Duration::from_secs(60);
/// Time between two looks into an outbox, if nothing wakes its task.
pub(super) const POLL_EVERY: Duration = Duration::from_secs(2);
/// How long a node keeps the right to send to a webhook without a word.
pub(super) const HOLD: Duration = Duration::from_secs(90);
/// Wait after the first failed try of an event; doubled with each further one.
pub(super) const RETRY_FIRST: Duration = Duration::from_secs(5);
/// Longest wait between two tries.
pub(super) const RETRY_MAX: Duration = Duration::from_secs(3600);
/// Characters of an answer that are kept.
pub(super) const ANSWER_CHARS_MAX: usize = 300;
/// Events that the ledger holds between two writings; further ones are counted, and lost.
pub(super) const PUSHES_MAX: usize = 2_000;
/// How long alarms that are over are kept.
pub(super) const ALARMS_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);
/// Wait after mail failed.
pub(super) const MAIL_RETRY: Duration = Duration::from_secs(60);
/// Alarms that one letter tells one by one.
pub(super) const LETTER_ALARMS_MAX: usize = 50;
/// Events that one count of an outbox takes.
pub(super) const EVENTS_COUNTED_MAX: u32 = 10_000;
/// Time between two looks into an outbox, however much happens.
pub(super) const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Spans of one request to the collector of traces.
pub(super) const SPANS_MAX: usize = 256;
/// How long spans gather before they are sent.
pub(super) const TRACE_EVERY: Duration = Duration::from_secs(1);
