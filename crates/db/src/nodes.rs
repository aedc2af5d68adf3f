//! Nodes: gateways that share one PostgreSQL. With SQLite there is one, the program that has the file.
//!
//! A node is there as long as its beats come within its lease, by the database's own clock, so that nodes need not agree
//! about the time. Who finds another one late declares it gone and puts its work in order, in one transaction with the
//! row that says so: a late node that comes back finds that its beat changes nothing, and that nothing is its own.

use std::time::Duration;

use base::{TransferId, UtcMicros};

use crate::hooks;
use crate::sql::{Columns, Conn, Sql, args};
use crate::transfer_rows::letter;
use crate::transfer_writes as writes;
use crate::writer::Urgency;
use crate::{Db, DbError, Pending};

/// How long nodes that are no longer there are remembered.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

/// A node that comes up.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Random, new at each start and after each lost lease.
    pub id: String,
    /// As in its settings.
    pub name: String,
    /// Mark of its data folder: no two of one mark can run.
    pub home: String,
    /// Its machine.
    pub host: String,
    /// Its program's version.
    pub version: String,
    /// How long it counts as being there after a beat.
    pub lease: Duration,
    /// It holds the lock of its data folder: an earlier node of the same mark is surely dead.
    pub first: bool,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NodeState {
    /// At work.
    Up,
    /// Ended in order.
    Left,
    /// Others declared it gone, or its successor found it dead.
    Gone,
}

impl NodeState {
    const ALL: [Self; 3] = [Self::Up, Self::Left, Self::Gone];

    const fn letter(self) -> &'static str {
        match self {
            Self::Up => "U",
            Self::Left => "L",
            Self::Gone => "G",
        }
    }

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Left => "left",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.letter() == text)
    }
}

/// A node as others see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeRow {
    /// Its number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its machine.
    pub host: String,
    /// Its program's version.
    pub version: String,
    /// Whether it is there.
    pub state: NodeState,
    /// When it came up.
    pub started_at: UtcMicros,
    /// Time since its last beat.
    pub silent: Duration,
    /// Its lease.
    pub lease: Duration,
    /// Deliveries that it is at work on.
    pub sending: i64,
    /// Uploads and downloads of partners that it is at work on.
    pub serving: i64,
}

/// What a look at the other nodes found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TakenOver {
    /// Names of nodes that were declared gone.
    pub nodes: Vec<String>,
    /// Transfers that were put in order: to restart, or interrupted.
    pub transfers: Vec<TransferId>,
}

/// What an operator did to a site at one of the nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteSwitch {
    /// The site.
    pub site: String,
    /// Started or stopped.
    pub active: bool,
    /// Rises with each switch of it.
    pub seq: i64,
    /// Why.
    pub text: String,
}

