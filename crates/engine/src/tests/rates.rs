//! How often and how much a partner may transfer.

use std::time::Duration;

use bytes::Bytes;
use model::{TransferRate, TransferRates};

use super::house::*;
use crate::error::ErrorKind;
use crate::{Admitted, Cause};

/// A partner with these quotas in both directions.
fn paced(files: Option<u64>, octets: Option<u64>) -> Admitted {
    let rate = TransferRate { files, octets };
    Admitted { rates: TransferRates { uploads: rate, downloads: rate }, ..partner("A") }
}

async fn send(house: &House, who: &Admitted, times: usize) {
    for _ in 0..times {
        house.put(who, "/in/n", b"x").await;
    }
}

async fn refused(house: &House, who: &Admitted) {
    let error = house.begin(who, "/in/n", NEW).await.unwrap_err();
    assert_eq!((error.cause, error.kind), (Cause::Quota, ErrorKind::Retry));
    assert!(error.text.contains("in 10 minutes"), "{error}");
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test] // FTP-14, SFTP-13
async fn the_81st_file_in_ten_minutes_waits_until_the_window_slides() {
    let house = House::new().await;
    let a = paced(Some(8), None);
    send(&house, &a, 30).await;
    house.clock.advance(MINUTE * 6);
    send(&house, &a, 50).await;
    refused(&house, &a).await;
    // Another partner has a window of its own, and the other direction, too.
    send(&house, &Admitted { site: "C".to_owned(), ..a.clone() }, 1).await;
    assert!(house.fetch(&a, "/in/n").await.is_ok());
    house.clock.advance(MINUTE * 3);
    refused(&house, &a).await;
    house.clock.advance(MINUTE + MINUTE / 4);
    send(&house, &a, 30).await;
    refused(&house, &a).await;
    // A request that was refused does not count.
    house.clock.advance(MINUTE * 6);
    send(&house, &a, 50).await;
    refused(&house, &a).await;
}

#[tokio::test] // FTP-14: what is under way ends, and counts
async fn octets_count_in_both_directions() {
    let house = House::new().await;
    let a = paced(None, Some(100));
    house.put(&a, "/in/small", &content(900)).await;
    house.put(&a, "/in/large", &content(9000)).await;
    refused(&house, &a).await;
    assert_eq!(house.fetch(&a, "/in/large").await.unwrap().0.len(), 9000);
    let error = house.engine.open_read(&a, &at("/in/small")).await.unwrap_err();
    assert_eq!((error.cause, error.kind), (Cause::Quota, ErrorKind::Retry));
    assert!(error.text.contains("max_download_rate"), "{error}");
    house.clock.advance(MINUTE * 11);
    let mut file = house.begin(&a, "/in/more", NEW).await.unwrap();
    file.write_at(0, Bytes::from(content(1000))).await.unwrap();
    file.write_at(1000, Bytes::from(content(1000))).await.unwrap();
    refused(&house, &a).await;
    file.commit().await.unwrap();
}

#[tokio::test] // FTP-15
async fn a_window_of_nothing_counts_nothing() {
    let mut house = House::new().await;
    house.options(|options| options.quota_window = Duration::ZERO).await;
    let a = paced(Some(1), Some(1));
    send(&house, &a, 30).await;
    assert_eq!(house.fetch(&a, "/in/n").await.unwrap().0, b"x");
}
