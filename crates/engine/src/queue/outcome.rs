//! What becomes of a job: the change of its record.

use std::time::Duration;

use base::UtcMicros;
use db::{Outcome, State, Transfer, TransferChange};

use super::backoff::Backoff;
use super::job::JobOutcome;
use crate::engine::EngineOptions;
use crate::error::{Cause, TransferError};
use crate::events::Event;
use crate::fetch::Fetched;
use crate::transfer::{Control, Extra, Secured};

/// Most characters of a cause that a record keeps.
const ERR_CHARS_MAX: usize = 500;

/// The change and what to tell.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) change: TransferChange,
    pub(super) event: Option<Event>,
}

/// What `outcome` makes of `t`, which an operator may have `asked` to stop meanwhile, over a connection `secured` like that. A
/// delivered file is delivered, whatever was asked.
pub(super) fn ended(
    t: &Transfer,
    outcome: JobOutcome,
    (asked, secured): (Option<Control>, Option<&Secured>),
    (now, options): (UtcMicros, &EngineOptions),
) -> Ended {
    // A try that ended in order takes back the note that it made before its last step, not that of an earlier one.
    let extra = Extra::of(t);
    let open_end = extra.open_end || matches!(outcome, JobOutcome::Unknown(_));
    let to_verify = matches!(&outcome, JobOutcome::Park(e) if e.cause == Cause::Unclear);
    let delivered = matches!(outcome, JobOutcome::Delivered | JobOutcome::Fetched(_));
    let mut end = by_outcome(t, outcome, asked, (now, options));
    end.change.owner = t.node.clone();
    if !delivered {
        end.change.extra_json = Some(Extra { open_end, to_verify, ..extra }.json());
    } else if let Some(secured) = secured {
        end.change.extra_json = Some(Extra { secured: Some(secured.clone()), open_end: false, ..extra }.json());
    }
    end
}

fn by_outcome(
    t: &Transfer,
    outcome: JobOutcome,
    asked: Option<Control>,
    (now, options): (UtcMicros, &EngineOptions),
) -> Ended {
    match (outcome, asked) {
        (JobOutcome::Delivered, _) => delivered(t, now),
        (JobOutcome::Fetched(fetched), asked) => looked(t, fetched, asked, now),
        (JobOutcome::Retry(e) | JobOutcome::Unknown(e) | JobOutcome::Park(e), Some(Control::Cancel)) => {
            stopped(t, State::Cancelled, &e, now)
        }
        (JobOutcome::Retry(e) | JobOutcome::Unknown(e) | JobOutcome::Park(e), Some(_)) => {
            stopped(t, State::Suspended, &e, now)
        }
        (JobOutcome::Park(e), None) if stays(t).is_some() => match wait(t, options) {
            Some(wait) => again(t, &e, now, wait),
            None => failed(t, State::Suspended, &e, now),
        },
        (JobOutcome::Park(e), None) => failed(t, State::Suspended, &e, now),
        (JobOutcome::Retry(e) | JobOutcome::Unknown(e), None) if t.not_after.is_some_and(|end| now >= end) => {
            failed(t, State::Cancelled, &e, now)
        }
        (JobOutcome::Retry(e) | JobOutcome::Unknown(e), None) => match wait(t, options) {
            Some(wait) => again(t, &e, now, wait),
            None if options.cancel_on_retries => failed(t, State::Cancelled, &e, now),
            None => failed(t, State::Suspended, &e, now),
        },
    }
}

fn delivered(t: &Transfer, now: UtcMicros) -> Ended {
    let mut change = TransferChange::to(t.id, State::Ended, now);
    change.expected = vec![State::Processing];
    change.done_octets = t.size;
    change.note = "delivered".to_owned();
    change.outcome = Some(Outcome::default());
    let octets = t.size.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
    Ended { change, event: Some(Event::Delivered { transfer: t.id, site: t.site.clone(), octets }) }
}

/// Seconds between the looks of a request to fetch that stays.
fn stays(t: &Transfer) -> Option<u32> {
    Extra::of(t).fetch.and_then(|plan| plan.every_s)
}

/// A folder was looked into: the request is over, or waits for its next look.
fn looked(t: &Transfer, fetched: Fetched, asked: Option<Control>, now: UtcMicros) -> Ended {
    let again = stays(t).filter(|_| t.not_after.is_none_or(|end| now < end));
    let to = match (again, asked) {
        (None, _) => State::Ended,
        (Some(_), Some(Control::Cancel)) => State::Cancelled,
        (Some(_), Some(_)) => State::Suspended,
        (Some(_), None) => State::ToRestart,
    };
    let mut change = TransferChange::to(t.id, to, now);
    change.expected = vec![State::Processing];
    change.retries = Some(0);
    change.done_octets = i64::try_from(fetched.octets).ok();
    change.note = fetched.to_string();
    change.outcome = Some(Outcome::default());
    change.next_try_at = again.map(|seconds| now.plus(Duration::from_secs(seconds.into())));
    let Fetched { files, octets, .. } = fetched;
    Ended { change, event: Some(Event::Fetched { transfer: t.id, site: t.site.clone(), files, octets }) }
}

fn stopped(t: &Transfer, to: State, error: &TransferError, now: UtcMicros) -> Ended {
    let mut ended = failed(t, to, error, now);
    ended.change.note = format!("{to} by an operator");
    ended.event = Some(match to {
        State::Cancelled => Event::Cancelled { transfer: t.id, text: "by an operator".to_owned() },
        _ => Event::Suspended { transfer: t.id, text: "by an operator".to_owned() },
    });
    ended
}

fn failed(t: &Transfer, to: State, error: &TransferError, now: UtcMicros) -> Ended {
    let mut change = TransferChange::to(t.id, to, now);
    change.expected = vec![State::Processing];
    change.retries = Some(t.retries.saturating_add(1));
    change.note = base::brief(&error.text, 200);
    change.outcome = Some(cause(error));
    let event = Event::Failed { transfer: t.id, site: t.site.clone(), cause: error.cause, text: error.text.clone() };
    Ended { change, event: Some(event) }
}

fn again(t: &Transfer, error: &TransferError, now: UtcMicros, wait: Duration) -> Ended {
    let mut ended = failed(t, State::ToRestart, error, now);
    ended.change.next_try_at = Some(now.plus(wait));
    let attempt = u32::try_from(t.retries.saturating_add(1)).unwrap_or(u32::MAX);
    let (site, text) = (t.site.clone(), error.text.clone());
    ended.event = Some(Event::Retried { transfer: t.id, site, attempt, cause: error.cause, text });
    ended
}

/// The wait before the next try; none when tries are used up.
fn wait(t: &Transfer, options: &EngineOptions) -> Option<Duration> {
    let extra = Extra::of(t);
    // Whatever keeps a request that stays from its look, the next look comes.
    if let Some(seconds) = stays(t) {
        return Some(Duration::from_secs(seconds.into()));
    }
    let failed = u32::try_from(t.retries.saturating_add(1)).unwrap_or(u32::MAX);
    let tries = extra.retry_count_max.unwrap_or(options.retry_count_max);
    let (min, max) = match extra.interval_s {
        Some(s) => (Duration::from_secs(s.into()), Duration::from_secs(s.into())),
        None => (options.retry_delay_min, options.retry_delay_max),
    };
    Backoff { min, max, tries }.wait(failed)
}

pub(super) fn cause(error: &TransferError) -> Outcome {
    Outcome { reason: error.reason(), diag: 0, err: base::brief(&error.text, ERR_CHARS_MAX) }
}
