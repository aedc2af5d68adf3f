//! Requests: what is taken, refused, and recorded (TRF-1, OBJ-9).

use db::{Mode, State};
use model::Kind;

use super::house::*;
use crate::Cause;

#[tokio::test] // TRF-1
async fn a_request_is_durable_with_its_content() {
    let mut house = House::new().await;
    let data = content(40_000);
    let id = house.engine.submit(house.request("B", "x.dat", &data)).await.unwrap();
    std::fs::remove_file(house.folder.path().join("x.dat")).unwrap();
    house.crash().await;
    let t = house.get(id).await;
    assert_eq!(
        (t.state, t.site.as_str(), t.file_name.as_str(), t.dir_name.as_str()),
        (State::ToBegin, "B", "x.dat", "drop")
    );
    assert_eq!((t.mode, t.priority, t.local.as_str()), (Mode::Initiator, 1, "HERE"));
    let carrier = Pretender::new(&[]);
    let mut running = Running::start(&house, &carrier);
    running.event("delivered").await;
    running.stop().await;
    assert_eq!(crate::sync::lock(&carrier.seen)[0].content, data);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let house = House::with(&[
        (Kind::Application, "IN_ONLY", &[("direction_allowed", "I")]),
        (Kind::RemoteSite, "D", &[("dest_address", "d.example/22"), ("init_sender", "N")]),
    ])
    .await;
    let good = house.request("B", "x", b"x");
    let cases = [
        (crate::Request { site: String::new(), ..good.clone() }, Cause::Invalid),
        (crate::Request { site: "NOBODY".to_owned(), ..good.clone() }, Cause::NotFound),
        (crate::Request { site: "C".to_owned(), ..good.clone() }, Cause::Invalid),
        (crate::Request { site: "D".to_owned(), ..good.clone() }, Cause::Invalid),
        (crate::Request { appli: "IN_ONLY".to_owned(), ..good.clone() }, Cause::Invalid),
        (crate::Request { appli: "NONE".to_owned(), ..good.clone() }, Cause::NotFound),
        (crate::Request { model: Some("NONE".to_owned()), ..good.clone() }, Cause::NotFound),
        (crate::Request { file: "relative".into(), ..good.clone() }, Cause::Invalid),
        (crate::Request { file: house.folder.path().to_owned(), ..good.clone() }, Cause::Invalid),
        (crate::Request { file: house.folder.path().join("absent"), ..good.clone() }, Cause::NotFound),
        (crate::Request { file_name: Some("a/b".to_owned()), ..good.clone() }, Cause::Invalid),
        (crate::Request { mode: Mode::Responder, ..good.clone() }, Cause::Invalid),
    ];
    for (request, cause) in cases {
        let shown = format!("{request:?}");
        assert_eq!(house.engine.submit(request).await.unwrap_err().cause, cause, "{shown}");
    }
    assert!(house.engine.submit(good).await.is_ok());
    assert_eq!(house.all().await.len(), 1, "refused ones leave nothing");
}

#[tokio::test] // transfers.md 1.3: request > model > application > site
async fn values_come_from_the_nearest() {
    let house = House::with(&[
        (Kind::Application, "ORDERS", &[("remote_dir_name", "orders"), ("remote_file_name", "order.xml")]),
        (
            Kind::TransferModel,
            "M",
            &[("dest_alias", "B"), ("file_name", "model.xml"), ("appli", "ORDERS"), ("priority", "0")],
        ),
    ])
    .await;
    let mut request = house.request("", "x", b"x");
    request.model = Some("M".to_owned());
    let t = house.get(house.engine.submit(request.clone()).await.unwrap()).await;
    let got = (t.site.as_str(), t.file_name.as_str(), t.dir_name.as_str(), t.appli.as_str(), t.priority);
    assert_eq!(got, ("B", "model.xml", "orders", "ORDERS", 0));
    request.file_name = Some("mine".to_owned());
    request.priority = Some(2);
    let t = house.get(house.engine.submit(request).await.unwrap()).await;
    assert_eq!((t.file_name.as_str(), t.priority), ("mine", 2));
}
