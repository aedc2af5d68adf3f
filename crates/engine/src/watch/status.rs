//! The gateway at a glance.

use base::{TransferId, UtcMicros};
use db::{Counted, DbError, NewAlarm, Outbox, Overview, State, Transfer};
use model::{ObjectState, Severity as ProblemSeverity, Snapshot};
use serde::Serialize;

use super::conditions::{self, Facts};
use super::ledger::HANDSHAKE;
use super::limits::{EVENTS_COUNTED_MAX, FAILURES_BACK, FAILURES_SHOWN_MAX};
use super::vitals::ListenerStand;
use crate::engine::Engine;
use crate::sync::lock;

/// The mark of the last backup: its time and folder, parted by a space.
pub(crate) const LAST_BACKUP: &str = "last_backup";
/// Microseconds of a day.
const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// The gateway at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Whether a gateway serves partners on this data folder.
    pub running: bool,
    /// Version of the program.
    pub version: String,
    /// Number of the database's schema.
    pub schema: i64,
    /// Name of this node.
    pub node: String,
    /// Digits that tell this gateway from others.
    pub gateway_id: String,
    /// How long it has been running, in seconds.
    pub uptime_s: u64,
    /// Why nothing runs, if a person has to let it.
    pub frozen: Option<String>,
    /// A change of the master key is not finished.
    pub rotating: bool,
    /// Where it listens.
    pub listeners: Vec<ListenerStand>,
    /// Connections of partners.
    pub sessions_in: usize,
    /// Connections to partners.
    pub sessions_out: u32,
    /// Transfers that are not over.
    pub queue: QueueStand,
    /// The one that has waited longest to be sent.
    pub oldest: Option<OldestWaiting>,
    /// What failed in the last 24 hours, by site and cause, the most frequent first.
    pub failures: Vec<FailureSum>,
    /// Groups of failures that are not in the list.
    pub failures_left_out: usize,
    /// Logins refused in the last 24 hours.
    pub logins_refused: i64,
    /// TLS handshakes of callers refused in the last 24 hours.
    pub handshakes_refused: i64,
    /// What went through since midnight UTC.
    pub today: Throughput,
    /// Room.
    pub disk: DiskStand,
    /// Captured keys that wait for a person.
    pub keys_to_check: usize,
    /// The last backup that this gateway made.
    pub backup: Option<BackupStand>,
    /// Errors that `check` finds.
    pub config_errors: usize,
    /// Warnings that `check` finds.
    pub config_warnings: usize,
    /// How webhooks stand.
    pub webhooks: Vec<WebhookStand>,
    /// What needs a person, the gravest first.
    pub needs: Vec<Need>,
}

/// Transfers that are not over.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct QueueStand {
    pub to_send: i64,
    pub due: i64,
    pub retrying: i64,
    pub sending: i64,
    pub receiving: i64,
    pub suspended: i64,
    pub to_verify: i64,
    pub interrupted: i64,
    pub frozen: i64,
    pub at_disposal: i64,
    /// A count that has reached this is at least so high.
    pub counted_to: i64,
}

/// The transfer that has waited longest to be sent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct OldestWaiting {
    pub transfer: TransferId,
    pub site: String,
    pub waits_s: u64,
    pub next_try: String,
    pub retries: i64,
}

/// What failed for one site from one cause.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct FailureSum {
    pub site: String,
    pub cause: String,
    pub times: i64,
    pub last_at: String,
    pub last_transfer: Option<TransferId>,
    pub last_text: String,
}

/// How a webhook stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct WebhookStand {
    pub name: String,
    pub waiting: i64,
    pub parked: i64,
    pub last_error: String,
}

/// What went through.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Throughput {
    pub received_files: i64,
    pub received_octets: i64,
    pub delivered_files: i64,
    pub delivered_octets: i64,
}

/// Room, in octets.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct DiskStand {
    pub store_free: u64,
    pub store_total: u64,
    pub store_reserve: u64,
    pub database: i64,
}

/// A backup.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BackupStand {
    pub at: String,
    pub age_s: u64,
    pub folder: String,
}

/// Something that needs a person.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Need {
    /// Number of its alarm, if it has one already.
    pub alarm: Option<i64>,
    pub rule: String,
    pub subject: String,
    pub severity: String,
    pub cause: String,
    pub effect: String,
    pub next_step: String,
    /// A person took note of it.
    pub acknowledged: bool,
}

impl Status {
    /// Whether something needs a person that nobody took note of.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        self.needs.iter().any(|need| !need.acknowledged)
    }
}

