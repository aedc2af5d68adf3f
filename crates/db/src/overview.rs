//! What an operator wants to know of the queue at a glance. Every look is bounded: it reads indexes, and never more than
//! [`LOOKED_AT_MAX`] entries of one.

use base::{TransferId, UtcMicros};

use crate::sql::args;
use crate::state::State;
use crate::{Db, DbError};

/// Entries of an index that one count takes; beyond, there are "at least so many".
pub const LOOKED_AT_MAX: i64 = 50_000;
/// Suspended transfers that are looked at one by one, the newest.
const SUSPENDED_MAX: i64 = 1_000;

/// The queue at a glance.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overview {
    /// Wait to be sent by us.
    pub to_send: i64,
    /// Those whose turn has come.
    pub due: i64,
    /// The oldest of them.
    pub oldest: Option<TransferId>,
    /// How many are in each state that is no end.
    pub states: Vec<(State, i64)>,
    /// Suspended ones by site, of the newest.
    pub suspended: Vec<SuspendedSum>,
}

/// Suspended transfers of one site.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SuspendedSum {
    /// The site.
    pub site: String,
    /// How many.
    pub times: i64,
    /// Those for which nothing tells whether the partner has the file.
    pub to_verify: i64,
    /// The newest.
    pub newest: TransferId,
    /// Its cause in words.
    pub err: String,
}

impl Overview {
    /// How many are in `state`.
    #[must_use]
    pub fn in_state(&self, state: State) -> i64 {
        self.states.iter().find(|(of, _)| *of == state).map_or(0, |(_, times)| *times)
    }

    /// Files that wait until their partner fetches them.
    #[must_use]
    pub fn at_disposal(&self) -> i64 {
        let all = [State::ToBegin, State::ToRestart, State::Delayed].map(|state| self.in_state(state));
        all.iter().sum::<i64>().saturating_sub(self.to_send).max(0)
    }
}

/// Glances at a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Overviews<'a>(pub(crate) &'a Db);

impl Overviews<'_> {
    /// The queue now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn queue(self, now: UtcMicros) -> Result<Overview, DbError> {
        let mut found = Overview::default();
        let sql = to_send(self.0.read().is_postgres());
        if let Some(mut row) = self.0.read().row(sql, args![now, LOOKED_AT_MAX]).await? {
            (found.to_send, found.due, found.oldest) = (row.int()?, row.int()?, row.opt_int()?.map(TransferId));
        }
        for state in State::ALL.iter().filter(|state| !state.is_end()) {
            let row = self.0.read().row(IN_STATE, args![state.letter(), LOOKED_AT_MAX]).await?;
            found.states.push((*state, row.map_or(Ok(0), |mut row| row.int())?));
        }
        found.suspended = self.suspended().await?;
        Ok(found)
    }

    /// Suspended transfers by site.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn suspended(self) -> Result<Vec<SuspendedSum>, DbError> {
        let rows = self.0.read().rows(SUSPENDED, args![SUSPENDED_MAX]).await?;
        let sum = |mut row: crate::sql::Columns| {
            Ok(SuspendedSum {
                site: row.text()?,
                times: row.int()?,
                to_verify: row.int()?,
                newest: TransferId(row.int()?),
                err: row.text()?,
            })
        };
        rows.into_iter().map(sum).collect()
    }

    /// The newest transfer of a site, or of a file name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_of_site(self, site: &str) -> Result<Option<TransferId>, DbError> {
        let row = self.0.read().row(NEWEST_OF_SITE, args![site]).await?;
        row.map(|mut row| row.int().map(TransferId)).transpose()
    }

    /// The newest transfer of a file called so, among the newest [`LOOKED_AT_MAX`].
    ///
    /// # Errors
    /// If the database fails.
    pub async fn newest_of_name(self, name: &str) -> Result<Option<TransferId>, DbError> {
        let row = self.0.read().row(NEWEST_OF_NAME, args![name, LOOKED_AT_MAX]).await?;
        row.map(|mut row| row.int().map(TransferId)).transpose()
    }

    /// Octets that the database takes.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn database_octets(self) -> Result<i64, DbError> {
        let sql = match self.0.read().is_postgres() {
            true => "SELECT pg_database_size(current_database())",
            false => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        };
        self.0.read().row(sql, Vec::new()).await?.map_or(Ok(0), |mut row| row.int())
    }

    /// Number of the last step of the schema.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn schema(self) -> Result<i64, DbError> {
        let row = self.0.read().row("SELECT MAX(version) FROM migration", Vec::new()).await?;
        row.map_or(Ok(0), |mut row| row.int())
    }
}

macro_rules! to_send {
    ($by:literal) => {
        concat!(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN next_try_at <= $1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
             MIN(CASE WHEN type <> 'MULTI' THEN id END) FROM (SELECT id, type, next_try_at FROM transfer ",
            $by,
            " WHERE state IN ('B', 'R', 'D') AND mode = 'I' LIMIT $2) AS waiting"
        )
    };
}

pub(crate) const fn to_send(postgres: bool) -> &'static str {
    if postgres { to_send!("") } else { to_send!("INDEXED BY transfer_due") }
}

pub(crate) const IN_STATE: &str =
    "SELECT COUNT(*) FROM (SELECT 1 FROM transfer WHERE state <> 'E' AND state = $1 LIMIT $2) AS counted";

pub(crate) const SUSPENDED: &str = "SELECT g.site, g.times, g.to_verify, g.newest, t.err FROM (\
      SELECT site, COUNT(*) AS times, MAX(id) AS newest, \
        CAST(SUM(CASE WHEN extra_json LIKE '%\"to_verify\":true%' THEN 1 ELSE 0 END) AS BIGINT) AS to_verify \
      FROM (SELECT id, site, extra_json FROM transfer WHERE state <> 'E' AND state = 'S' ORDER BY id DESC LIMIT $1) AS s \
      GROUP BY site) AS g \
    JOIN transfer AS t ON t.id = g.newest ORDER BY g.times DESC, g.site";

pub(crate) const NEWEST_OF_SITE: &str = "SELECT id FROM transfer WHERE site = $1 ORDER BY id DESC LIMIT 1";

pub(crate) const NEWEST_OF_NAME: &str = "SELECT id FROM (SELECT id, file_name FROM transfer ORDER BY id DESC LIMIT $2) AS newest \
    WHERE file_name = $1 ORDER BY id DESC LIMIT 1";
