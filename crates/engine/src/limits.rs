//! Every bound of this room, with its unit.

use std::time::Duration;

/// Octets of one component of a path.
pub const NAME_OCTETS_MAX: usize = 255;
/// Octets of a whole path as a client gives it.
pub const PATH_OCTETS_MAX: usize = 1024;
/// Directories of one path.
pub const PATH_DEPTH_MAX: usize = 64;
/// Files that one listing shows; older ones are left out.
pub const LIST_ENTRIES_MAX: u32 = 10_000;
/// Events that a slow listener may lag behind before it loses the oldest.
pub const EVENTS_QUEUED_MAX: usize = 4096;
/// Octets that arrive between two durable checkpoints of an upload.
pub const CHECKPOINT_OCTETS: u64 = 8 * 1024 * 1024;
/// Time between two durable checkpoints of an upload.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// Time that a whole upload rests whose partner opened it again, if nothing ends that sooner.
pub const REOPENED_REST: Duration = Duration::from_secs(3600);
/// Uploads routed in one go before the task looks at its timers again.
pub const ROUTE_BATCH_MAX: u32 = 256;
/// Links followed upwards to find how deep a chain of forwarded transfers is (OBJ-29).
pub const ROUTE_DEPTH_MAX: u32 = 16;
/// Requests that one look into the queue takes into account for each site.
pub const DUE_BATCH_MAX: u32 = 64;
/// How long a node counts as being there without a sign of life.
pub const LEASE: Duration = Duration::from_secs(30);
/// Time after which another node routes an upload whose own node should have.
pub const ROUTE_BY_OTHERS_AFTER: Duration = Duration::from_secs(5);
/// Time between two records of how far a running delivery is.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(60);
/// Time that a job that was told to stop may still wait for its partner: then its connection is cut.
pub const CUT_AFTER: Duration = Duration::from_secs(3);
/// Longest pause of the scheduler between two looks, if no one wakes it.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Shortest pause of the scheduler between two looks by timer.
pub const LOOK_PAUSE_MIN: Duration = Duration::from_millis(20);
/// Connections of one protocol at the same time, as initiator.
pub const PROTOCOL_CONNECTIONS_MAX: u32 = 100;
/// Separate pieces of a download that are remembered; more are forgotten, and the download then needs a re-read.
pub const RANGES_MAX: usize = 1024;
/// Time that running sessions get at shutdown before they are cut.
pub const DRAIN_MAX: Duration = Duration::from_secs(30);
/// Octets read at once while a local file is taken into the store.
pub const COPY_OCTETS: usize = 256 * 1024;
/// Times the whole configuration is read anew while it changes under our hands.
pub const RELOAD_TRIES_MAX: u32 = 3;
