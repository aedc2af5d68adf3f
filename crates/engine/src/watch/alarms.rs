//! Alarms: what needs a person, opened once, kept until it is over, told to webhooks and by mail.

use std::time::Duration;

use base::UtcMicros;
use db::{Alarm, DbError, NewAlarm};

use super::conditions::{self, Severity};
use super::courier::Letter;
use super::limits::{ALARMS_KEPT, LETTER_ALARMS_MAX, MAIL_RETRY};
use crate::engine::Engine;
use crate::events::Event;
use crate::sync::lock;

/// The hold that lets one node send mail.
const MAIL: &str = "@mail";

/// When letters are sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailPace {
    /// How long alarms gather before a letter tells them.
    pub gather: Duration,
    /// Time between two letters.
    pub pause: Duration,
}

impl Default for MailPace {
    fn default() -> Self {
        Self { gather: Duration::from_secs(30), pause: Duration::from_secs(600) }
    }
}

/// What the task of alarms remembers.
#[derive(Debug, Default)]
pub(crate) struct Watchman {
    /// Since when the database does not answer, and why.
    dead: Option<(Duration, String)>,
    /// No letter before.
    next_letter: Duration,
}

impl Watchman {
    /// Remembers from before a restart who kept failing.
    pub(crate) async fn begin(engine: &Engine) -> Self {
        if let Ok(open) = engine.db.alarms().open().await {
            let mut ledger = lock(&engine.events.ledger);
            for alarm in open.iter().filter(|a| a.what.rule == "failing" && a.what.node == engine.options.node) {
                ledger.remember_failing(&alarm.what.subject, &alarm.what.cause, engine.clock.monotonic());
            }
        }
        Self::default()
    }

    /// Brings alarms up to date, and tells by mail.
    pub(crate) async fn look(&mut self, engine: &Engine) {
        let now = engine.clock.monotonic();
        match engine.bring_alarms_up_to_date().await {
            Ok(()) => self.alive(engine, now).await,
            Err(error) => {
                tracing::error!(%error, "alarms cannot be looked at: the database does not answer");
                self.dead.get_or_insert((now, error.to_string()));
                return;
            }
        }
        if let Err(text) = self.mail(engine, now).await {
            tracing::warn!(text, "alarms could not be mailed");
            self.next_letter = now.saturating_add(MAIL_RETRY);
            engine.vitals.set_trouble("mail", Some(text));
        }
    }

    async fn alive(&mut self, engine: &Engine, now: Duration) {
        let Some((since, text)) = self.dead.take() else { return };
        let alarm = NewAlarm {
            rule: "database".to_owned(),
            subject: String::new(),
            node: engine.options.node.clone(),
            severity: Severity::Error.word().to_owned(),
            cause: format!("the database did not answer for {} s: {text}", now.saturating_sub(since).as_secs()),
            effect: "meanwhile no file was taken or sent".to_owned(),
            next_step: "gatehouse status".to_owned(),
            times: 1,
        };
        if let Err(error) = engine.db.alarms().raise(vec![alarm], engine.clock.now()).await {
            tracing::error!(%error, "an alarm could not be recorded");
        }
    }

    async fn mail(&mut self, engine: &Engine, now: Duration) -> Result<(), String> {
        let pending = engine.db.alarms().to_mail().await.map_err(|e| e.to_string())?;
        let Some(courier) = engine.courier.get().filter(|courier| courier.has_mail()) else {
            return engine.db.alarms().mailed(pending).await.map_err(|e| e.to_string());
        };
        let pace = &engine.options.mail;
        let ripe = pending.iter().map(|alarm| engine.clock.now().since(alarm.updated_at)).max().unwrap_or_default();
        if pending.is_empty() || ripe < pace.gather || now < self.next_letter {
            return Ok(());
        }
        // One node mails.
        let hold = engine.db.events().hold(MAIL, &engine.options.node, pace.pause.max(MAIL_RETRY)).await;
        if !hold.map_err(|e| e.to_string())? {
            return Ok(());
        }
        courier.mail(letter(&engine.options.node, &pending)).await?;
        self.next_letter = now.saturating_add(pace.pause);
        engine.vitals.set_trouble("mail", None);
        engine.db.alarms().mailed(pending).await.map_err(|e| e.to_string())
    }
}

impl Engine {
    async fn bring_alarms_up_to_date(&self) -> Result<(), DbError> {
        let now = self.clock.now();
        let waits: Vec<String> = self.db.transfers().due_sites().await?.into_iter().map(|(site, _)| site).collect();
        let told = {
            let mut ledger = lock(&self.events.ledger);
            ledger.keep_failing(|site| waits.iter().any(|one| one == site));
            ledger.take_alarms()
        };
        if !told.is_empty() {
            self.db.alarms().raise(told, now).await?;
        }
        let mut present = conditions::of(&self.present().await?, &self.options.thresholds);
        present.retain(|one| one.rule != conditions::NOT_RUNNING);
        let over: Vec<i64> = {
            let is_present = |a: &Alarm| {
                present.iter().any(|p| (&p.rule, &p.subject, &p.node) == (&a.what.rule, &a.what.subject, &a.what.node))
            };
            let ours = |a: &Alarm| a.what.node.is_empty() || a.what.node == self.options.node;
            let open = self.db.alarms().open().await?;
            for severity in [Severity::Error, Severity::Warning] {
                let of = open.iter().filter(|a| a.what.severity == severity.word()).count();
                let of = f64::from(u32::try_from(of).unwrap_or(u32::MAX));
                metrics::gauge!("gatehouse_alarms_open", "severity" => severity.word()).set(of);
            }
            open.iter()
                .filter(|a| !conditions::stays(&a.what.rule) && ours(a) && !is_present(a))
                .map(|a| a.id)
                .collect()
        };
        if !present.is_empty() {
            self.db.alarms().raise(present, now).await?;
        }
        if !over.is_empty() {
            self.db.alarms().close(over, now).await?;
        }
        Ok(())
    }

