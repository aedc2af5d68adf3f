//! Events for webhooks, alarms, sums by hour, the queue at a glance.

use crate::house::on_both;

on_both! {
    // CON-1: each wanted change of a transfer becomes an event, in the transaction that makes it.
    changes_of_transfers_are_events_for_who_wants_them;
    events_wait_are_tried_again_and_parked;
    // CON-2: bounded, and what is dropped is told.
    too_many_events_are_dropped_and_told;
    one_node_sends_to_a_webhook;
    alarms_open_once_and_close;
    sums_by_hour_add_up;
    the_queue_at_a_glance;
}

mod bodies {
    use std::time::Duration;

    use base::{TransferId, UtcMicros};
    use db::{Counted, Db, Direction, NewAlarm, NewTransfer, RouteState, State, Tally, TransferChange, TransferType};

    use crate::house::{House, NOW};

    fn wanted(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(code, hook)| ((*code).to_owned(), (*hook).to_owned())).collect()
    }

    async fn want(db: &Db, pairs: &[(&str, &str)]) {
        let known = vec!["A".to_owned(), "B".to_owned()];
        db.events().want(wanted(pairs), known).await.unwrap();
    }

    async fn outgoing(db: &Db, site: &str) -> TransferId {
        let id = db.transfers().next_id().await.unwrap();
        let new = NewTransfer {
            site: site.to_owned(),
            file_name: "order \"1\".xml".to_owned(),
            ..NewTransfer::outgoing(id, "SFTP", NOW)
        };
        db.transfers().insert(new).await.unwrap();
        id
    }

    async fn codes(db: &Db, hook: &str) -> Vec<String> {
        db.events().waiting(hook, 100).await.unwrap().into_iter().map(|event| event.code).collect()
    }

    pub(super) async fn changes_of_transfers_are_events_for_who_wants_them(house: House) {
        let db = house.open().await;
        outgoing(&db, "acme").await;
        assert!(codes(&db, "A").await.is_empty(), "nobody wants any");
        want(&db, &[("SB", "A"), ("SP", "A"), ("SE", "A"), ("SE", "B"), ("RR", "B")]).await;
        let id = outgoing(&db, "acme").await;
        for to in [State::Processing, State::Ended] {
            let mut change = TransferChange::to(id, to, NOW);
            change.note = format!("to {to}");
            db.transfers().apply(change).await.unwrap();
        }
        let mut routed = TransferChange::to(id, State::Acknowledged, NOW);
        routed.route_state = Some(RouteState::Routed);
        db.transfers().apply(routed).await.unwrap();
        assert_eq!(codes(&db, "A").await, ["SB", "SP", "SE"]);
        assert_eq!(codes(&db, "B").await, ["SE", "RR"]);
        let event = db.events().waiting("B", 1).await.unwrap().remove(0);
        let json: serde_json::Value = serde_json::from_str(&event.json).unwrap();
        assert_eq!((event.subject, event.at), (id.to_string(), NOW));
        let told = ["from", "to", "site", "file", "note", "n"].map(|name| json[name].to_string());
        assert_eq!(told, ["\"P\"", "\"E\"", "\"acme\"", "\"order \\\"1\\\".xml\"", "\"to ended\"", "3"]);
        // A change that is refused leaves no event.
        db.transfers().apply(TransferChange::to(id, State::Processing, NOW)).await.unwrap_err();
        assert_eq!(codes(&db, "A").await.len(), 3);
        want(&db, &[]).await;
        outgoing(&db, "acme").await;
        assert_eq!(codes(&db, "A").await.len(), 3, "what waits stays until its webhook is gone");
    }

    pub(super) async fn events_wait_are_tried_again_and_parked(house: House) {
        let db = house.open().await;
        want(&db, &[("login.refused", "A")]).await;
        for n in 0..3 {
            let json = format!("{{\"n\":{n}}}");
            db.events().push("login.refused", "x", json).await.unwrap().done().await.unwrap();
        }
        assert!(db.events().hold("A", "n1", Duration::from_secs(60)).await.unwrap());
        let all = db.events().waiting("A", 10).await.unwrap();
        let later = NOW.plus(Duration::from_secs(5));
        db.events().failed("A", all[0].seq, Some(later), "503").await.unwrap();
        let first = db.events().waiting("A", 1).await.unwrap().remove(0);
        assert_eq!((first.seq, first.tries, first.next_at, first.answer.as_str()), (all[0].seq, 1, later, "503"));
        db.events().failed("A", all[0].seq, None, "400").await.unwrap();
        db.events().sent("A", vec![all[1].seq]).await.unwrap();
        let outbox = db.events().outbox("A", 100).await.unwrap();
        assert_eq!((outbox.waiting, outbox.parked, outbox.sent, outbox.last_error.as_str()), (1, 1, 1, "400"));
        assert_eq!(db.events().parked("A", 9).await.unwrap()[0].seq, all[0].seq);
        db.close().await;
        let db = house.open().await;
        assert_eq!(db.events().again("A").await.unwrap(), 1);
        let seqs: Vec<i64> = db.events().waiting("A", 9).await.unwrap().iter().map(|e| e.seq).collect();
        assert_eq!(seqs, [all[0].seq, all[2].seq], "the oldest first");
        db.events().want(Vec::new(), Vec::new()).await.unwrap();
        assert!(db.events().waiting("A", 9).await.unwrap().is_empty(), "the webhook is gone");
    }

    pub(super) async fn too_many_events_are_dropped_and_told(house: House) {
        let db = house.open().await;
        want(&db, &[("login.refused", "A"), ("outbox.dropped", "A")]).await;
        db.events().hold("A", "n1", Duration::from_secs(60)).await.unwrap();
        for _ in 0..7 {
            drop(db.events().push("login.refused", "x", "{}".to_owned()).await.unwrap());
        }
        db.meta().set("a", "1").await.unwrap();
        assert_eq!(db.events().trim("A", 10, UtcMicros(0)).await.unwrap(), 0);
        assert_eq!(db.events().trim("A", 4, UtcMicros(0)).await.unwrap(), 3);
        let left = codes(&db, "A").await;
        assert_eq!((left.len(), left.last().unwrap().as_str()), (5, "outbox.dropped"));
        assert_eq!(db.events().outbox("A", 100).await.unwrap().dropped, 3);
    }

    pub(super) async fn one_node_sends_to_a_webhook(house: House) {
        let db = house.open().await;
        let hold = async |node| db.events().hold("A", node, Duration::from_secs(30)).await.unwrap();
        assert_eq!((hold("n1").await, hold("n2").await, hold("n1").await), (true, false, true));
        house.clock.advance(Duration::from_secs(31));
        assert_eq!((hold("n2").await, hold("n1").await), (true, false), "its hold was over");
    }

    fn alarm(subject: &str, times: i64) -> NewAlarm {
        NewAlarm {
            rule: "suspended".to_owned(),
            subject: subject.to_owned(),
            node: String::new(),
            severity: "error".to_owned(),
            cause: format!("{times} transfers"),
            effect: "they wait".to_owned(),
            next_step: "gatehouse why 1".to_owned(),
            times,
        }
    }

    pub(super) async fn alarms_open_once_and_close(house: House) {
        let db = house.open().await;
        want(&db, &[("alarm.opened", "A"), ("alarm.closed", "A")]).await;
        assert_eq!(db.alarms().raise(vec![alarm("acme", 1), alarm("globex", 1)], NOW).await.unwrap(), 2);
        assert_eq!(db.alarms().raise(vec![alarm("acme", 2)], NOW).await.unwrap(), 0, "raised once");
        let open = db.alarms().open().await.unwrap();
        assert_eq!((open.len(), open[0].what.times, open[0].what.cause.as_str()), (2, 2, "2 transfers"));
        assert_eq!(db.alarms().to_mail().await.unwrap().len(), 2);
        db.alarms().mailed(open.clone()).await.unwrap();
        assert!(db.alarms().to_mail().await.unwrap().is_empty());
        let later = NOW.plus(Duration::from_secs(60));
        assert!(db.alarms().acknowledge(open[0].id, "uid:1000", later).await.unwrap());
        assert!(!db.alarms().acknowledge(open[0].id, "uid:1", later).await.unwrap(), "once");
        db.alarms().close(vec![open[0].id, open[0].id], later).await.unwrap();
        // Told as open meanwhile: its end is still to be told.
        db.alarms().mailed(vec![open[0].clone()]).await.unwrap();
        let told = db.alarms().to_mail().await.unwrap();
        assert_eq!((told.len(), told[0].closed_at), (1, Some(later)));
        assert_eq!(codes(&db, "A").await, ["alarm.opened", "alarm.opened", "alarm.closed"]);
        assert_eq!(db.alarms().raise(vec![alarm("acme", 1)], later).await.unwrap(), 1, "it may open again");
        db.alarms().forget(later.plus(Duration::from_secs(1))).await.unwrap();
        assert_eq!(db.alarms().newest(10).await.unwrap().len(), 2);
    }

    pub(super) async fn sums_by_hour_add_up(house: House) {
        let db = house.open().await;
        let sum = |site: &str, cause: &str, times, at: UtcMicros| {
            let one = Tally {
                site: site.to_owned(),
                cause: cause.to_owned(),
                times,
                octets: 10,
                last_at: at,
                last_transfer: Some(TransferId(times)),
                last_text: format!("{times} times"),
            };
            (Counted::Failed, one)
        };
        let later = NOW.plus(Duration::from_secs(3 * 3600));
        let rows = vec![
            sum("acme", "partner", 1, NOW),
            sum("acme", "partner", 2, NOW),
            sum("acme", "partner", 5, later),
            sum("acme", "connection", 3, NOW),
            sum("globex", "partner", 4, later),
        ];
        db.tally().add(rows).await.unwrap().done().await.unwrap();
        let all = db.tally().since(Counted::Failed, NOW).await.unwrap();
        let told: Vec<_> = all.iter().map(|s| (s.site.as_str(), s.cause.as_str(), s.times, s.octets)).collect();
        assert_eq!(told, [("acme", "partner", 8, 30), ("globex", "partner", 4, 10), ("acme", "connection", 3, 10)]);
        assert_eq!((all[0].last_text.as_str(), all[0].last_transfer), ("5 times", Some(TransferId(5))));
        assert_eq!(db.tally().since(Counted::Failed, later).await.unwrap().len(), 2);
        db.tally().forget(later).await.unwrap();
        assert_eq!(db.tally().since(Counted::Failed, NOW).await.unwrap().len(), 2);
    }

    pub(super) async fn the_queue_at_a_glance(house: House) {
        let db = house.open().await;
        // A request to fetch that stays is older than anything, and no file waits in it.
        let stays = db.transfers().next_id().await.unwrap();
        let looks = NewTransfer {
            kind: TransferType::Multi,
            direction: Direction::In,
            ..NewTransfer::outgoing(stays, "SFTP", NOW)
        };
        db.transfers().insert(looks).await.unwrap();
        let first = outgoing(&db, "acme").await;
        let second = outgoing(&db, "globex").await;
        for to in [State::Processing, State::Suspended] {
            db.transfers().apply(TransferChange::to(second, to, NOW)).await.unwrap();
        }
        let third = db.transfers().next_id().await.unwrap();
        let late = NewTransfer {
            not_before: Some(NOW.plus(Duration::from_secs(60))),
            state: State::Delayed,
            ..NewTransfer::outgoing(third, "SFTP", NOW)
        };
        db.transfers().insert(late).await.unwrap();
        let glance = db.overview().queue(NOW).await.unwrap();
        assert_eq!((glance.to_send, glance.due, glance.oldest), (3, 2, Some(first)));
        assert_eq!((glance.in_state(State::Suspended), glance.at_disposal()), (1, 0));
        assert_eq!((glance.suspended[0].site.as_str(), glance.suspended[0].newest), ("globex", second));
        assert_eq!(db.overview().newest_of_site("globex").await.unwrap(), Some(second));
        assert_eq!(db.overview().newest_of_name("order \"1\".xml").await.unwrap(), Some(second));
        assert_eq!(db.overview().newest_of_name("none").await.unwrap(), None);
        assert!(db.overview().database_octets().await.unwrap() > 0);
        assert!(db.overview().schema().await.unwrap() >= 7);
    }
}
