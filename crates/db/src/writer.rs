//! The one task that writes.
//!
//! Operations arrive through a bounded queue as closures over the connection. A batch is: begin, before each operation
//! but the first a savepoint, commit; then each caller hears. There is no waiting for company: while one batch is being synchronised
//! the next one gathers. A failing operation is undone alone; if even that is impossible (SQLite ends the transaction
//! itself when the disk is full) or the commit fails, every operation of the batch reports the error.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::DbError;
use crate::open::{Address, Pool};
use crate::sql::Conn;
use crate::unanswered::{Numbers, Ticket};

/// Operations that may wait in the queue; then callers wait.
const QUEUE_MAX: usize = 1024;
/// Operations of one batch.
const BATCH_MAX: usize = 256;
/// How long a batch takes operations, at least and at most: between, four times as long as the last commit took, so that
/// a slow disk is asked less often, and a fast one keeps nobody waiting.
const BATCH_TIME: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
/// How long a lazy operation waits for an urgent one.
const LAZY_TIME: Duration = Duration::from_millis(200);

/// Whether an operation has its own commit or waits for the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Urgency {
    /// Commit at once, with what else is there.
    Now,
    /// Commit with the next `Now`, at the latest after 200 ms.
    Lazy,
}

/// An operation in the queue. Await it for its result, or drop it: it is done all the same.
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, DbError>>);

impl<T> Pending<T> {
    /// Waits for the commit.
    ///
    /// # Errors
    /// Those of the operation, or [`DbError::Closed`].
    pub async fn done(self) -> Result<T, DbError> {
        self.0.await.unwrap_or(Err(DbError::Closed))
    }
}

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue(mpsc::Sender<Box<dyn Job>>);

impl Queue {
    /// Queues an operation; waits while the queue is full.
    pub(crate) async fn send<T, F>(&self, urgency: Urgency, op: F) -> Result<Pending<T>, DbError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
    {
        let (reply, pending) = oneshot::channel();
        let job = Box::new(Operation { urgency, op: Some(op), result: None, reply });
        self.0.send(job).await.map_err(|_| DbError::Closed)?;
        Ok(Pending(pending))
    }
}

/// Starts the task; it ends when all senders are gone and the queue is empty. It has a thread of its own: with SQLite
/// each trip to the database changes threads anyway, and the many tasks of a server's runtime would make each change
/// wake several.
///
/// # Errors
/// If there can be no thread.
pub(crate) fn start(address: Address) -> io::Result<(Queue, oneshot::Receiver<()>)> {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    let (ended, end) = oneshot::channel();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time();
    if address.is_postgres() {
        runtime.enable_io();
    }
    let runtime = runtime.build()?;
    std::thread::Builder::new().name("gatehouse-db".to_owned()).spawn(move || {
        runtime.block_on(async {
            match address.writer() {
                Ok(pool) => {
                    let writer = Writer {
                        pool,
                        conn: None,
                        queue,
                        waiting: VecDeque::new(),
                        waiting_since: Instant::now(),
                        commit_took: Duration::ZERO,
                        numbers: Numbers::default(),
                    };
                    writer.work().await;
                }
                Err(error) => tracing::error!(%error, "the database cannot be written"),
            }
        });
        // Nobody waits if all handles are gone.
        let _nobody = ended.send(());
    })?;
    Ok((Queue(sender), end))
}

/// An operation with its type erased.
trait Job: Send {
    fn urgency(&self) -> Urgency;
    /// Does it; false: undo it.
    fn run<'c>(&'c mut self, conn: &'c mut Conn) -> BoxFuture<'c, bool>;
    /// Why it failed, if it did.
    fn error(&self) -> Option<DbError>;
    /// Tells the caller, after the commit or its failure.
    fn finish(self: Box<Self>, commit: Result<(), DbError>);
}

struct Operation<T, F> {
    urgency: Urgency,
    op: Option<F>,
    result: Option<Result<T, DbError>>,
    reply: oneshot::Sender<Result<T, DbError>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, DbError>> + Send + 'static,
{
    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn run<'c>(&'c mut self, conn: &'c mut Conn) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(op) = self.op.take() else { return false };
            let result = AssertUnwindSafe(op(conn)).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(DbError::Sql("an operation panicked".to_owned())));
            let kept = result.is_ok();
            self.result = Some(result);
            kept
        })
    }

    fn error(&self) -> Option<DbError> {
        self.result.as_ref().and_then(|result| result.as_ref().err().cloned())
    }

    fn finish(self: Box<Self>, commit: Result<(), DbError>) {
        let result = match (self.result, commit) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(DbError::Closed),
        };
        // A caller that no longer listens does not need to know.
        drop(self.reply.send(result));
    }
}

struct Writer {
    pool: Pool,
    conn: Option<Conn>,
    queue: mpsc::Receiver<Box<dyn Job>>,
    waiting: VecDeque<Box<dyn Job>>,
    waiting_since: Instant,
    /// The last commit.
    commit_took: Duration,
    numbers: Numbers,
}

impl Writer {
    async fn work(mut self) {
        while self.gather().await {
            self.batch().await;
        }
        if let Some(conn) = &mut self.conn
            && let Err(error) = self.numbers.forget(conn).await
        {
            tracing::debug!(%error, "the row of the last transaction stays");
        }
        drop(self.conn.take());
        self.pool.close().await;
    }

