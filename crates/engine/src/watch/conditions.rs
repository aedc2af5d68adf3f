//! What needs a person: one list of rules, each with cause, effect and next step. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Shown, UtcMicros};
use db::{NewAlarm, Outbox, Overview, Transfer};

use super::ledger::Failing;
use super::limits::REFUSED_MINUTES;
use super::status::DiskStand;
use super::vitals::ListenerStand;

/// From when on a person is needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Deliveries to a partner keep failing for so long.
    pub failing: Duration,
    /// A transfer waits so long to be sent.
    pub waiting: Duration,
    /// Logins refused within ten minutes.
    pub refused_logins: u64,
    /// Age of the last backup, if one was ever made; zero: any.
    pub backup_age: Duration,
    /// Time between two looks.
    pub every: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            failing: Duration::from_secs(15 * 60),
            waiting: Duration::from_secs(3600),
            refused_logins: 100,
            backup_age: Duration::from_secs(8 * 24 * 3600),
            every: Duration::from_secs(15),
        }
    }
}

/// How grave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Files do not move.
    Error,
    /// They soon may not.
    Warning,
}

impl Severity {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What rules look at.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: UtcMicros,
    pub(super) monotonic: Duration,
    pub(super) serving: bool,
    pub(super) node: String,
    pub(super) frozen: Option<String>,
    pub(super) rotating: bool,
    pub(super) listeners: Vec<ListenerStand>,
    pub(super) overview: Overview,
    pub(super) oldest: Option<Transfer>,
    pub(super) store_answers: bool,
    pub(super) disk: DiskStand,
    pub(super) keys_to_check: usize,
    pub(super) backup: Option<(UtcMicros, String)>,
    pub(super) config_errors: usize,
    pub(super) failing: BTreeMap<String, Failing>,
    pub(super) refused: u64,
    pub(super) webhooks: Vec<(String, Outbox)>,
    /// Enabled certificates, and until when they are valid.
    pub(super) valid: Vec<(String, UtcMicros)>,
    pub(super) troubles: BTreeMap<&'static str, String>,
}

/// Rules whose alarms stay open until a person takes note of them: what they tell is over in a moment.
const STAYS: &[&str] = &["key_changed", "captures_full", "clock_set_back", "database"];

/// The condition that no running gateway can tell of itself.
pub(super) const NOT_RUNNING: &str = "not_running";

/// Whether an alarm of `rule` stays open until a person takes note of it.
pub(super) fn stays(rule: &str) -> bool {
    STAYS.contains(&rule)
}

/// Everything that needs a person now.
pub(super) fn of(facts: &Facts, limits: &Thresholds) -> Vec<NewAlarm> {
    let mut all = Vec::new();
    program(facts, &mut all);
    partners(facts, limits, &mut all);
    webhooks(facts, limits, &mut all);
    disk(facts, &mut all);
    care(facts, limits, &mut all);
    all
}

/// An alarm that concerns all nodes.
fn new(
    (rule, subject): (&str, &str),
    severity: Severity,
    cause: String,
    effect: &str,
    next_step: impl Into<String>,
) -> NewAlarm {
    NewAlarm {
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        node: String::new(),
        severity: severity.word().to_owned(),
        cause,
        effect: effect.to_owned(),
        next_step: next_step.into(),
        times: 1,
    }
}

fn program(facts: &Facts, all: &mut Vec<NewAlarm>) {
    use Severity::{Error, Warning};
    if !facts.serving {
        let effect = "no file is taken or sent";
        let cause = "no gateway runs on this data folder".to_owned();
        all.push(new((NOT_RUNNING, ""), Error, cause, effect, "gatehouse serve"));
    } else {
        let down = facts.listeners.iter().filter(|l| !l.error.is_empty()).map(|l| NewAlarm {
            node: facts.node.clone(),
            ..new(
                ("listener_down", &l.name),
                Error,
                format!("listener {} does not listen on {}: {}", l.name, l.address, l.error),
                "partners cannot connect there",
                "gatehouse listener list",
            )
        });
        all.extend(down);
    }
    if let Some(why) = &facts.frozen {
        let effect = "no file is taken or sent";
        all.push(new(("frozen", ""), Error, format!("the gateway is frozen: {why}"), effect, "gatehouse unfreeze"));
    }
    if facts.rotating {
        let cause = "a change of the master key is not finished".to_owned();
        let effect = "no backup can be made, and the old key is still needed";
        all.push(new(("rotating", ""), Warning, cause, effect, "gatehouse master rotate"));
    }
    if facts.config_errors > 0 {
        let cause = format!("{} errors in the configuration", facts.config_errors);
        let effect = "what they concern is not used, or refuses";
        all.push(new(("configuration", ""), Warning, cause, effect, "gatehouse check"));
    }
    for (what, text) in &facts.troubles {
        let effect = "the gateway cannot do what it does by itself";
        let cause = format!("{what}: {text}");
        all.push(NewAlarm {
            node: facts.node.clone(),
            ..new((what, ""), Error, cause, effect, "gatehouse support bundle FILE")
        });
    }
}

