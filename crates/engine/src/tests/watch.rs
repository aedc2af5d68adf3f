//! Status, alarms and letters with a courier of our own and the test clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use db::State;

use super::house::*;
use crate::Event;
use crate::sync::lock;
use crate::transfer::Control;
use crate::watch::{Answer, Courier, Letter, Parcel, Watchman};

/// Keeps letters, or refuses them.
#[derive(Debug, Default)]
struct Postman {
    letters: Mutex<Vec<Letter>>,
    refuses: Mutex<bool>,
}

#[async_trait]
impl Courier for Postman {
    async fn post(&self, _: Parcel) -> Result<Answer, String> {
        Err("no webhook is meant".to_owned())
    }

    async fn mail(&self, letter: Letter) -> Result<(), String> {
        if *lock(&self.refuses) {
            return Err("451 later".to_owned());
        }
        lock(&self.letters).push(letter);
        Ok(())
    }

    fn has_mail(&self) -> bool {
        true
    }

    async fn trace(&self, _: Vec<u8>) -> Result<Answer, String> {
        Err("no collector is meant".to_owned())
    }

    fn has_traces(&self) -> bool {
        false
    }
}

async fn open_rules(house: &House) -> Vec<String> {
    let rules = house.engine.db.alarms().open().await.unwrap().into_iter().map(|a| a.what.rule);
    // The stage has objects with errors on purpose.
    rules.filter(|rule| rule != "configuration").collect()
}

async fn needs(house: &House) -> Vec<String> {
    let status = house.engine.status().await.unwrap();
    let needs = status.needs.into_iter().filter(|need| need.rule != "configuration");
    needs.map(|need| format!("{} {}", need.rule, need.subject)).collect()
}

#[tokio::test]
async fn an_alarm_is_raised_once_mailed_once_and_closed() {
    let house = House::new().await;
    house.engine.vitals().set_serving();
    let postman = Arc::new(Postman::default());
    house.engine.set_courier(postman.clone());
    let id = house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    house.engine.control(id, Control::Suspend, &actor()).await.unwrap();
    let mut watchman = Watchman::begin(&house.engine).await;
    watchman.look(&house.engine).await;
    watchman.look(&house.engine).await;
    assert_eq!(open_rules(&house).await, ["suspended"]);
    assert!(lock(&postman.letters).is_empty(), "it gathers first");
    assert_eq!(needs(&house).await, ["suspended B"]);
    house.advance(31);
    *lock(&postman.refuses) = true;
    watchman.look(&house.engine).await;
    watchman.look(&house.engine).await;
    assert!(open_rules(&house).await.contains(&"mail".to_owned()), "mail that fails is an alarm too");
    *lock(&postman.refuses) = false;
    house.advance(61);
    watchman.look(&house.engine).await;
    house.advance(6);
    watchman.look(&house.engine).await;
    assert_eq!(lock(&postman.letters).len(), 1, "one letter for all of it");
    let text = lock(&postman.letters)[0].text.clone();
    assert!(text.contains(&format!("next:   gatehouse why {id}")), "{text}");
    house.engine.control(id, Control::Cancel, &actor()).await.unwrap();
    watchman.look(&house.engine).await;
    assert!(open_rules(&house).await.is_empty());
    house.advance(60);
    watchman.look(&house.engine).await;
    assert_eq!(lock(&postman.letters).len(), 1, "the next letter waits");
    house.advance(600);
    watchman.look(&house.engine).await;
    assert_eq!(lock(&postman.letters).len(), 2);
    assert!(lock(&postman.letters)[1].subject.contains("0 open, 2 over"));
}

#[tokio::test]
async fn what_is_over_in_a_moment_stays_until_a_person_takes_note() {
    let house = House::new().await;
    house.engine.vitals().set_serving();
    let mut watchman = Watchman::begin(&house.engine).await;
    house.engine.emit(Event::ClockSetBack { seconds: 7 });
    watchman.look(&house.engine).await;
    watchman.look(&house.engine).await;
    assert_eq!(open_rules(&house).await, ["clock_set_back"]);
    assert_eq!(needs(&house).await, ["clock_set_back "]);
    let open = house.engine.db.alarms().open().await.unwrap();
    let id = open.iter().find(|alarm| alarm.what.rule == "clock_set_back").unwrap().id;
    assert!(house.engine.acknowledge_alarm(id, "uid:1").await.unwrap());
    assert!(open_rules(&house).await.is_empty() && needs(&house).await.is_empty());
}

#[tokio::test]
async fn failing_deliveries_are_remembered_over_a_restart() {
    let mut house = House::new().await;
    house.engine.vitals().set_serving();
    house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let failed = || Event::SiteFailed { site: "B".to_owned(), failures: 1, next_s: None, text: "no route".to_owned() };
    house.engine.emit(failed());
    let mut watchman = Watchman::begin(&house.engine).await;
    watchman.look(&house.engine).await;
    assert!(open_rules(&house).await.is_empty(), "not for long yet");
    house.advance(901);
    watchman.look(&house.engine).await;
    assert_eq!(open_rules(&house).await, ["failing"]);
    house.crash().await;
    house.engine.vitals().set_serving();
    let mut watchman = Watchman::begin(&house.engine).await;
    watchman.look(&house.engine).await;
    assert_eq!(open_rules(&house).await, ["failing"], "nothing says that it works again");
    let all = house.all().await;
    house.engine.emit(Event::Delivered { transfer: all[0].id, site: "B".to_owned(), octets: 1 });
    watchman.look(&house.engine).await;
    assert!(open_rules(&house).await.is_empty());
}

#[tokio::test]
async fn status_counts_what_waits_and_what_failed() {
    let house = House::new().await;
    house.engine.vitals().set_serving();
    let one = house.engine.submit(house.request("B", "x", b"x")).await.unwrap();
    let two = house.engine.submit(house.request("B", "y", b"y")).await.unwrap();
    house.engine.control(two, Control::Suspend, &actor()).await.unwrap();
    house.engine.emit(Event::SiteFailed { site: "B".to_owned(), failures: 1, next_s: None, text: "no".to_owned() });
    house.engine.write_ledger().await;
    let status = house.engine.status().await.unwrap();
    assert_eq!((status.queue.to_send, status.queue.suspended), (1, 1));
    assert_eq!(status.oldest.map(|oldest| oldest.transfer), Some(one));
    assert_eq!(status.failures.len(), 1);
    let failure = &status.failures[0];
    assert_eq!((failure.site.as_str(), failure.cause.as_str(), failure.times), ("B", "connection", 1));
    house.advance(Duration::from_secs(25 * 3600).as_secs());
    assert!(house.engine.status().await.unwrap().failures.is_empty(), "those of the last day");
    assert_eq!(house.engine.newest("B").await.unwrap(), two);
    let story = house.engine.why(two).await.unwrap();
    assert_eq!(story.commands[0], format!("gatehouse pelctl control_trans {two} -action R"));
    assert_eq!(house.get(two).await.state, State::Suspended);
}