    /// Waits until a batch is worth beginning; false: there will be no more.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            match self.queue.recv().await {
                Some(job) => self.waiting.push_back(job),
                None => return false,
            }
            self.waiting_since = Instant::now();
        }
        while self.waiting.len() < BATCH_MAX && self.waiting.iter().all(|job| job.urgency() == Urgency::Lazy) {
            match timeout_at(self.waiting_since + LAZY_TIME, self.queue.recv()).await {
                Ok(Some(job)) => self.waiting.push_back(job),
                Ok(None) | Err(_) => break,
            }
        }
        true
    }

    async fn batch(&mut self) {
        let mut jobs = Vec::new();
        let result = match self.run(&mut jobs).await {
            Ok(()) => Ok(()),
            Err(Broken { error, unanswered }) => {
                if let Some(conn) = self.conn.take() {
                    conn.discard().await;
                }
                match unanswered {
                    Some(ticket) => ticket.outcome(&self.pool, error).await,
                    None => Err(error),
                }
            }
        };
        if let Err(error) = &result {
            tracing::error!(%error, operations = jobs.len(), "the database did not commit");
            if *error == DbError::Locked {
                // Who waited behind a lock need not each wait for it again.
                jobs.extend(self.waiting.drain(..));
                jobs.extend(std::iter::from_fn(|| self.queue.try_recv().ok()));
            }
        }
        self.waiting_since = Instant::now();
        for job in jobs {
            job.finish(result.clone());
        }
    }

    /// Runs one transaction; `jobs` receives those that share its fate.
    async fn run(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), Broken> {
        let until = Instant::now() + self.commit_took.saturating_mul(4).clamp(BATCH_TIME.0, BATCH_TIME.1);
        if let Err(error) = self.begin().await {
            jobs.extend(self.waiting.drain(..));
            return Err(error.into());
        }
        let conn = self.conn.as_mut().ok_or(DbError::Closed)?;
        // The first operation that is kept needs no savepoint: before it there is nothing to keep.
        let (mut kept, mut savepoint) = (false, None);
        while jobs.len() < BATCH_MAX && (jobs.is_empty() || Instant::now() < until) {
            let Some(job) = self.waiting.pop_front().or_else(|| self.queue.try_recv().ok()) else { break };
            if kept && conn.waiting().is_none() {
                let next = savepoint.map_or(&FIRST, Savepoint::next);
                conn.first(next.make).await?;
                savepoint = Some(next);
            }
            jobs.push(job);
            let Some(job) = jobs.last_mut() else { break };
            if job.run(conn).await {
                kept = true;
            } else if conn.waiting().is_none() {
                let undone = match savepoint {
                    Some(savepoint) => conn.script(savepoint.undo, Vec::new()).await.map(drop),
                    None => again(conn).await,
                };
                undone.map_err(|lost| job.error().unwrap_or(lost))?;
            }
        }
        // A beginning that nothing followed needs no end.
        if conn.take_first() != Some(IMMEDIATE) {
            let ticket = self.numbers.next(conn).await?;
            let begun = Instant::now();
            conn.script("COMMIT", Vec::new()).await.map_err(|error| Broken { error, unanswered: ticket })?;
            self.commit_took = begun.elapsed();
        }
        Ok(())
    }

    /// Begins; a connection that broke while it was idle is replaced once.
    async fn begin(&mut self) -> Result<(), DbError> {
        let fresh = self.conn.is_none();
        match self.try_begin().await {
            Err(DbError::Sql(_)) if !fresh => {
                if let Some(conn) = self.conn.take() {
                    conn.discard().await;
                }
                self.try_begin().await
            }
            result => result,
        }
    }

    async fn try_begin(&mut self) -> Result<(), DbError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.pool.acquire().await?,
        };
        let conn = self.conn.insert(conn);
        conn.first(begin(conn)).await
    }
}

/// Why a batch was not committed.
struct Broken {
    error: DbError,
    /// It may have been committed all the same.
    unanswered: Option<Ticket>,
}

impl From<DbError> for Broken {
    fn from(error: DbError) -> Self {
        Self { error, unanswered: None }
    }
}

/// What stands before an operation. Two take turns: where the one before could not be released, and this one is not
/// there, undoing this one fails instead of undoing both.
struct Savepoint {
    make: &'static str,
    undo: &'static str,
}

const FIRST: Savepoint = Savepoint { make: "SAVEPOINT a", undo: "ROLLBACK TO SAVEPOINT a" };
const AFTER_A: Savepoint = Savepoint { make: "RELEASE SAVEPOINT a; SAVEPOINT b", undo: "ROLLBACK TO SAVEPOINT b" };
const AFTER_B: Savepoint = Savepoint { make: "RELEASE SAVEPOINT b; SAVEPOINT a", undo: "ROLLBACK TO SAVEPOINT a" };

impl Savepoint {
    fn next(&'static self) -> &'static Self {
        if self.undo == AFTER_A.undo { &AFTER_B } else { &AFTER_A }
    }
}

/// Undoes an operation before which nothing was kept.
async fn again(conn: &mut Conn) -> Result<(), DbError> {
    conn.script("ROLLBACK", Vec::new()).await?;
    conn.first(begin(conn)).await
}

const fn begin(conn: &Conn) -> &'static str {
    if conn.is_postgres() { "BEGIN" } else { IMMEDIATE }
}

/// SQLite's beginning: the lock is taken at once, not in the middle. It goes with the first statement.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";