fn partners(facts: &Facts, limits: &Thresholds, all: &mut Vec<NewAlarm>) {
    use Severity::{Error, Warning};
    for sum in &facts.overview.suspended {
        let site = Shown::from(sum.site.as_str());
        let verify = if sum.to_verify > 0 { format!(", {} of them to verify", sum.to_verify) } else { String::new() };
        let cause =
            format!("{} transfers of {site} are suspended{verify}: {}", sum.times, Shown::from(sum.err.as_str()));
        let effect = "they are not sent until a person decides";
        let alarm = new(("suspended", &sum.site), Error, cause, effect, format!("gatehouse why {}", sum.newest));
        all.push(NewAlarm { times: sum.times, ..alarm });
    }
    for (site, failing) in &facts.failing {
        let lasted = facts.monotonic.saturating_sub(failing.since);
        if lasted < limits.failing && !failing.known {
            continue;
        }
        let next = match failing.transfer {
            Some(id) => format!("gatehouse why {id}"),
            None => format!("gatehouse why {}", Shown::from(site.as_str())),
        };
        let minutes = limits.failing.as_secs() / 60;
        let (shown, text) = (Shown::from(site.as_str()), Shown::from(failing.text.as_str()));
        let cause = match failing.known {
            true => failing.text.clone(),
            false => format!("deliveries to {shown} have been failing for more than {minutes} minutes: {text}"),
        };
        let alarm = new(("failing", site), Error, cause, "its files wait", next);
        all.push(NewAlarm { node: facts.node.clone(), times: failing.times.max(1), ..alarm });
    }
    if let Some(t) = &facts.oldest {
        let since = t.not_before.map_or(t.created_at, |at| at.max(t.created_at));
        let waits = facts.now.since(since);
        if waits >= limits.waiting && t.next_try_at <= facts.now.plus(limits.waiting) {
            let cause = format!(
                "transfer {} to {} has waited {} minutes",
                t.id,
                Shown::from(t.site.as_str()),
                waits.as_secs() / 60
            );
            all.push(new(("waiting", ""), Warning, cause, "files arrive late", format!("gatehouse why {}", t.id)));
        }
    }
    if facts.refused >= limits.refused_logins {
        let cause = format!("{} logins or TLS handshakes were refused within {REFUSED_MINUTES} minutes", facts.refused);
        let effect = "somebody guesses, or a partner's credentials are wrong";
        let next = "gatehouse quarantine list";
        let alarm = new(("logins_refused", ""), Warning, cause, effect, next);
        all.push(NewAlarm { node: facts.node.clone(), ..alarm });
    }
    if facts.keys_to_check > 0 {
        let cause = format!("{} captured keys wait for a decision", facts.keys_to_check);
        let effect = "the partners who showed them cannot log in";
        let alarm = new(("quarantine", ""), Warning, cause, effect, "gatehouse quarantine list");
        all.push(NewAlarm { times: i64::try_from(facts.keys_to_check).unwrap_or(i64::MAX), ..alarm });
    }
}

