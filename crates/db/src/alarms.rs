//! Alarms: opened once, kept until they are over, told by events in the same transaction.

use base::UtcMicros;
use serde_json::json;

use crate::events::push_on;
use crate::sql::{Columns, Conn, args};
use crate::{Db, DbError};

/// Open alarms that are ever looked at.
pub const OPEN_ALARMS_MAX: u32 = 1_000;
/// Characters of a text of an alarm.
const TEXT_CHARS_MAX: usize = 500;

/// What is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewAlarm {
    /// Name of the rule.
    pub rule: String,
    /// Whom or what it concerns; with the rule, what makes two alarms the same.
    pub subject: String,
    /// The node that it is about; empty if it is about all.
    pub node: String,
    /// `error` or `warning`.
    pub severity: String,
    /// Why.
    pub cause: String,
    /// What it leads to.
    pub effect: String,
    /// What to do, a command where there is one.
    pub next_step: String,
    /// How many there are of it.
    pub times: i64,
}

/// An alarm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alarm {
    /// Its number.
    pub id: i64,
    /// What is wrong.
    pub what: NewAlarm,
    /// Since when.
    pub opened_at: UtcMicros,
    /// When something about it changed.
    pub updated_at: UtcMicros,
    /// Until when.
    pub closed_at: Option<UtcMicros>,
    /// When a person took note of it.
    pub acknowledged_at: Option<UtcMicros>,
    /// Who.
    pub acknowledged_by: Option<String>,
}

/// Alarms of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Alarms<'a>(pub(crate) &'a Db);

impl Alarms<'_> {
    /// Open ones, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn open(self) -> Result<Vec<Alarm>, DbError> {
        collect(self.0.read().rows(OPEN, args![i64::from(OPEN_ALARMS_MAX)]).await?)
    }

    /// The newest of all, the newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest(self, limit: u32) -> Result<Vec<Alarm>, DbError> {
        collect(self.0.read().rows(NEWEST, args![i64::from(limit)]).await?)
    }

    /// Opens these, or brings open ones up to date. Gives how many are new.
    ///
    /// # Errors
    /// If the database fails; nothing has changed then.
    pub async fn raise(self, alarms: Vec<NewAlarm>, now: UtcMicros) -> Result<u64, DbError> {
        let op = async move |conn: &mut Conn| {
            let mut opened = 0_u64;
            for alarm in alarms {
                opened = opened.saturating_add(u64::from(raise(conn, alarm, now).await?));
            }
            Ok(opened)
        };
        self.0.write(|conn| Box::pin(op(conn))).await
    }

    /// These are over.
    ///
    /// # Errors
    /// If the database fails; nothing has changed then.
    pub async fn close(self, ids: Vec<i64>, now: UtcMicros) -> Result<(), DbError> {
        let op = async move |conn: &mut Conn| {
            for id in ids {
                if conn.run(CLOSE, args![id, now]).await? > 0
                    && let Some(row) = conn.row(ONE, args![id]).await?
                {
                    let alarm = alarm(row)?;
                    push_on(conn, "alarm.closed", &id.to_string(), (&told(id, &alarm.what), now)).await?;
                }
            }
            Ok(())
        };
        self.0.write(|conn| Box::pin(op(conn))).await
    }

    /// A person took note of an open one, and closes it if nothing else would. Gives whether it was open.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn acknowledge(self, id: i64, by: &str, now: UtcMicros) -> Result<bool, DbError> {
        let args = args![id, by, now];
        self.0.write(|conn| Box::pin(async move { Ok(conn.run(ACKNOWLEDGE, args).await? > 0) })).await
    }

    /// What mail has still to tell, the oldest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn to_mail(self) -> Result<Vec<Alarm>, DbError> {
        collect(self.0.read().rows(TO_MAIL, args![i64::from(OPEN_ALARMS_MAX)]).await?)
    }

    /// Mail has told these as they were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mailed(self, told: Vec<Alarm>) -> Result<(), DbError> {
        let op = async move |conn: &mut Conn| {
            for alarm in told {
                // One that was closed meanwhile is still to be told as closed.
                let closed = alarm.closed_at.is_some();
                conn.run(MAILED, args![alarm.id, closed]).await?;
            }
            Ok(())
        };
        self.0.write(|conn| Box::pin(op(conn))).await
    }

    /// Forgets what was over before `before`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget(self, before: UtcMicros) -> Result<(), DbError> {
        let args = args![before];
        self.0
            .write(|conn| conn.run_later("DELETE FROM alarm WHERE closed_at IS NOT NULL AND closed_at < $1", args))
            .await
    }
}

