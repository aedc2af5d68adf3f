//! Events on their way to webhooks: each webhook has its own row of an event, until it has it.
//!
//! Changes of transfers are written by triggers of the database (migration 7), so that no writer can forget them, and only
//! where a webhook wants them. All others are pushed from here, in the transaction of what they tell where there is one.

use std::time::Duration;

use base::UtcMicros;

use crate::sql::{Columns, Conn, args};
use crate::writer::{Pending, Urgency};
use crate::{Db, DbError};

/// An event on its way to a webhook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its number.
    pub seq: i64,
    /// When it happened.
    pub at: UtcMicros,
    /// What happened: `S` or `R` with the letter of a transfer's state, or the event's own name.
    pub code: String,
    /// Whom it concerns, as the number of a transfer.
    pub subject: String,
    /// What happened, as JSON.
    pub json: String,
    /// Tries that failed.
    pub tries: i64,
    /// Not to be tried before.
    pub next_at: UtcMicros,
    /// What came of the last try.
    pub answer: String,
}

/// How a webhook stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outbox {
    /// Events that wait, at most as many as are ever kept.
    pub waiting: i64,
    /// Events that were given up, until a person asks for them again.
    pub parked: i64,
    /// The oldest that waits.
    pub oldest_at: Option<UtcMicros>,
    /// Events that it got.
    pub sent: i64,
    /// Events that were dropped, since too many waited.
    pub dropped: i64,
    /// The last success.
    pub last_ok_at: Option<UtcMicros>,
    /// The last failure.
    pub last_error_at: Option<UtcMicros>,
    /// Why.
    pub last_error: String,
}

/// Events of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Events<'a>(pub(crate) &'a Db);

impl Events<'_> {
    /// States which webhook wants which codes. What waits for a webhook that is not `known` any more is removed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn want(self, mut wanted: Vec<(String, String)>, known: Vec<String>) -> Result<(), DbError> {
        wanted.sort();
        wanted.dedup();
        let rows =
            self.0.read().rows("SELECT code, webhook FROM event_want ORDER BY code, webhook", Vec::new()).await?;
        let mut present = Vec::with_capacity(rows.len());
        for mut row in rows {
            present.push((row.text()?, row.text()?));
        }
        present.sort();
        let mut gone = Vec::new();
        for mut row in self.0.read().rows("SELECT webhook FROM webhook_state", Vec::new()).await? {
            gone.extend(Some(row.text()?).filter(|name| !known.contains(name)));
        }
        if present == wanted && gone.is_empty() {
            return Ok(());
        }
        let op = async move |conn: &mut Conn| {
            conn.run("DELETE FROM event_want", Vec::new()).await?;
            for (code, webhook) in wanted {
                conn.run("INSERT INTO event_want (code, webhook) VALUES ($1, $2)", args![code, webhook]).await?;
            }
            for webhook in gone {
                conn.script(FORGET, args![webhook]).await?;
            }
            Ok(())
        };
        self.0.write(|conn| Box::pin(op(conn))).await
    }

    /// Queues an event for every webhook that wants it, without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn push(self, code: &str, subject: &str, json: String) -> Result<Pending<()>, DbError> {
        let args = args![code, subject, json, self.0.now()];
        self.0.submit(Urgency::Lazy, move |conn| conn.run_later(PUSH, args)).await
    }

    /// Takes the right to send to `webhook` for `node`, or keeps it. False: another node has it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hold(self, webhook: &str, node: &str, hold: Duration) -> Result<bool, DbError> {
        let now = self.0.now();
        let args = args![webhook, node, now, now.plus(hold)];
        self.0
            .write(|conn| {
                Box::pin(async move { Ok(conn.script(HOLD, args).await?.last().is_some_and(|changed| *changed > 0)) })
            })
            .await
    }

    /// Events that wait for `webhook`, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn waiting(self, webhook: &str, limit: u32) -> Result<Vec<Event>, DbError> {
        self.0.read().rows(WAITING, args![webhook, 0_i64, i64::from(limit)]).await?.into_iter().map(event).collect()
    }

    /// Events for `webhook` that were given up, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn parked(self, webhook: &str, limit: u32) -> Result<Vec<Event>, DbError> {
        self.0.read().rows(WAITING, args![webhook, 1_i64, i64::from(limit)]).await?.into_iter().map(event).collect()
    }

    /// The webhook has these.
    ///
    /// # Errors
    /// If the database fails; they are then sent again.
    pub async fn sent(self, webhook: &str, seqs: Vec<i64>) -> Result<(), DbError> {
        let (webhook, now) = (webhook.to_owned(), self.0.now());
        let op = async move |conn: &mut Conn| {
            let mut sent = 0_i64;
            for seq in seqs {
                conn.run("DELETE FROM event_out WHERE seq = $1", args![seq]).await?;
                sent = sent.saturating_add(1);
            }
            conn.run(SENT, args![webhook, sent, now]).await.map(drop)
        };
        self.0.write(|conn| Box::pin(op(conn))).await
    }

    /// A try failed: again at `next_at`, or never, until a person asks for it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn failed(
        self,
        webhook: &str,
        seq: i64,
        next_at: Option<UtcMicros>,
        answer: &str,
    ) -> Result<(), DbError> {
        let args = args![webhook, seq, next_at.unwrap_or_default(), next_at.is_none(), answer, self.0.now()];
        self.0.write(|conn| conn.run_later(FAILED, args)).await
    }

    /// Tries everything of `webhook` at once that waits or was given up. Gives how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn again(self, webhook: &str) -> Result<u64, DbError> {
        let args = args![webhook];
        self.0.write(|conn| Box::pin(async move { conn.run(AGAIN, args).await })).await
    }

    /// Drops the oldest events of `webhook` that are more than `max`, and those given up before `parked_before`. Gives how
    /// many; that is told by an event of its own.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn trim(self, webhook: &str, max: u32, parked_before: UtcMicros) -> Result<u64, DbError> {
        let (webhook, now, max) = (webhook.to_owned(), self.0.now(), i64::from(max));
        let row = self.0.read().row(KEPT_FROM, args![webhook.as_str(), max]).await?;
        let kept_from = row.map_or(Ok(0), |mut row| row.int())?;
        let old = self.0.read().row(OLD_PARKED, args![webhook.as_str(), parked_before]).await?.is_some();
        if kept_from == 0 && !old {
            return Ok(0);
        }
        self.0.write(move |conn| Box::pin(trim(conn, webhook, kept_from, (parked_before, now)))).await
    }

    /// How `webhook` stands; counts end at `most`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn outbox(self, webhook: &str, most: u32) -> Result<Outbox, DbError> {
        let mut found = Outbox::default();
        if let Some(mut row) = self.0.read().row(STATE, args![webhook]).await? {
            found = Outbox {
                sent: row.int()?,
                dropped: row.int()?,
                last_ok_at: row.opt_int()?.map(UtcMicros),
                last_error_at: row.opt_int()?.map(UtcMicros),
                last_error: row.text()?,
                ..Outbox::default()
            };
        }
        for parked in [0_i64, 1] {
            let row = self.0.read().row(COUNT, args![webhook, parked, i64::from(most)]).await?;
            let count = row.map_or(Ok(0), |mut row| row.int())?;
            if parked == 0 { found.waiting = count } else { found.parked = count }
        }
        found.oldest_at = self.waiting(webhook, 1).await?.first().map(|event| event.at);
        Ok(found)
    }
}

