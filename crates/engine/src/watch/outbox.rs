//! From the outbox to webhooks: a task for each, one event after the other, so that a slow receiver delays nobody else and
//! order is kept. What was sent is forgotten after the answer: at least once, with a stable id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{Secret, Shown, UtcMicros};
use db::DbError;
use model::{Snapshot, Webhook};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::cloud_event::{self, Rendered, rendered, signed};
use super::courier::{Answer, Courier, Parcel};
use super::limits::{
    ANSWER_CHARS_MAX, EVENTS_BATCH, EVENTS_KEPT_MAX, HOLD, LOOK_PAUSE, PARKED_KEPT, POLL_EVERY, RETRY_FIRST, RETRY_MAX,
    TRIM_EVERY,
};
use crate::engine::Engine;
use crate::events::Event;

/// Sends events until the engine stops.
pub async fn run_outbox(engine: Arc<Engine>) {
    let mut stopping = engine.stopping();
    let mut tasks: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    while !engine.is_stopping() {
        tasks.retain(|_, task| !task.is_finished());
        // Mostly it is so already: a change that could not be noted, or that another node made, is caught up with here.
        if let Err(error) = engine.want_events(&engine.snapshot()).await {
            tracing::warn!(%error, "which events webhooks want could not be noted");
        }
        for hook in engine.snapshot().webhooks().filter(|hook| hook.enabled) {
            let name = hook.name.clone();
            tasks.entry(name.clone()).or_insert_with(|| tokio::spawn(send(Arc::clone(&engine), name)));
        }
        tokio::select! {
            () = tokio::time::sleep(POLL_EVERY) => {}
            _ = stopping.changed() => {}
        }
    }
    // What is under way ends with its time-out at the latest; nothing is lost with it.
    for task in tasks.into_values() {
        task.abort();
    }
}

/// What came of one try.
enum Tried {
    Sent,
    Later(String, Option<u64>),
    Never(String),
}

/// Sends to one webhook until it is disabled or gone.
async fn send(engine: Arc<Engine>, name: String) {
    let mut events = engine.events();
    let mut trimmed = Instant::now();
    let mut held: Option<Instant> = None;
    while !engine.is_stopping() {
        let snapshot = engine.snapshot();
        let Some(hook) = snapshot.webhook(&name).filter(|hook| hook.enabled) else { return };
        if trimmed.elapsed() >= TRIM_EVERY {
            trimmed = Instant::now();
            engine.trim_outbox(&name).await;
        }
        let next = match engine.send_some(hook, &mut held).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(webhook = name, %error, "events are not sent");
                Next::Wait(POLL_EVERY)
            }
        };
        match next {
            Next::Look => {}
            Next::Wait(pause) => tokio::time::sleep(pause).await,
            // Something happened: perhaps it is wanted. A flood of it makes a few looks only.
            Next::Idle => {
                drop(tokio::time::timeout(POLL_EVERY, events.recv()).await);
                tokio::time::sleep(LOOK_PAUSE).await;
                events = events.resubscribe();
            }
        }
    }
}

/// When to look again.
enum Next {
    Look,
    Wait(Duration),
    Idle,
}

impl Engine {
    /// Takes who carries events and letters; the first one stays.
    pub fn set_courier(&self, courier: Arc<dyn Courier>) {
        if self.courier.set(courier).is_err() {
            tracing::debug!("there is a courier already");
        }
    }

    /// States in the database which events the webhooks of `snapshot` want.
    pub(crate) async fn want_events(&self, snapshot: &Snapshot) -> Result<(), DbError> {
        let known = snapshot.webhooks().map(|hook| hook.name.clone()).collect();
        let enabled = snapshot.webhooks().filter(|hook| hook.enabled);
        let wanted = enabled.flat_map(|hook| hook.codes().map(|code| (code.to_owned(), hook.name.clone())));
        self.db.events().want(wanted.collect(), known).await
    }

    async fn trim_outbox(&self, name: &str) {
        let before = UtcMicros(self.clock.now().0.saturating_sub(UtcMicros(0).plus(PARKED_KEPT).0));
        match self.db.events().trim(name, EVENTS_KEPT_MAX, before).await {
            Ok(0) => {}
            Ok(dropped) => {
                metrics::counter!("gatehouse_webhook_events_total", "webhook" => name.to_owned(), "result" => "dropped")
                    .increment(dropped);
                tracing::error!(webhook = name, dropped, "too many events waited: the oldest were dropped");
            }
            Err(error) => tracing::warn!(webhook = name, %error, "the outbox could not be trimmed"),
        }
    }

