//! A connection's place among those that a site allows, counted over all nodes.

use std::sync::Arc;

use db::DbError;
use model::RemoteSite;

use super::PAUSE_AFTER_FAILURE;
use crate::engine::Engine;

/// A place that is taken, if there are other nodes to be told of it. A node that dies gives its places up with its lease;
/// so does one that heard nothing of the database for as long, which is why a taking without an answer holds no place.
pub(super) struct Place {
    engine: Arc<Engine>,
    taken: Option<Taken>,
}

struct Taken {
    site: String,
    place: i64,
    node: String,
}

impl Place {
    /// Takes one; none if other nodes have all of them.
    pub(super) async fn take(engine: &Arc<Engine>, site: &RemoteSite) -> Result<Option<Self>, DbError> {
        let (engine, node) = (engine.clone(), engine.node.id());
        if !engine.node.is_shared() {
            return Ok(Some(Self { engine, taken: None }));
        }
        let place = engine.db.nodes().take_place(&site.name, site.init_conn_max.into(), &node).await?;
        Ok(place.map(|place| Self { engine, taken: Some(Taken { site: site.name.clone(), place, node }) }))
    }

    /// Gives it back with the next commit, before whoever takes one after this.
    pub(super) async fn leave(mut self) {
        let Some(taken) = self.taken.take() else { return };
        let engine = self.engine.clone();
        let asked = taken.ask(&engine).await;
        tokio::spawn(taken.insist(engine, asked));
    }
}

/// A connection that ended in disorder gives its place back, too.
impl Drop for Place {
    fn drop(&mut self) {
        let Some(taken) = self.taken.take() else { return };
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let asked = taken.ask(&engine).await;
            taken.insist(engine, asked).await;
        });
    }
}

impl Taken {
    async fn ask(&self, engine: &Engine) -> Result<db::Pending<()>, DbError> {
        engine.db.nodes().leave_place(&self.site, self.place, &self.node).await
    }

    /// Asks until it is recorded: a place that stays taken while this node lives would keep all nodes from the site.
    async fn insist(self, engine: Arc<Engine>, mut asked: Result<db::Pending<()>, DbError>) {
        loop {
            let left = match asked {
                Ok(pending) => pending.done().await,
                Err(error) => Err(error),
            };
            let Err(error) = left else { return };
            tracing::warn!(site = %self.site, %error, "a place for a connection could not be given back yet");
            if engine.is_stopping() || error == DbError::Closed {
                return;
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            asked = self.ask(&engine).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use db::{Fault, Faults};

    use super::*;
    use crate::tests::house::House;

    /// The only place of a site, taken.
    async fn only(engine: &Arc<Engine>) -> Place {
        let node = engine.node.id();
        let place = engine.db.nodes().take_place("B", 1, &node).await.unwrap().unwrap();
        assert_eq!(engine.db.nodes().take_place("B", 1, &node).await.unwrap(), None);
        Place { engine: engine.clone(), taken: Some(Taken { site: "B".to_owned(), place, node }) }
    }

    async fn is_free_again(engine: &Engine) {
        let free = async {
            while engine.db.nodes().take_place("B", 1, &engine.node.id()).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), free).await.unwrap();
    }

    // Issue: a database that dies over a place given back keeps nobody from the site.
    #[tokio::test]
    async fn it_is_given_back_until_that_is_recorded() {
        for fault in [Fault::Refused, Fault::Cut, Fault::Unanswered] {
            let faults = Faults::default();
            let house = House::with_faults(&faults, &[]).await;
            let place = only(&house.engine).await;
            faults.strike("DELETE FROM site_place", 1, fault);
            place.leave().await;
            is_free_again(&house.engine).await;
            assert!(faults.struck().is_some(), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_disorder_keeps_none() {
        let house = House::new().await;
        let place = only(&house.engine).await;
        let ended = tokio::spawn(async move {
            let _place = place;
            panic!("in disorder");
        });
        assert!(ended.await.is_err());
        is_free_again(&house.engine).await;
    }
}