/// Nodes of a [`Db`].
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a>(pub(crate) &'a Db);

impl Nodes<'_> {
    /// Whether other nodes may use the same database.
    #[must_use]
    pub fn are_possible(self) -> bool {
        self.0.read().is_postgres()
    }

    /// Comes up. Nodes of the same data folder, which must be dead, are gone with this.
    ///
    /// # Errors
    /// [`DbError::NodeNamed`] while another node of the name is there.
    pub async fn register(self, new: NewNode) -> Result<(), DbError> {
        self.0.write(|conn| Box::pin(register(conn, new))).await
    }

    /// Tells that a node is there. `false`: it was declared gone, and nothing is its own any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn beat(self, id: &str) -> Result<bool, DbError> {
        let id = id.to_owned();
        self.0.write(move |conn| Box::pin(async move { Ok(conn.run(timed(conn, BEAT), args![id]).await? == 1) })).await
    }

    /// Declares nodes gone whose lease is over, and puts in order what they were at work on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_over(self, me: &str, now: UtcMicros) -> Result<TakenOver, DbError> {
        if !self.are_possible() || !self.is_work_left(me).await? {
            return Ok(TakenOver::default());
        }
        let me = me.to_owned();
        self.0.write(move |conn| Box::pin(take_over(conn, me, now))).await
    }

    /// A look without a transaction of its own: almost always there is nothing to do.
    async fn is_work_left(self, me: &str) -> Result<bool, DbError> {
        let mut conn = self.0.read().acquire().await?;
        let late = conn.rows(timed(&conn, LATE), args![me]).await?;
        Ok(!late.is_empty() || !conn.rows(writes::RUNNING, Vec::new()).await?.is_empty())
    }

    /// Ends in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leave(self, id: &str) -> Result<(), DbError> {
        let id = id.to_owned();
        self.0.write(move |conn| conn.run_later(LEAVE, args![id])).await
    }

    /// All nodes that are remembered, those that are there first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(self) -> Result<Vec<NodeRow>, DbError> {
        let mut conn = self.0.read().acquire().await?;
        conn.rows(timed(&conn, LIST), Vec::new()).await?.into_iter().map(node).collect()
    }

    /// Names of other nodes that are there.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn others(self, me: &str) -> Result<Vec<String>, DbError> {
        let mut conn = self.0.read().acquire().await?;
        let rows = conn.rows(timed(&conn, OTHERS), args![me]).await?;
        rows.into_iter().map(|mut row| row.text()).collect()
    }

    /// Name of a node that is there.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn name_of(self, id: &str) -> Result<Option<String>, DbError> {
        let row = self.0.read().row("SELECT name FROM node WHERE id = $1 AND state = 'U'", args![id]).await?;
        row.map(|mut row| row.text()).transpose()
    }

    /// Tells the other nodes something, with the next commit and without waiting. What they miss they find by
    /// themselves within a second.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn tell(self, notice: Notice) -> Result<(), DbError> {
        if !self.are_possible() {
            return Ok(());
        }
        self.0.submit(Urgency::Lazy, move |conn| Box::pin(tell(conn, notice))).await.map(drop)
    }

    /// Asks the node that is at work on a delivery to stop it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ask(self, id: TransferId, action: &str, now: UtcMicros) -> Result<(), DbError> {
        let args = args![id, action, now];
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    conn.run(ASK, args).await?;
                    tell(conn, Notice::Work).await
                })
            })
            .await
    }

    /// What was asked of deliveries that this node is at work on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn asked(self, me: &str) -> Result<Vec<(TransferId, String)>, DbError> {
        let rows = self.0.read().rows(ASKED, args![me]).await?;
        rows.into_iter().map(|mut row| Ok((TransferId(row.int()?), row.text()?))).collect()
    }

    /// What was asked of a delivery is done, or can't be done any more.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn answered(self, id: TransferId) -> Result<Pending<()>, DbError> {
        let sql = "DELETE FROM transfer_ask WHERE transfer_id = $1";
        self.0.submit(Urgency::Lazy, move |conn| conn.run_later(sql, args![id])).await
    }

    /// Transfers that are at work by their records at this node.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn held(self, me: &str) -> Result<Vec<TransferId>, DbError> {
        let rows = self.0.read().rows(HELD, args![me]).await?;
        rows.into_iter().map(|mut row| row.int().map(TransferId)).collect()
    }

    /// Takes one of the `max` places that connections to `site` have over all nodes; none if all are taken.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_place(self, site: &str, max: u32, me: &str) -> Result<Option<i64>, DbError> {
        let (site, me, max) = (site.to_owned(), me.to_owned(), i64::from(max));
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    let row = conn.row(PLACE, args![site, me, max]).await?;
                    row.map(|mut row| row.int()).transpose()
                })
            })
            .await
    }

    /// Gives a place back, without waiting.
    ///
    /// # Errors
    /// If the database is closed.
    pub async fn leave_place(self, site: &str, place: i64, me: &str) -> Result<Pending<()>, DbError> {
        let args = args![site, place, me];
        let sql = "DELETE FROM site_place WHERE site = $1 AND place = $2 AND node_id = $3";
        self.0
            .submit(Urgency::Lazy, move |conn| {
                Box::pin(async move {
                    conn.run(sql, args).await?;
                    tell(conn, Notice::Work).await
                })
            })
            .await
    }

    /// Tells all nodes that an operator started or stopped a site.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn switch_site(self, site: &str, active: bool, text: &str) -> Result<(), DbError> {
        let args = args![site, active, text];
        self.0
            .write(move |conn| {
                Box::pin(async move {
                    conn.run(SWITCH, args).await?;
                    tell(conn, Notice::Work).await
                })
            })
            .await
    }

    /// Sites that were started or stopped.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn switches(self) -> Result<Vec<SiteSwitch>, DbError> {
        let rows = self.0.read().rows("SELECT site, active, seq, text FROM site_switch", Vec::new()).await?;
        let switch = |mut row: Columns| {
            Ok(SiteSwitch { site: row.text()?, active: row.int()? != 0, seq: row.int()?, text: row.text()? })
        };
        rows.into_iter().map(switch).collect()
    }

    /// Takes a duty that one node at a time has, for `term` at most: true if it is this node's turn. A node that is gone
    /// has none.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn take_duty(self, duty: &'static str, me: &str, term: Duration) -> Result<bool, DbError> {
        if !self.are_possible() {
            return Ok(true);
        }
        let (me, until) = (me.to_owned(), UtcMicros(0).plus(term));
        self.0.write(move |conn| Box::pin(take_duty(conn, duty, me, until))).await
    }

    /// Gives a duty back.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leave_duty(self, duty: &'static str) -> Result<(), DbError> {
        if !self.are_possible() {
            return Ok(());
        }
        let key = format!("duty.{duty}");
        self.0.write(move |conn| conn.run_later("DELETE FROM meta WHERE key = $1", args![key])).await
    }
}