impl Engine {
    /// The gateway at a glance. Every look into the database is bounded.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn status(&self) -> Result<Status, DbError> {
        let facts = self.present().await?;
        let sessions_in = *self.vitals.sessions().borrow();
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let (failures, failures_left_out) = self.failures(now).await?;
        let refused = self.db.tally().since(Counted::Refused, back(now)).await?;
        let problems = self.problems();
        let errors = problems.iter().filter(|p| p.severity == ProblemSeverity::Error).count();
        Ok(Status {
            at: now.to_string(),
            running: self.vitals.is_serving(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: self.db.overview().schema().await?,
            node: self.options.node.clone(),
            gateway_id: self.gateway_id().to_owned(),
            uptime_s: self.vitals.uptime(monotonic).as_secs(),
            frozen: self.frozen(),
            rotating: self.rotation_pending(),
            listeners: self.listener_stands(),
            sessions_in,
            sessions_out: self.outgoing_connections(),
            queue: queue(&facts.overview),
            oldest: facts.oldest.as_ref().map(|t| oldest(t, now)),
            failures,
            failures_left_out,
            logins_refused: refused.iter().filter(|sum| sum.cause != HANDSHAKE).map(|sum| sum.times).sum(),
            handshakes_refused: refused.iter().filter(|sum| sum.cause == HANDSHAKE).map(|sum| sum.times).sum(),
            today: self.today(now).await?,
            disk: facts.disk.clone(),
            keys_to_check: facts.keys_to_check,
            backup: facts.backup.as_ref().map(|(at, folder)| BackupStand {
                at: at.to_string(),
                age_s: now.since(*at).as_secs(),
                folder: folder.clone(),
            }),
            config_errors: errors,
            config_warnings: problems.len().saturating_sub(errors),
            webhooks: facts.webhooks.iter().map(webhook).collect(),
            needs: self.needs(conditions::of(&facts, &self.options.thresholds)).await?,
        })
    }

    /// What stands in the conditions, and alarms that stay open until a person takes note of them.
    async fn needs(&self, present: Vec<NewAlarm>) -> Result<Vec<Need>, DbError> {
        let mut open = self.db.alarms().open().await?;
        let mut needs: Vec<Need> = Vec::new();
        for one in present {
            let same = |alarm: &db::Alarm| alarm.what.rule == one.rule && alarm.what.subject == one.subject;
            let at = open.iter().position(same);
            needs.push(need(one, at.map(|at| open.swap_remove(at))));
        }
        open.retain(|alarm| conditions::stays(&alarm.what.rule));
        needs.extend(open.into_iter().map(|alarm| need(alarm.what.clone(), Some(alarm))));
        needs.sort_by(|a, b| (a.acknowledged, &a.severity, &a.rule).cmp(&(b.acknowledged, &b.severity, &b.rule)));
        Ok(needs)
    }

    /// What conditions are made of.
    pub(super) async fn present(&self) -> Result<Facts, DbError> {
        let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
        let overview = self.db.overview().queue(now).await?;
        let oldest = match overview.oldest {
            Some(id) => self.db.transfers().get(id).await?,
            None => None,
        };
        let space = self.store.space().await.ok();
        let disk = DiskStand {
            store_free: space.map_or(0, |space| space.free),
            store_total: space.map_or(0, |space| space.total),
            store_reserve: self.store.reserve_octets(),
            database: self.db.overview().database_octets().await?,
        };
        let snapshot = self.snapshot();
        let to_check = |o: &&std::sync::Arc<model::Object>| o.state == model::ObjectState::ToCheck;
        let (failing, refused) = {
            let ledger = lock(&self.events.ledger);
            (ledger.failing(), ledger.refused(monotonic))
        };
        Ok(Facts {
            now,
            monotonic,
            serving: self.vitals.is_serving(),
            node: self.options.node.clone(),
            frozen: self.frozen(),
            rotating: self.rotation_pending(),
            listeners: self.listener_stands(),
            overview,
            oldest,
            store_answers: space.is_some(),
            disk,
            keys_to_check: snapshot.objects(model::Kind::Key).filter(to_check).count(),
            backup: self.last_backup().await?,
            config_errors: self.problems().iter().filter(|p| p.severity == ProblemSeverity::Error).count(),
            failing,
            refused,
            webhooks: self.webhook_stands().await?,
            valid: valid(&snapshot),
            troubles: self.vitals.troubles(),
        })
    }