    /// Sends what waits, some of it, if this node has the right to; `held` is when it got that.
    async fn send_some(&self, hook: &Arc<Webhook>, held: &mut Option<Instant>) -> Result<Next, DbError> {
        let Some(courier) = self.courier.get() else { return Ok(Next::Wait(POLL_EVERY)) };
        let waiting = self.db.events().waiting(&hook.name, EVENTS_BATCH).await?;
        if waiting.is_empty() {
            return Ok(Next::Idle);
        }
        if held.is_none_or(|at| at.elapsed() >= HOLD / 3) {
            let now = Instant::now();
            if !self.db.events().hold(&hook.name, &self.options.node, HOLD).await? {
                return Ok(Next::Wait(POLL_EVERY));
            }
            *held = Some(now);
        }
        let keys = match self.webhook_keys(hook).await {
            Ok(keys) => keys,
            Err(text) => {
                tracing::error!(webhook = hook.name, text, "events are not sent");
                return Ok(Next::Wait(RETRY_FIRST));
            }
        };
        let (mut sent, mut next) = (Vec::new(), Next::Look);
        for event in waiting {
            if held.is_some_and(|at| at.elapsed() >= HOLD / 3) {
                break;
            }
            let now = self.clock.now();
            if event.next_at > now {
                // No longer, so that whoever asks for it again need not wait.
                next = Next::Wait(event.next_at.since(now).clamp(LOOK_PAUSE, POLL_EVERY));
                break;
            }
            let made = rendered(self.gateway_id(), &event);
            match told(courier.post(keys.parcel(hook, &made, now)).await) {
                Tried::Sent => sent.push(event.seq),
                tried => {
                    self.forget_sent(&hook.name, &mut sent).await?;
                    if !self.not_sent(hook, &event, tried).await? {
                        next = Next::Wait(LOOK_PAUSE);
                        break;
                    }
                }
            }
        }
        self.forget_sent(&hook.name, &mut sent).await?;
        Ok(next)
    }

    async fn forget_sent(&self, name: &str, sent: &mut Vec<i64>) -> Result<(), DbError> {
        if sent.is_empty() {
            return Ok(());
        }
        let n = u64::try_from(sent.len()).unwrap_or(0);
        metrics::counter!("gatehouse_webhook_events_total", "webhook" => name.to_owned(), "result" => "sent")
            .increment(n);
        self.db.events().sent(name, std::mem::take(sent)).await
    }

    /// Notes a failed try. Gives whether the next event may go: this one was given up.
    async fn not_sent(&self, hook: &Webhook, event: &db::Event, tried: Tried) -> Result<bool, DbError> {
        let tries = u32::try_from(event.tries.saturating_add(1)).unwrap_or(u32::MAX);
        let (text, again) = match tried {
            Tried::Later(text, after) if tries < hook.tries_max => (text, Some(wait(tries, after))),
            Tried::Later(text, _) | Tried::Never(text) => (text, None),
            Tried::Sent => return Ok(true),
        };
        let result = if again.is_some() { "retried" } else { "parked" };
        metrics::counter!("gatehouse_webhook_events_total", "webhook" => hook.name.clone(), "result" => result)
            .increment(1);
        let next_at = again.map(|wait| self.clock.now().plus(wait));
        let next_s = again.map(|wait| wait.as_secs());
        tracing::warn!(webhook = hook.name, event = event.seq, tries, next_s, text, "an event was not taken");
        self.db.events().failed(&hook.name, event.seq, next_at, &text).await?;
        Ok(again.is_none())
    }

