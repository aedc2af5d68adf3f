//! A database of the first schema, opened by this program; and what is kept of it.

use std::path::{Path, PathBuf};

use base::TransferId;
use db::{DbError, State, TransferFilter, UsageScope};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::house::{House, NOW};

/// Made by the program of commit 4bbf0ad, the first release line: two files received, routed, and one at disposal.
const FIRST: &str = include_str!("../fixtures/first-schema.sql");

async fn first_schema() -> House {
    let house = House::sqlite();
    let mut conn =
        sqlx::sqlite::SqliteConnectOptions::new().filename(&house.url).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(FIRST.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    house
}

fn copies(house: &House) -> Vec<PathBuf> {
    let folder = Path::new(&house.url).parent().unwrap();
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut copies: Vec<_> = names.filter(|p| p.to_str().unwrap().contains(".schema-")).collect();
    copies.sort();
    copies
}

// DESIGN 2: migrations go forward; the upgrade from the first schema keeps every record and works on.
#[tokio::test]
async fn a_database_of_the_first_schema_opens_and_works() {
    let house = first_schema().await;
    let db = house.open().await;
    let all = db.transfers().list(TransferFilter::default(), 100).await.unwrap();
    let names: Vec<&str> = all.iter().map(|t| t.file_name.as_str()).collect();
    assert_eq!(names, ["offer.bin", "large.bin", "large.bin", "order.bin", "order.bin"]);
    assert!(db.audit().verify().await.unwrap().fault.is_none());
    assert!(!db.objects().load_all().await.unwrap().0.is_empty());
    // The sums begin with what is there, and go on.
    for scope in [UsageScope::Site, UsageScope::Gate] {
        assert_eq!(db.usage().all(scope).await.unwrap(), db.usage().counted(scope).await.unwrap());
    }
    let alpha = db.usage().of(UsageScope::Site, "alpha").await.unwrap();
    assert_eq!((alpha.in_files, alpha.in_octets, alpha.disposal_files, alpha.disposal_octets), (2, 43_000, 1, 3_000));
    let offer = db.transfers().get(all[0].id).await.unwrap().unwrap();
    db.transfers().apply(db::TransferChange::to(offer.id, State::Cancelled, NOW)).await.unwrap();
    assert_eq!(db.usage().of(UsageScope::Site, "alpha").await.unwrap().disposal_files, 0);
    assert!(db.transfers().next_id().await.unwrap() > all[0].id);

    db.close().await;

    // The copy of before is a database of the first schema, whole.
    let copy = copies(&house).remove(0);
    let facts = db::look_into(&copy, true).await.unwrap();
    assert_eq!((facts.schema, facts.transfers), (1, 5));
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&copy).unwrap()) & 0o777, 0o600);
    assert_eq!(db::users_in_copy(&copy, &facts.payloads[0].uuid).await.unwrap(), [TransferId(3), TransferId(4)]);
    house.open().await.close().await;
    assert_eq!(copies(&house).len(), 1, "nothing is copied where nothing changes");
}

#[tokio::test]
async fn the_newest_copies_are_kept() {
    let house = first_schema().await;
    for micros in 1..=4 {
        std::fs::write(format!("{}.schema-1-{micros:020}", house.url), "an old copy").unwrap();
    }
    house.open().await.close().await;
    let kept = copies(&house);
    assert_eq!(kept.len(), 3);
    assert!(kept[0].to_str().unwrap().ends_with("3") && kept[1].to_str().unwrap().ends_with("4"), "{kept:?}");
}

#[tokio::test]
async fn without_a_copy_nothing_is_changed() {
    let house = first_schema().await;
    // As on a full disk: the copy can't be made.
    std::fs::create_dir(format!("{}.schema-1-{:020}", house.url, NOW.0)).unwrap();
    assert!(matches!(house.try_open().await, Err(DbError::Copy { .. })));
    assert_eq!(db::look_into(Path::new(&house.url), false).await.unwrap().schema, 1);
}