fn webhooks(facts: &Facts, limits: &Thresholds, all: &mut Vec<NewAlarm>) {
    for (name, outbox) in &facts.webhooks {
        let error = Shown::from(outbox.last_error.as_str());
        if outbox.parked > 0 {
            let cause = format!("{} events for webhook {name} were given up: {error}", outbox.parked);
            let next = format!("gatehouse webhook again {name}");
            let alarm = new(("webhook_parked", name), Severity::Warning, cause, "it does not know of them", next);
            all.push(NewAlarm { times: outbox.parked, ..alarm });
        }
        let waits = outbox.oldest_at.map(|at| facts.now.since(at)).filter(|waits| *waits >= limits.failing);
        if waits.is_some() && outbox.last_error_at > outbox.last_ok_at {
            let minutes = limits.failing.as_secs() / 60;
            let cause = format!("events for webhook {name} wait for more than {minutes} minutes: {error}");
            let next = format!("gatehouse webhook test {name}");
            all.push(new(("webhook_failing", name), Severity::Warning, cause, "it learns late what happens", next));
        }
    }
}

fn disk(facts: &Facts, all: &mut Vec<NewAlarm>) {
    if !facts.store_answers {
        let cause = "the payload store does not answer".to_owned();
        let alarm =
            new(("store", ""), Severity::Error, cause, "no file is taken or sent", "gatehouse support bundle FILE");
        all.push(NewAlarm { node: facts.node.clone(), ..alarm });
        return;
    }
    let (free, reserve) = (facts.disk.store_free, facts.disk.store_reserve);
    // Within a tenth of the way to the reserve people still have time to act.
    let near = reserve.saturating_mul(2);
    let (severity, effect) = match free {
        free if free <= reserve => (Severity::Error, "uploads are refused"),
        free if free <= near => (Severity::Warning, "uploads will soon be refused"),
        _ => return,
    };
    let cause = format!("{} MiB are free for payloads, {} MiB are the reserve", free >> 20, reserve >> 20);
    let alarm = new(("disk", ""), severity, cause, effect, "gatehouse purge -dry_run");
    all.push(NewAlarm { node: facts.node.clone(), ..alarm });
}

/// Days before its end on which a certificate is told anew.
const ENDS_IN_DAYS: [u64; 5] = [1, 7, 14, 30, 60];

fn ending(facts: &Facts, all: &mut Vec<NewAlarm>) {
    for (name, until) in &facts.valid {
        let over = *until <= facts.now;
        let left = until.since(facts.now).as_secs().div_ceil(86_400);
        let Some(stage) = ENDS_IN_DAYS.iter().find(|days| left <= **days) else { continue };
        let (severity, text) = match (over, left) {
            (true, _) => (Severity::Error, format!("certificate {name} is valid no more, since {until}")),
            (false, ..=7) => (Severity::Error, format!("certificate {name} is valid until {until}, {left} days")),
            (false, _) => {
                (Severity::Warning, format!("certificate {name} is valid until {until}, less than {stage} days"))
            }
        };
        // Each stage is an alarm of its own, so that it is told.
        let subject = format!("{name} {}", if over { 0 } else { *stage });
        let effect = "connections that need it fail from then on";
        let next = format!("gatehouse secdsp display_cert {name}");
        all.push(new(("expiring", &subject), severity, text, effect, next));
    }
}

fn care(facts: &Facts, limits: &Thresholds, all: &mut Vec<NewAlarm>) {
    ending(facts, all);
    let Some((at, _)) = &facts.backup else { return };
    let age = facts.now.since(*at);
    if !limits.backup_age.is_zero() && age > limits.backup_age {
        let cause = format!("the last backup is {} days old", age.as_secs() / 86_400);
        let effect = "what came since would be lost with the disk";
        let next = "gatehouse backup create FOLDER";
        all.push(new(("backup_old", ""), Severity::Warning, cause, effect, next));
    }
}

#[cfg(test)]
mod tests {
    use base::TransferId;

    use super::*;

    fn facts() -> Facts {
        Facts {
            now: UtcMicros(1_795_000_000_000_000),
            monotonic: Duration::from_secs(100_000),
            serving: true,
            node: "main".to_owned(),
            frozen: None,
            rotating: false,
            listeners: Vec::new(),
            overview: Overview::default(),
            oldest: None,
            store_answers: true,
            disk: DiskStand { store_free: 1 << 40, store_total: 1 << 41, store_reserve: 1 << 28, database: 0 },
            keys_to_check: 0,
            backup: None,
            config_errors: 0,
            failing: BTreeMap::new(),
            refused: 0,
            webhooks: Vec::new(),
            valid: Vec::new(),
            troubles: BTreeMap::new(),
        }
    }