    /// A person took note of an alarm. One that only tells what happened is over then. Gives whether it was open.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn acknowledge_alarm(&self, id: i64, by: &str) -> Result<bool, DbError> {
        let now = self.clock.now();
        let open = self.db.alarms().open().await?;
        let Some(alarm) = open.into_iter().find(|alarm| alarm.id == id) else { return Ok(false) };
        let noted = self.db.alarms().acknowledge(id, by, now).await?;
        if conditions::stays(&alarm.what.rule) {
            self.db.alarms().close(vec![id], now).await?;
        }
        Ok(noted)
    }

    /// Sends a letter at once that says it is a test.
    ///
    /// # Errors
    /// Why not.
    pub async fn test_mail(&self) -> Result<(), String> {
        let courier = self.courier.get().filter(|courier| courier.has_mail());
        let courier = courier.ok_or("no mail server is configured: see [mail] in gatehouse.toml")?;
        let text = "This is a test of `gatehouse alarm test`. Nothing happened.\n".to_owned();
        courier.mail(Letter { subject: format!("[gatehouse {}] test", self.options.node), text }).await
    }

    pub(crate) async fn forget_alarms(&self, now: UtcMicros) -> Result<(), DbError> {
        self.db.alarms().forget(UtcMicros(now.0.saturating_sub(UtcMicros(0).plus(ALARMS_KEPT).0))).await
    }
}

/// The alarm of an event that is over in a moment.
pub(super) fn alarm_of(event: &Event) -> Option<NewAlarm> {
    let alarm = |rule: &str, subject: &str, cause: String, effect: &str, next_step: &str| NewAlarm {
        rule: rule.to_owned(),
        subject: subject.to_owned(),
        node: String::new(),
        severity: Severity::Warning.word().to_owned(),
        cause,
        effect: effect.to_owned(),
        next_step: next_step.to_owned(),
        times: 1,
    };
    Some(match event {
        Event::CaptureAlarm { site, fingerprint, text } => {
            let cause = format!("{} shows another key, {fingerprint}: {text}", base::Shown::from(site.as_str()));
            let effect = "it is refused: either it changed its key, or somebody pretends to be it";
            alarm("key_changed", site, cause, effect, "gatehouse quarantine list")
        }
        Event::CaptureFull { text } => {
            let effect = "keys of new partners are not captured";
            alarm("captures_full", "", text.clone(), effect, "gatehouse quarantine list")
        }
        Event::ClockSetBack { seconds } => {
            let cause = format!("the clock was set back by {seconds} s");
            alarm("clock_set_back", "", cause, "times of records overlap", "timedatectl status")
        }
        _ => return None,
    })
}

/// One letter for all of them.
fn letter(node: &str, alarms: &[Alarm]) -> Letter {
    let (open, over): (Vec<&Alarm>, Vec<&Alarm>) = alarms.iter().partition(|alarm| alarm.closed_at.is_none());
    let mut subject = format!("[gatehouse {node}] {} open, {} over", open.len(), over.len());
    if let Some(first) = open.first().or(over.first()) {
        subject = format!("{subject}: {}", base::brief(&first.what.cause, 80));
    }
    let mut text = String::new();
    for (title, list) in [("OPEN", &open), ("OVER", &over)] {
        for alarm in list.iter().take(LETTER_ALARMS_MAX) {
            let what = &alarm.what;
            let since = alarm.closed_at.map_or_else(String::new, |at| format!(" until {at}"));
            text.push_str(&format!(
                "{title} alarm {} ({}, {})\n  cause:  {}\n  effect: {}\n  next:   {}\n  since:  {}{since}\n\n",
                alarm.id, what.rule, what.severity, what.cause, what.effect, what.next_step, alarm.opened_at
            ));
        }
        let more = list.len().saturating_sub(LETTER_ALARMS_MAX);
        if more > 0 {
            text.push_str(&format!("and {more} more: gatehouse alarm list\n\n"));
        }
    }
    Letter { subject: subject.chars().filter(|c| !c.is_control()).collect(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(id: i64, closed: bool) -> Alarm {
        let at = UtcMicros(1_795_000_000_000_000);
        let event = Event::CaptureFull { text: format!("cause {id}\r\nBcc: x") };
        Alarm {
            id,
            what: alarm_of(&event).unwrap(),
            opened_at: at,
            updated_at: at,
            closed_at: closed.then_some(at),
            acknowledged_at: None,
            acknowledged_by: None,
        }
    }

    // A storm makes one letter, bounded; a header cannot be forged.
    #[test]
    fn one_letter_tells_all() {
        let alarms: Vec<Alarm> = (0..200).map(|id| alarm(id, id % 2 == 1)).collect();
        let made = letter("main", &alarms);
        assert!(made.subject.starts_with("[gatehouse main] 100 open, 100 over: cause 0"), "{}", made.subject);
        assert!(!made.subject.contains(['\r', '\n']));
        assert_eq!(made.text.matches("cause:").count(), 2 * LETTER_ALARMS_MAX);
        assert!(made.text.contains("and 50 more: gatehouse alarm list"));
    }
}
