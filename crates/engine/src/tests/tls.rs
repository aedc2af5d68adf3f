//! Certificates of partners: kept for a person to look at (AUTO-1 to AUTO-7), and the picture of the store by which they are
//! judged.

use keys::certificate::{Certificate, CertificateState};
use model::{Kind, ObjectState};

use super::house::{House, Written};
use super::made::{Made, make, wanted, wanted_authority};
use crate::Event;
use crate::admit::{TlsPlace, tls_refused};

const STAGE: &[Written<'static>] = &[(Kind::TlsProfile, "IN", &[("remote_certificate_import", "Y")])];

fn caller() -> TlsPlace<'static> {
    TlsPlace::Caller { profile: "IN", peer: "192.0.2.7".parse().unwrap() }
}

async fn refuse(house: &House, place: TlsPlace<'_>, end: &Made, sent: &[Certificate]) {
    tls_refused(&house.engine, place, "its issuer is not known".to_owned(), Some((&end.certificate, sent))).await;
}

/// A root, an authority below it, an end below that.
fn chain() -> [Made; 3] {
    let root = make(wanted_authority("Root"), None);
    let middle = make(wanted_authority("Middle"), Some(&root));
    let end = make(wanted("partner"), Some(&middle));
    [root, middle, end]
}

fn states(house: &House) -> Vec<(String, ObjectState, String)> {
    let snapshot = house.engine.snapshot();
    snapshot.certificates().map(|c| (c.name.clone(), c.state, c.kind.clone())).collect()
}

#[tokio::test] // AUTO-1, AUTO-2, AUTO-7
async fn a_chain_is_kept_once_and_waits() {
    let house = House::with(STAGE).await;
    let [root, middle, end] = chain();
    let stranger = make(wanted_authority("Stranger"), None);
    // An authority of the same name that has not certified it, before the one that has.
    let pretender = make(wanted_authority("Middle"), Some(&root));
    let sent = [&stranger, &pretender, &middle, &root].map(|made| made.certificate.clone());
    let mut events = house.engine.events();
    refuse(&house, caller(), &end, &sent).await;
    let kept = states(&house);
    assert_eq!(kept.len(), 3, "what came along without having certified it is not kept: {kept:?}");
    assert!(kept.iter().all(|(name, state, _)| {
        name.starts_with("Imported_Certificate_") && name.len() <= 31 && *state == ObjectState::ToCheck
    }));
    let kinds: Vec<&str> = kept.iter().map(|(_, _, kind)| kind.as_str()).collect();
    assert_eq!(
        (kinds.contains(&"ROOT"), kinds.contains(&"INTERMEDIATE"), kinds.contains(&"OTHER")),
        (true, true, true)
    );
    let entry = house.engine.trust_store().entry_of(&end.certificate).map(|entry| entry.state);
    assert_eq!(entry, Some(CertificateState::ToCheck));
    assert!(matches!(
        &*events.recv().await.unwrap(),
        Event::TlsRefused { profile, site: None, peer: Some(_), text } if profile == "IN" && text.contains("issuer")
    ));

    for _ in 0..3 {
        refuse(&house, caller(), &end, &sent).await;
    }
    let remembered = house.engine.refused_handshakes(|one| one.profile == "IN");
    assert_eq!((remembered.len(), remembered[0].times), (1, 4));
    assert_eq!(states(&house), kept);
    let rows = house.engine.db.captures().list(true).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.kind == Kind::Certificate && row.gate == "tls:IN"));
    // AUTO-3: deleted, it is kept again.
    let name = house.engine.snapshot().certificate_by_fingerprint(end.certificate.sha256()).unwrap().name.clone();
    house.engine.db.objects().delete(Kind::Certificate, &name, false, &super::house::actor()).await.unwrap();
    house.engine.reload().await.unwrap();
    refuse(&house, caller(), &end, &[]).await;
    assert_eq!(states(&house), kept);
}

#[tokio::test] // AUTO-6
async fn a_hostile_caller_fills_nothing() {
    let house = House::with(STAGE).await;
    let mut events = house.engine.events();
    for n in 0..14 {
        refuse(&house, caller(), &make(wanted(&format!("stranger {n}")), None), &[]).await;
    }
    assert_eq!(states(&house).len(), 10);
    let mut full = 0;
    while let Ok(event) = events.try_recv() {
        full += usize::from(matches!(&*event, Event::CaptureFull { .. }));
    }
    assert_eq!(full, 4);
    let other = TlsPlace::Caller { profile: "OTHER", peer: "192.0.2.8".parse().unwrap() };
    refuse(&house, other, &make(wanted("another"), None), &[]).await;
    assert_eq!(states(&house).len(), 11, "others have room");
}

#[tokio::test]
async fn a_site_that_shows_another_certificate_raises_the_alarm_once() {
    let house = House::with(STAGE).await;
    let snapshot = house.engine.snapshot();
    let site = snapshot.sites().next().unwrap().clone();
    let (first, second) = (make(wanted("first"), None), make(wanted("second"), None));
    refuse(&house, TlsPlace::Site(&site), &first, &[]).await;
    let name = house.engine.snapshot().certificates().next().unwrap().name.clone();
    house.set_state(Kind::Certificate, &name, ObjectState::Enabled).await;
    let mut events = house.engine.events();
    refuse(&house, TlsPlace::Site(&site), &second, &[]).await;
    refuse(&house, TlsPlace::Site(&site), &second, &[]).await;
    let mut told = 0;
    while let Ok(event) = events.try_recv() {
        told += usize::from(matches!(&*event, Event::CaptureAlarm { site: at, .. } if *at == site.name));
    }
    assert_eq!(told, 1);
}

#[tokio::test] // CERT-18: what is judged by follows each change, and what stays is not read again
async fn the_picture_of_the_store_follows_the_configuration() {
    let house = House::with(STAGE).await;
    let before = house.engine.trust_store();
    assert!(std::sync::Arc::ptr_eq(&before, &house.engine.trust_store()));
    let one = make(wanted("one"), None);
    refuse(&house, caller(), &one, &[]).await;
    let after = house.engine.trust_store();
    let name = after.entry_of(&one.certificate).unwrap().alias.clone();
    house.set_state(Kind::Certificate, &name, ObjectState::Enabled).await;
    let enabled = house.engine.trust_store();
    assert!(enabled.by_alias(&name).unwrap().state.is_enabled() && !after.by_alias(&name).unwrap().state.is_enabled());
    assert_eq!(enabled.by_fingerprint(one.certificate.sha256()).unwrap().alias, name);
}