/// Queues an event within a transaction, for every webhook that wants it.
pub(crate) async fn push_on(
    conn: &mut Conn,
    code: &str,
    subject: &str,
    (json, at): (&str, UtcMicros),
) -> Result<(), DbError> {
    conn.run(PUSH, args![code, subject, json, at]).await.map(drop)
}

async fn trim(
    conn: &mut Conn,
    webhook: String,
    kept_from: i64,
    (parked_before, now): (UtcMicros, UtcMicros),
) -> Result<u64, DbError> {
    let dropped = conn.run(TRIM, args![webhook.as_str(), kept_from, parked_before]).await?;
    let times = i64::try_from(dropped).unwrap_or(i64::MAX);
    conn.run(DROPPED, args![webhook.as_str(), times]).await?;
    let json = serde_json::json!({ "webhook": webhook, "events": dropped }).to_string();
    push_on(conn, "outbox.dropped", &webhook, (&json, now)).await?;
    Ok(dropped)
}

fn event(mut row: Columns) -> Result<Event, DbError> {
    Ok(Event {
        seq: row.int()?,
        at: UtcMicros(row.int()?),
        code: row.text()?,
        subject: row.text()?,
        json: row.text()?,
        tries: row.int()?,
        next_at: UtcMicros(row.int()?),
        answer: row.text()?,
    })
}

const PUSH: &str = "INSERT INTO event_out (webhook, at, code, subject, json) \
    SELECT webhook, $4, code, $2, $3 FROM event_want WHERE code = $1";
pub(crate) const WAITING: &str = "SELECT seq, at, code, subject, json, tries, next_at, answer FROM event_out \
    WHERE webhook = $1 AND parked = $2 ORDER BY seq LIMIT $3";
const HOLD: &str = "\
    INSERT INTO webhook_state (webhook, holder, held_until, sent, dropped, last_error) VALUES ($1, '', 0, 0, 0, '') \
      ON CONFLICT (webhook) DO NOTHING; \
    UPDATE webhook_state SET holder = $2, held_until = $4 WHERE webhook = $1 AND (holder = $2 OR held_until < $3)";
const SENT: &str = "UPDATE webhook_state SET sent = sent + $2, last_ok_at = $3 WHERE webhook = $1";
const FAILED: &str = "\
    UPDATE event_out SET tries = tries + 1, next_at = $3, parked = $4, answer = $5 WHERE seq = $2; \
    UPDATE webhook_state SET last_error_at = $6, last_error = $5 WHERE webhook = $1";
const AGAIN: &str = "UPDATE event_out SET parked = 0, next_at = 0, tries = 0 \
    WHERE webhook = $1 AND parked IN (0, 1) AND (parked = 1 OR next_at > 0)";
const KEPT_FROM: &str =
    "SELECT seq FROM event_out WHERE webhook = $1 AND parked = 0 ORDER BY seq DESC LIMIT 1 OFFSET $2";
const OLD_PARKED: &str = "SELECT 1 FROM event_out WHERE webhook = $1 AND parked = 1 AND at < $2 LIMIT 1";
const TRIM: &str = "DELETE FROM event_out \
    WHERE webhook = $1 AND ((parked = 0 AND seq <= $2) OR (parked = 1 AND at < $3))";
const DROPPED: &str = "UPDATE webhook_state SET dropped = dropped + $2 WHERE webhook = $1";
const STATE: &str = "SELECT sent, dropped, last_ok_at, last_error_at, last_error FROM webhook_state WHERE webhook = $1";
const COUNT: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM event_out WHERE webhook = $1 AND parked = $2 LIMIT $3) AS counted";
const FORGET: &str = "\
    DELETE FROM event_out WHERE webhook = $1; \
    DELETE FROM webhook_state WHERE webhook = $1";