async fn raise(conn: &mut Conn, alarm: NewAlarm, now: UtcMicros) -> Result<bool, DbError> {
    let cut = |text: &str| base::brief(text, TEXT_CHARS_MAX);
    let texts = [cut(&alarm.cause), cut(&alarm.effect), cut(&alarm.next_step)];
    let known = conn.row(FIND, args![alarm.rule.as_str(), alarm.subject.as_str(), alarm.node.as_str()]).await?;
    let [cause, effect, next_step] = texts;
    if let Some(mut row) = known {
        let id = row.int()?;
        conn.run(UPDATE, args![id, cause, effect, next_step, alarm.times, now, alarm.severity]).await?;
        return Ok(false);
    }
    let args = args![
        alarm.rule.as_str(),
        alarm.subject.as_str(),
        alarm.node.as_str(),
        alarm.severity.as_str(),
        cause,
        effect,
        next_step,
        alarm.times,
        now
    ];
    let id = conn.row(INSERT, args).await?.map_or(Ok(0), |mut row| row.int())?;
    push_on(conn, "alarm.opened", &id.to_string(), (&told(id, &alarm), now)).await?;
    Ok(true)
}

fn told(id: i64, alarm: &NewAlarm) -> String {
    json!({
        "alarm": id,
        "rule": alarm.rule,
        "subject": alarm.subject,
        "node": alarm.node,
        "severity": alarm.severity,
        "cause": alarm.cause,
        "effect": alarm.effect,
        "next_step": alarm.next_step,
        "times": alarm.times,
    })
    .to_string()
}

fn collect(rows: Vec<Columns>) -> Result<Vec<Alarm>, DbError> {
    rows.into_iter().map(alarm).collect()
}

fn alarm(mut row: Columns) -> Result<Alarm, DbError> {
    Ok(Alarm {
        id: row.int()?,
        what: NewAlarm {
            rule: row.text()?,
            subject: row.text()?,
            node: row.text()?,
            severity: row.text()?,
            cause: row.text()?,
            effect: row.text()?,
            next_step: row.text()?,
            times: row.int()?,
        },
        opened_at: UtcMicros(row.int()?),
        updated_at: UtcMicros(row.int()?),
        closed_at: row.opt_int()?.map(UtcMicros),
        acknowledged_at: row.opt_int()?.map(UtcMicros),
        acknowledged_by: row.opt_text()?,
    })
}

macro_rules! columns {
    () => {
        "SELECT id, rule, subject, node, severity, cause, effect, next_step, times, opened_at, updated_at, closed_at, \
         acknowledged_at, acknowledged_by FROM alarm "
    };
}

pub(crate) const OPEN: &str = concat!(columns!(), "WHERE closed_at IS NULL ORDER BY opened_at, id LIMIT $1");
const NEWEST: &str = concat!(columns!(), "ORDER BY id DESC LIMIT $1");
const ONE: &str = concat!(columns!(), "WHERE id = $1");
pub(crate) const TO_MAIL: &str = concat!(columns!(), "WHERE to_mail <> '' ORDER BY updated_at, id LIMIT $1");
const FIND: &str = "SELECT id FROM alarm WHERE rule = $1 AND subject = $2 AND node = $3 AND closed_at IS NULL";
const INSERT: &str = "INSERT INTO alarm (rule, subject, node, severity, cause, effect, next_step, times, opened_at, \
    updated_at, to_mail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, 'O') RETURNING id";
/// Only what differs is written: an alarm that stays as it is costs nothing.
const UPDATE: &str = "UPDATE alarm SET cause = $2, effect = $3, next_step = $4, times = $5, updated_at = $6, severity = $7 \
    WHERE id = $1 AND (cause <> $2 OR effect <> $3 OR next_step <> $4 OR times <> $5 OR severity <> $7)";
const CLOSE: &str =
    "UPDATE alarm SET closed_at = $2, updated_at = $2, to_mail = 'C' WHERE id = $1 AND closed_at IS NULL";
const ACKNOWLEDGE: &str = "UPDATE alarm SET acknowledged_at = $3, acknowledged_by = $2 \
    WHERE id = $1 AND closed_at IS NULL AND acknowledged_at IS NULL";
const MAILED: &str = "UPDATE alarm SET to_mail = '' WHERE id = $1 AND ($2 = 1 OR to_mail = 'O')";