/// Something that the other nodes want to know soon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notice {
    /// The configuration changed.
    Config,
    /// There is something to do: to send, to stop, to switch.
    Work,
}

impl Notice {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Work => "work",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Config, Self::Work].into_iter().find(|notice| notice.word() == word)
    }
}

/// Tells the other nodes when this transaction is committed.
pub(crate) async fn tell(conn: &mut Conn, notice: Notice) -> Result<(), DbError> {
    if conn.is_postgres() {
        // The cast makes the result a text, which the driver can read.
        let sql = "SELECT CAST(pg_notify('gatehouse.' || md5(current_schema()), $1) AS TEXT)";
        conn.rows(sql, args![notice.word()]).await?;
    }
    Ok(())
}

/// Puts the database's own time in microseconds into a statement.
fn timed(conn: &Conn, sql: &'static str) -> Sql {
    let now = match conn.is_postgres() {
        true => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        false => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
    };
    Sql::Built(sql.replace("{NOW}", now))
}

async fn register(conn: &mut Conn, new: NewNode) -> Result<(), DbError> {
    conn.exclusive().await?;
    let alone = !conn.is_postgres();
    for mut row in conn.rows(timed(conn, NAMESAKES), args![new.name.as_str(), new.home.as_str()]).await? {
        let (id, name, home, host, late) = (row.text()?, row.text()?, row.text()?, row.text()?, row.int()? != 0);
        let dead = alone || late || (new.first && home == new.home);
        if !dead && name == new.name {
            return Err(DbError::NodeNamed { name, host });
        }
        if dead {
            conn.run("UPDATE node SET state = 'G' WHERE id = $1", args![id]).await?;
        }
    }
    let lease = UtcMicros(0).plus(new.lease).0;
    let args = args![new.id, new.name, new.home, new.host, new.version, lease];
    conn.run(timed(conn, REGISTER), args).await?;
    conn.run(timed(conn, FORGET), args![UtcMicros(0).plus(REMEMBERED)]).await?;
    // What an operator started and stopped lasts as long as there is a node (OBJ-8).
    let alone = "DELETE FROM site_switch WHERE (SELECT COUNT(*) FROM node WHERE state = 'U') = 1";
    conn.run(alone, Vec::new()).await?;
    free_places(conn).await
}

async fn take_over(conn: &mut Conn, me: String, now: UtcMicros) -> Result<TakenOver, DbError> {
    let mut taken = TakenOver::default();
    for mut row in conn.rows(timed(conn, DECLARE), args![me]).await? {
        taken.nodes.push(row.text()?);
    }
    taken.transfers = writes::recover(conn, now, "its node was lost, another one goes on").await?;
    conn.run(hooks::RECOVER, Vec::new()).await?;
    free_places(conn).await?;
    Ok(taken)
}

async fn free_places(conn: &mut Conn) -> Result<(), DbError> {
    let sql = "DELETE FROM site_place WHERE NOT EXISTS \
        (SELECT 1 FROM node WHERE node.id = site_place.node_id AND node.state = 'U')";
    conn.run(sql, Vec::new()).await.map(drop)
}

async fn take_duty(conn: &mut Conn, duty: &str, me: String, term: UtcMicros) -> Result<bool, DbError> {
    conn.exclusive().await?;
    let key = format!("duty.{duty}");
    let row = conn.row(timed(conn, DUTY), args![key.as_str()]).await?;
    let mut row = row.ok_or_else(|| DbError::Sql("the database does not tell the time".to_owned()))?;
    let (now, held) = (row.int()?, row.opt_text()?);
    let held = held.as_deref().and_then(|held| held.split_once(' '));
    if let Some((until, holder)) = held.and_then(|(until, holder)| Some((until.parse::<i64>().ok()?, holder))) {
        let sql = "SELECT id FROM node WHERE id = $1 AND state = 'U'";
        if until > now && holder != me && conn.row(sql, args![holder]).await?.is_some() {
            return Ok(false);
        }
    }
    let held = format!("{} {me}", now.saturating_add(term.0));
    conn.run(TAKE_DUTY, args![key, held]).await?;
    Ok(true)
}

