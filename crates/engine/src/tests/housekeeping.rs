//! What the store keeps, and what it does not.

use bytes::Bytes;
use std::time::Duration;

use super::house::*;
use crate::store::FileUuid;

#[tokio::test]
async fn files_without_record_go_and_all_others_stay() {
    let house = House::new().await;
    let a = partner("A");
    let data = content(100_000);
    house.put(&a, "/in/whole", &data).await;
    let mut cut = house.begin(&a, "/in/cut", NEW).await.unwrap();
    cut.write_at(0, Bytes::from(data.clone())).await.unwrap();
    cut.interrupt().await;
    let mut open = house.begin(&a, "/in/open", NEW).await.unwrap();
    open.write_at(0, Bytes::from(content(1_000_000))).await.unwrap();
    for _ in 0..2 {
        let mut orphan = house.engine.store().create(FileUuid::random().unwrap());
        orphan.write_at(0, Bytes::from(data.clone())).await.unwrap();
        house.engine.store().commit(orphan).await.unwrap();
    }
    // Files carry the time of the real disk: far ahead of it, all are old enough.
    house.clock.advance(Duration::from_secs(1_000_000_000));
    let tidied = house.engine.tidy().await.unwrap();
    assert_eq!((tidied.swept.removed, tidied.purged), (2, 0));
    assert_eq!(house.fetch(&a, "/in/whole").await.unwrap().0, data);
    assert_eq!(open.commit().await.unwrap().size, 1_000_000);
    assert_eq!(house.begin(&a, "/in/cut", RESUME).await.unwrap().size(), 100_000);
}