    pub(super) async fn webhook_stands(&self) -> Result<Vec<(String, Outbox)>, DbError> {
        let mut all = Vec::new();
        for hook in self.snapshot().webhooks() {
            all.push((hook.name.clone(), self.db.events().outbox(&hook.name, EVENTS_COUNTED_MAX).await?));
        }
        Ok(all)
    }

    async fn last_backup(&self) -> Result<Option<(UtcMicros, String)>, DbError> {
        let mark = self.db.meta().get(LAST_BACKUP).await?;
        Ok(mark.and_then(|text| {
            let (at, folder) = text.split_once(' ')?;
            Some((UtcMicros(at.parse().ok()?), folder.to_owned()))
        }))
    }

    /// As the running program says; without one, what is configured does not listen.
    fn listener_stands(&self) -> Vec<ListenerStand> {
        if self.vitals.is_serving() {
            return self.vitals.listeners();
        }
        let stand = |l: &std::sync::Arc<model::Listener>| ListenerStand {
            name: l.name.clone(),
            address: l.binding().address,
            error: "no gateway runs".to_owned(),
        };
        self.snapshot().listeners().filter(|l| l.enabled).map(stand).collect()
    }

    async fn failures(&self, now: UtcMicros) -> Result<(Vec<FailureSum>, usize), DbError> {
        let found = self.db.tally().since(Counted::Failed, back(now)).await?;
        let left_out = found.len().saturating_sub(FAILURES_SHOWN_MAX);
        let sum = |sum: db::Tally| FailureSum {
            site: sum.site,
            cause: sum.cause,
            times: sum.times,
            last_at: sum.last_at.to_string(),
            last_transfer: sum.last_transfer,
            last_text: sum.last_text,
        };
        Ok((found.into_iter().take(FAILURES_SHOWN_MAX).map(sum).collect(), left_out))
    }

    async fn today(&self, now: UtcMicros) -> Result<Throughput, DbError> {
        let midnight = UtcMicros(now.0.div_euclid(DAY_US).saturating_mul(DAY_US));
        let mut sums = [(0, 0); 2];
        for (what, sum) in [Counted::Received, Counted::Delivered].into_iter().zip(&mut sums) {
            for one in self.db.tally().since(what, midnight).await? {
                *sum = (sum.0 + one.times, sum.1 + one.octets);
            }
        }
        let [(received_files, received_octets), (delivered_files, delivered_octets)] = sums;
        Ok(Throughput { received_files, received_octets, delivered_files, delivered_octets })
    }
}

/// Enabled certificates, and until when they are valid.
fn valid(snapshot: &Snapshot) -> Vec<(String, UtcMicros)> {
    let enabled = snapshot.certificates().filter(|entry| entry.state == ObjectState::Enabled);
    enabled.filter_map(|entry| Some((entry.name.clone(), entry.valid_until?))).collect()
}

fn back(now: UtcMicros) -> UtcMicros {
    UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(FAILURES_BACK).0))
}

fn queue(o: &Overview) -> QueueStand {
    QueueStand {
        to_send: o.to_send,
        due: o.due,
        retrying: o.in_state(State::ToRestart),
        sending: o.in_state(State::Processing),
        receiving: o.in_state(State::Servicing).saturating_add(o.in_state(State::Created)),
        suspended: o.in_state(State::Suspended),
        to_verify: o.suspended.iter().map(|sum| sum.to_verify).sum(),
        interrupted: o.in_state(State::Interrupted),
        frozen: o.in_state(State::Frozen),
        at_disposal: o.at_disposal(),
        counted_to: db::LOOKED_AT_MAX,
    }
}

fn oldest(t: &Transfer, now: UtcMicros) -> OldestWaiting {
    let since = t.not_before.map_or(t.created_at, |at| at.max(t.created_at));
    OldestWaiting {
        transfer: t.id,
        site: t.site.clone(),
        waits_s: now.since(since).as_secs(),
        next_try: t.next_try_at.to_string(),
        retries: t.retries,
    }
}

fn webhook((name, outbox): &(String, Outbox)) -> WebhookStand {
    WebhookStand {
        name: name.clone(),
        waiting: outbox.waiting,
        parked: outbox.parked,
        last_error: outbox.last_error.clone(),
    }
}

fn need(what: NewAlarm, alarm: Option<db::Alarm>) -> Need {
    Need {
        alarm: alarm.as_ref().map(|alarm| alarm.id),
        rule: what.rule,
        subject: what.subject,
        severity: what.severity,
        cause: what.cause,
        effect: what.effect,
        next_step: what.next_step,
        acknowledged: alarm.is_some_and(|alarm| alarm.acknowledged_at.is_some()),
    }
}