    /// Posts a sample at once, past the outbox.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn test_webhook(&self, hook: &Arc<Webhook>) -> Result<Answer, String> {
        let courier = self.courier.get().ok_or("nothing here can post")?;
        let now = self.clock.now();
        let event = db::Event {
            seq: now.0,
            at: now,
            code: "webhook.test".to_owned(),
            subject: hook.name.clone(),
            json: serde_json::json!({ "webhook": hook.name, "text": "a sample, nothing happened" }).to_string(),
            tries: 0,
            next_at: now,
            answer: String::new(),
        };
        let keys = self.webhook_keys(hook).await?;
        courier.post(keys.parcel(hook, &rendered(self.gateway_id(), &event), now)).await
    }

    /// The secrets of a webhook.
    async fn webhook_keys(&self, hook: &Webhook) -> Result<HookKeys, String> {
        let mut keys = Vec::new();
        for (field, is_set) in [("secret", hook.has_secret), ("old_secret", hook.has_old_secret)] {
            if is_set {
                keys.push(cloud_event::signing_key(self.hook_secret(hook, field).await?.expose())?);
            }
        }
        if keys.is_empty() {
            return Err("it has no secret to sign with: run `gatehouse webhook rotate`".to_owned());
        }
        let authorization = match hook.has_authorization {
            true => Some(self.hook_secret(hook, "authorization").await?),
            false => None,
        };
        Ok(HookKeys { keys, authorization })
    }

    async fn hook_secret(&self, hook: &Webhook, field: &str) -> Result<Secret<String>, String> {
        let stored = self.db.objects().secret(hook.id, field).await.map_err(|e| e.to_string())?;
        let (uid, sealed) = stored.ok_or_else(|| format!("its {field} is gone: set it again"))?;
        let place = format!("object_secret|{uid}|{field}");
        let octets = self.master.open(place.as_bytes(), &sealed).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(octets.expose()).map_err(|_| format!("its {field} is no text: set it again"))?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// What signs the events of a webhook.
struct HookKeys {
    keys: Vec<Vec<u8>>,
    authorization: Option<Secret<String>>,
}

impl HookKeys {
    fn parcel(&self, hook: &Arc<Webhook>, event: &Rendered, now: UtcMicros) -> Parcel {
        let mut headers = signed(event, now, &self.keys);
        headers.extend(self.authorization.iter().map(|value| ("authorization".to_owned(), value.expose().clone())));
        headers.extend(hook.headers.iter().cloned());
        Parcel { hook: Arc::clone(hook), headers, body: event.body.clone() }
    }
}

/// What an answer means: taken; try again; or this very event will never be taken.
fn told(answer: Result<Answer, String>) -> Tried {
    let answer = match answer {
        Ok(answer) => answer,
        Err(text) => return Tried::Later(base::brief(&text, ANSWER_CHARS_MAX), None),
    };
    let text = format!("answer {} {}", answer.status, Shown::from(answer.text.as_str()));
    let text = base::brief(text.trim_end(), ANSWER_CHARS_MAX);
    match answer.status {
        200..=299 => Tried::Sent,
        // The server understood, and does not want it as it is.
        400 | 413 | 415 | 422 => Tried::Never(text),
        _ => Tried::Later(text, answer.retry_after_s),
    }
}

fn wait(tries: u32, asked_s: Option<u64>) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16)));
    let asked = asked_s.map_or(Duration::ZERO, Duration::from_secs);
    doubled.max(asked).min(RETRY_MAX)
}

/// The event of the outbox for one that was told in the house; changes of transfers come from the database itself.
pub(super) fn code_of(event: &Event) -> Option<(&'static str, String, serde_json::Value)> {
    use serde_json::json;
    Some(match event {
        Event::SiteFailed { site, failures, next_s, text } => {
            ("site.failed", site.clone(), json!({ "site": site, "failures": failures, "next_s": next_s, "text": text }))
        }
        Event::SiteSwitched { site, active, text } => {
            ("site.switched", site.clone(), json!({ "site": site, "active": active, "text": text }))
        }
        Event::LoggedIn { gate, site, login, peer } => {
            ("login.accepted", site.clone(), json!({ "gate": gate, "site": site, "login": login, "peer": peer }))
        }
        Event::LoginRefused { login, peer, text } => {
            ("login.refused", String::new(), json!({ "login": login, "peer": peer, "text": text }))
        }
        Event::TlsRefused { profile, site, peer, text } => {
            let data = json!({ "profile": profile, "site": site, "peer": peer, "text": text });
            ("tls.refused", site.clone().unwrap_or_default(), data)
        }
        Event::SessionUnfit { code, site, login, peer, text } => {
            let data = json!({ "event": code, "site": site, "login": login, "peer": peer, "text": text });
            ("tls.unfit", site.clone(), data)
        }
        Event::LoginBlocked { login, peer, seconds } => {
            ("login.blocked", String::new(), json!({ "login": login, "peer": peer, "seconds": seconds }))
        }
        Event::Captured { alias, fingerprint, login, peer } => {
            let data = json!({ "alias": alias, "fingerprint": fingerprint, "login": login, "peer": peer });
            ("key.captured", alias.clone(), data)
        }
        Event::CaptureAlarm { site, fingerprint, text } => {
            ("key.changed", site.clone(), json!({ "site": site, "fingerprint": fingerprint, "text": text }))
        }
        Event::CaptureFull { text } => ("key.captures_full", String::new(), json!({ "text": text })),
        Event::ConfigChanged { revision, problems } => {
            ("config.changed", String::new(), json!({ "revision": revision, "problems": problems }))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let waits = [1, 2, 3, 9, 10, 11, 99].map(|tries| wait(tries, None).as_secs());
        assert_eq!(waits, [5, 10, 20, 1280, 2560, 3600, 3600]);
        assert_eq!((wait(1, Some(60)).as_secs(), wait(1, Some(999_999)).as_secs()), (60, 3600));
    }

    #[test]
    fn answers_mean_what_they_should() {
        let answer = |status| Ok(Answer { status, ..Answer::default() });
        for status in [200, 202, 204] {
            assert!(matches!(told(answer(status)), Tried::Sent));
        }
        // A redirect is not followed: it is no success.
        for status in [301, 302, 401, 404, 408, 410, 429, 500, 503] {
            assert!(matches!(told(answer(status)), Tried::Later(..)), "{status}");
        }
        assert!(matches!(told(answer(422)), Tried::Never(_)));
        assert!(matches!(told(Err("no route".to_owned())), Tried::Later(..)));
    }
}