    fn rules(facts: &Facts) -> Vec<String> {
        of(facts, &Thresholds::default())
            .into_iter()
            .map(|alarm| format!("{} {}", alarm.rule, alarm.severity))
            .collect()
    }

    #[test]
    fn a_sound_gateway_needs_nobody() {
        assert_eq!(rules(&facts()), [""; 0]);
    }

    // Each rule says cause, effect and a command.
    #[test]
    fn each_rule_has_its_case() {
        let failing = |s: u64| {
            let since = Duration::from_secs(100_000 - s);
            let one =
                Failing { since, times: 4, text: "no route".to_owned(), transfer: Some(TransferId(9)), known: false };
            BTreeMap::from([("acme".to_owned(), one)])
        };
        let sum = db::SuspendedSum {
            site: "acme".to_owned(),
            times: 2,
            to_verify: 1,
            newest: TransferId(8),
            err: "refused".to_owned(),
        };
        let down = ListenerStand {
            name: "L".to_owned(),
            address: "127.0.0.1:22".parse().unwrap(),
            error: "address in use".to_owned(),
        };
        let old = UtcMicros(facts().now.0 - 9 * 24 * 3_600_000_000);
        let disk = |store_free| DiskStand { store_free, store_reserve: 1 << 28, ..DiskStand::default() };
        let hook = |outbox| vec![("W".to_owned(), outbox)];
        let late = Outbox { oldest_at: Some(UtcMicros(0)), last_error_at: Some(UtcMicros(5)), ..Outbox::default() };
        let suspended = Overview { suspended: vec![sum], ..Overview::default() };
        for (case, expected) in [
            (Facts { serving: false, ..facts() }, "not_running error"),
            (Facts { listeners: vec![down], ..facts() }, "listener_down error"),
            (Facts { frozen: Some("restored".to_owned()), ..facts() }, "frozen error"),
            (Facts { rotating: true, ..facts() }, "rotating warning"),
            (Facts { config_errors: 1, ..facts() }, "configuration warning"),
            (Facts { troubles: BTreeMap::from([("housekeeping", "x".to_owned())]), ..facts() }, "housekeeping error"),
            (Facts { overview: suspended, ..facts() }, "suspended error"),
            (Facts { failing: failing(900), ..facts() }, "failing error"),
            (Facts { refused: 100, ..facts() }, "logins_refused warning"),
            (Facts { keys_to_check: 1, ..facts() }, "quarantine warning"),
            (Facts { disk: disk(1 << 28), ..facts() }, "disk error"),
            (Facts { disk: disk(1 << 29), ..facts() }, "disk warning"),
            (Facts { webhooks: hook(Outbox { parked: 2, ..Outbox::default() }), ..facts() }, "webhook_parked warning"),
            (Facts { webhooks: hook(late), ..facts() }, "webhook_failing warning"),
            (Facts { store_answers: false, ..facts() }, "store error"),
            (Facts { backup: Some((old, "/b".to_owned())), ..facts() }, "backup_old warning"),
        ] {
            assert_eq!(rules(&case), [expected]);
            let alarm = of(&case, &Thresholds::default()).remove(0);
            assert!(!alarm.cause.is_empty() && !alarm.effect.is_empty(), "{alarm:?}");
            assert!(alarm.next_step.starts_with("gatehouse "), "{alarm:?}");
        }
        assert_eq!(rules(&Facts { failing: failing(899), ..facts() }), [""; 0]);
    }

    // Told 60, 30, 14, 7 and 1 days before the end, and at the end.
    #[test]
    fn what_ends_is_told_in_stages() {
        for (days, expected) in
            [(61, None), (60, Some("60")), (30, Some("30")), (8, Some("14")), (7, Some("7")), (1, Some("1"))]
        {
            let until = facts().now.plus(Duration::from_secs(days * 86_400));
            let valid = vec![("K".to_owned(), until)];
            let told = of(&Facts { valid, ..facts() }, &Thresholds::default());
            let stage = told.first().map(|alarm| alarm.subject.rsplit(' ').next().unwrap());
            assert_eq!(stage, expected, "{days} days");
        }
        let over = Facts { valid: vec![("K".to_owned(), facts().now)], ..facts() };
        assert_eq!(of(&over, &Thresholds::default())[0].subject, "K 0");
    }
}
