//! What hooks are to be told: noted by the database itself, told to each hook once, tried until it is.

use std::time::Duration;

use base::UtcMicros;
use db::*;

use crate::house::{House, NOW, on_both};
use crate::nodes::{LONG, coming, node, whole};

on_both! {
    what_happens_is_noted_while_somebody_wants_it;
    a_run_is_begun_once_and_tried_again;
}

mod bodies {
    use super::*;

    async fn received(db: &Db) -> base::TransferId {
        let id = coming(db, "n1").await;
        db.transfers().commit_received(whole(id, "n1")).await.unwrap();
        id
    }

    pub(super) async fn what_happens_is_noted_while_somebody_wants_it(house: House) {
        let db = house.open().await;
        received(&db).await;
        assert_eq!(db.hooks().events(9).await.unwrap(), [], "nobody wants it");
        db.hooks().listen(true).await.unwrap();
        let id = received(&db).await;
        let events = db.hooks().events(9).await.unwrap();
        let seen: Vec<_> = events.iter().map(|e| (e.transfer, e.kind.as_str(), e.at)).collect();
        assert_eq!(seen, [(id, "RECEIVED", NOW)]);
        let hooks = vec!["ONE".to_owned(), "TWO".to_owned()];
        // Somebody else was faster with the second one.
        for _ in 0..2 {
            db.hooks().expand(vec![(events[0].clone(), hooks.clone())]).await.unwrap();
        }
        assert_eq!(db.hooks().events(9).await.unwrap(), []);
        let runs = db.hooks().of(id).await.unwrap();
        assert_eq!(runs.iter().map(|run| run.hook.as_str()).collect::<Vec<_>>(), hooks, "each hook once");
        db.hooks().listen(false).await.unwrap();
        received(&db).await;
        assert_eq!(db.hooks().events(9).await.unwrap(), []);
    }

    pub(super) async fn a_run_is_begun_once_and_tried_again(house: House) {
        let db = house.open().await;
        db.hooks().listen(true).await.unwrap();
        let id = received(&db).await;
        let event = db.hooks().events(9).await.unwrap().remove(0);
        db.hooks().expand(vec![(event, vec!["ONE".to_owned()])]).await.unwrap();
        assert_eq!(db.hooks().next().await.unwrap(), Some(NOW));
        let run = db.hooks().due(NOW, 9).await.unwrap().remove(0);
        db.nodes().register(node("n1", LONG)).await.unwrap();
        assert!(db.hooks().begin(run.id, "n1").await.unwrap());
        assert!(!db.hooks().begin(run.id, "n2").await.unwrap(), "by one of two nodes");
        db.hooks().recover().await.unwrap();
        assert_eq!(db.hooks().due(NOW, 9).await.unwrap(), [], "its node is there");
        db.nodes().leave("n1").await.unwrap();
        db.hooks().recover().await.unwrap();
        assert_eq!(db.hooks().due(NOW, 9).await.unwrap()[0].tries, 1);
        let later = NOW.plus(Duration::from_secs(5));
        let end = |state, next_at| HookEnd {
            id: run.id,
            state,
            next_at,
            exit: "exit code 3".to_owned(),
            output: "words".to_owned(),
        };
        db.hooks().end(end("W", later)).await.unwrap();
        assert_eq!((db.hooks().due(NOW, 9).await.unwrap(), db.hooks().next().await.unwrap()), (vec![], Some(later)));
        assert!(db.hooks().begin(run.id, "n1").await.unwrap());
        db.hooks().end(end("E", later)).await.unwrap();
        let told = db.hooks().of(id).await.unwrap().remove(0);
        assert_eq!((told.state.as_str(), told.tries, told.exit.as_str()), ("E", 2, "exit code 3"));
        db.hooks().forget(UtcMicros(i64::MAX)).await.unwrap();
        assert_eq!(db.hooks().of(id).await.unwrap(), []);
    }
}
