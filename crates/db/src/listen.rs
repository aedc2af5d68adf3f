//! What other nodes tell: a connection that listens, and comes back by itself when it was lost.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::mpsc;

use crate::nodes::Notice;
use crate::open::Pool;
use crate::{Db, DbError};

/// Notices that wait to be taken. They are hints: who is behind looks at everything anyway.
const NOTICES_MAX: usize = 64;
/// Pause before another try to listen.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Db {
    /// What other nodes tell from now on. Nothing comes where there can be none, and none may get lost silently: after
    /// each new connection there is one of each kind.
    #[must_use]
    pub fn notices(&self) -> mpsc::Receiver<Notice> {
        let (sender, notices) = mpsc::channel(NOTICES_MAX);
        if self.read().is_postgres() {
            tokio::spawn(listen(self.inner.address.listener(), sender));
        }
        notices
    }
}

async fn listen(pool: Pool, sender: mpsc::Sender<Notice>) {
    while !sender.is_closed() {
        if let Err(error) = listen_once(&pool, &sender).await {
            tracing::debug!(%error, "other nodes are not heard at the moment: this one looks by itself");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = sender.closed() => {}
        }
    }
    pool.close().await;
}

async fn listen_once(pool: &Pool, sender: &mpsc::Sender<Notice>) -> Result<(), DbError> {
    let Some(links) = pool.postgres() else { return Ok(()) };
    let channel = pool.row("SELECT 'gatehouse.' || md5(current_schema())", Vec::new()).await?;
    let Some(mut channel) = channel else { return Ok(()) };
    let mut listener = PgListener::connect_with(links).await?;
    listener.listen(&channel.text()?).await?;
    for notice in [Notice::Config, Notice::Work] {
        let _hint = sender.try_send(notice);
    }
    loop {
        let told = tokio::select! {
            told = listener.try_recv() => told?,
            () = sender.closed() => return Ok(()),
        };
        // None: the connection was lost, and with it what was told meanwhile.
        let Some(told) = told else { return Ok(()) };
        if let Some(notice) = Notice::parse(told.payload()) {
            // Who is so far behind looks anyway.
            let _hint = sender.try_send(notice);
        }
    }
}
