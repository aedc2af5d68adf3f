//! Every number of `/metrics`, as one closed list: the manual, the dashboard and the alert rules are checked against it.

use std::time::{Duration, Instant};

/// A number of `/metrics`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meter {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub about: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Meter {
    Meter { name, kind: "counter", labels, about }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], about: &'static str) -> Meter {
    Meter { name, kind: "gauge", labels, about }
}

/// The durations of steps.
pub const STEP_SECONDS: &str = "gatehouse_step_seconds";

/// Bounds of the buckets of [`STEP_SECONDS`].
pub const STEP_BUCKETS_S: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// Every number, in the order of the manual.
pub const METERS: &[Meter] = &[
    gauge("gatehouse_info", &["version", "node"], "1; what runs"),
    gauge("gatehouse_start_time_seconds", &[], "when the program was started"),
    counter("gatehouse_events_total", &["event"], "events by name, as in the log"),
    counter("gatehouse_received_octets_total", &[], "octets of files that partners sent"),
    counter("gatehouse_delivered_octets_total", &[], "octets of files that partners got"),
    counter(
        "gatehouse_failures_total",
        &["cause", "site"],
        "tries that failed; the site only with `[metrics] sites = true`",
    ),
    gauge("gatehouse_transfers", &["state"], "transfers that are not over"),
    gauge("gatehouse_transfers_due", &[], "transfers whose turn to be sent has come"),
    gauge("gatehouse_oldest_waiting_seconds", &[], "how long the oldest transfer has waited to be sent"),
    gauge("gatehouse_sessions_in", &[], "connections of partners"),
    gauge("gatehouse_sessions_out", &[], "connections to partners"),
    gauge("gatehouse_listener_up", &["listener"], "1 if it listens, 0 if it cannot"),
    Meter {
        name: STEP_SECONDS,
        kind: "histogram",
        labels: &["step"],
        about: "durations: `connect` to a partner with login, `commit` of a received file, `route`, `deliver` of one file",
    },
    gauge("gatehouse_store_free_octets", &[], "free room for payloads"),
    gauge("gatehouse_store_total_octets", &[], "room for payloads"),
    gauge("gatehouse_store_reserve_octets", &[], "below so much free room uploads are refused"),
    gauge("gatehouse_database_octets", &[], "size of the database"),
    gauge("gatehouse_last_backup_time_seconds", &[], "when this gateway made its last backup; 0: never"),
    gauge("gatehouse_alarms_open", &["severity"], "open alarms"),
    counter(
        "gatehouse_webhook_events_total",
        &["webhook", "result"],
        "events by `sent`, `retried`, `parked`, `dropped`",
    ),
    counter(
        "gatehouse_trace_requests_total",
        &["result"],
        "requests to the collector of traces that were `sent` or `lost`",
    ),
    gauge("gatehouse_webhook_events_waiting", &["webhook"], "events that wait for a webhook"),
    gauge("gatehouse_webhook_events_parked", &["webhook"], "events that were given up"),
];

/// Measures a step from its making to [`StepTimer::done`]; one that is dropped did not succeed and is not counted.
#[derive(Debug)]
pub struct StepTimer {
    step: &'static str,
    begun: Instant,
}

impl StepTimer {
    /// Begins.
    #[must_use]
    pub fn begin(step: &'static str) -> Self {
        Self { step, begun: Instant::now() }
    }

    /// The step is done.
    pub fn done(self) {
        metrics::histogram!(STEP_SECONDS, "step" => self.step).record(self.begun.elapsed());
    }
}

/// For a gauge, which has 53 bits.
pub(crate) fn as_number(n: u64) -> f64 {
    let high = u32::try_from(n >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(n & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// The same for a count of the database.
pub(super) fn count(n: i64) -> f64 {
    as_number(u64::try_from(n).unwrap_or(0))
}

/// The same for a span.
pub(super) const fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_prometheus() {
        for meter in METERS {
            assert!(meter.name.starts_with("gatehouse_") && !meter.about.is_empty(), "{meter:?}");
            assert_eq!(meter.kind == "counter", meter.name.ends_with("_total"), "{meter:?}");
        }
        assert!((as_number(1 << 40) - 1_099_511_627_776.0).abs() < 0.5);
    }
}