fn node(mut row: Columns) -> Result<NodeRow, DbError> {
    let row = &mut row;
    let micros = |n: i64| Duration::from_micros(u64::try_from(n).unwrap_or(0));
    Ok(NodeRow {
        id: row.text()?,
        name: row.text()?,
        host: row.text()?,
        version: row.text()?,
        state: letter(row, NodeState::parse)?,
        started_at: UtcMicros(row.int()?),
        silent: micros(row.int()?),
        lease: micros(row.int()?),
        sending: row.int()?,
        serving: row.int()?,
    })
}

const NAMESAKES: &str = "SELECT id, name, home, host, \
    CAST(CASE WHEN beat_at + lease_us < {NOW} THEN 1 ELSE 0 END AS BIGINT) FROM node \
    WHERE state = 'U' AND (name = $1 OR home = $2)";
const REGISTER: &str = "INSERT INTO node (id, name, home, host, version, state, started_at, beat_at, lease_us) \
    VALUES ($1, $2, $3, $4, $5, 'U', {NOW}, {NOW}, $6)";
const FORGET: &str = "DELETE FROM node WHERE state <> 'U' AND beat_at < {NOW} - $1";
const BEAT: &str = "UPDATE node SET beat_at = {NOW} WHERE id = $1 AND state = 'U'";
const LATE: &str = "SELECT id FROM node WHERE state = 'U' AND id <> $1 AND beat_at + lease_us < {NOW}";
const DECLARE: &str = "UPDATE node SET state = 'G' WHERE state = 'U' AND id <> $1 AND beat_at + lease_us < {NOW} \
    RETURNING name";
const LEAVE: &str = "UPDATE node SET state = 'L' WHERE id = $1 AND state = 'U'; \
    DELETE FROM site_place WHERE node_id = $1";
const OTHERS: &str =
    "SELECT name FROM node WHERE state = 'U' AND id <> $1 AND beat_at + lease_us >= {NOW} ORDER BY name";
const LIST: &str = "SELECT n.id, n.name, n.host, n.version, n.state, n.started_at, {NOW} - n.beat_at, n.lease_us, \
    (SELECT COUNT(*) FROM transfer AS t WHERE t.state <> 'E' AND t.state = 'P' AND t.node_id = n.id), \
    (SELECT COUNT(*) FROM transfer AS t WHERE t.state <> 'E' AND t.state IN ('V', 'T') AND t.node_id = n.id) \
    FROM node AS n ORDER BY CASE WHEN n.state = 'U' THEN 0 ELSE 1 END, n.name, n.started_at DESC";
const HELD: &str = "SELECT id FROM transfer WHERE state <> 'E' AND state IN ('P', 'V', 'T') AND node_id = $1";
const ASK: &str = "INSERT INTO transfer_ask (transfer_id, action, at) VALUES ($1, $2, $3) \
    ON CONFLICT (transfer_id) DO UPDATE SET action = excluded.action, at = excluded.at";
/// A few requests are asked for their records, never the records for their requests.
const ASKED: &str = "SELECT a.transfer_id, a.action FROM transfer_ask AS a \
    WHERE (SELECT t.node_id FROM transfer AS t WHERE t.id = a.transfer_id) = $1";
/// The lowest place that is free. Two nodes that want the same one wait for each other; the second gets none, and looks
/// again soon.
const PLACE: &str = "WITH RECURSIVE p (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM p WHERE n + 1 < $3) \
    INSERT INTO site_place (site, place, node_id) \
    SELECT $1, p.n, $2 FROM p WHERE NOT EXISTS (SELECT 1 FROM site_place AS s WHERE s.site = $1 AND s.place = p.n) \
    ORDER BY p.n LIMIT 1 ON CONFLICT (site, place) DO NOTHING RETURNING place";
const SWITCH: &str = "INSERT INTO site_switch (site, active, seq, text) VALUES ($1, $2, 1, $3) \
    ON CONFLICT (site) DO UPDATE SET active = excluded.active, seq = site_switch.seq + 1, text = excluded.text";
const DUTY: &str = "SELECT {NOW}, (SELECT value FROM meta WHERE key = $1)";
const TAKE_DUTY: &str =
    "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
