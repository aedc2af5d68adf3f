//! How long it takes to search and judge paths among 10,000 certificates: `cargo bench -p gatehouse-keys`.
#![allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark"
)]

#[path = "../tests/made/mod.rs"]
mod made;

use std::hint::black_box;
use std::time::Instant;

use keys::certificate::Certificate;
use keys::verify::{PathMode, PathPolicy, PathRequest, Purpose, TrustStore, find_path};
use made::{Made, make, now, wanted_authority, wanted_server};

const ROOTS: usize = 50;
const AUTHORITIES: usize = 450;
const END_ENTITIES: usize = 9500;
const SEARCHES: usize = 2000;

/// Runs `work` so many times, and prints how long one took.
fn measure(what: &str, times: usize, mut work: impl FnMut(usize)) {
    let start = Instant::now();
    for n in 0..times {
        work(n);
    }
    let each = start.elapsed().as_secs_f64() / times as f64;
    println!("{what:<58} {:>9.1} us", each * 1e6);
}

fn main() {
    let roots: Vec<Made> = (0..ROOTS).map(|n| make(wanted_authority(&format!("Root {n}")), None)).collect();
    let authorities: Vec<Made> = (0..AUTHORITIES)
        .map(|n| make(wanted_authority(&format!("Authority {}", n % 400)), Some(&roots[n % ROOTS])))
        .collect();
    let ends: Vec<Made> = (0..END_ENTITIES)
        .map(|n| make(wanted_server(&format!("host{n}.example.com")), Some(&authorities[n % AUTHORITIES])))
        .collect();
    let all = || {
        let mut entries = Vec::new();
        for (prefix, list) in [("ROOT", &roots), ("CA", &authorities), ("END", &ends)] {
            entries.extend(list.iter().enumerate().map(|(n, made)| made.enabled(&format!("{prefix}_{n}"))));
        }
        entries
    };
    println!(
        "{} certificates: {ROOTS} roots, {AUTHORITIES} authorities, {END_ENTITIES} end entities, ECDSA P-256",
        all().len()
    );
    measure("read one certificate", SEARCHES, |n| {
        black_box(Certificate::from_der(ends[n].certificate.der()).unwrap());
    });
    measure("picture of the whole store with its indexes", 5, |_| {
        black_box(TrustStore::new(all(), Vec::new()));
    });
    let store = TrustStore::new(all(), Vec::new());
    let search = |end: &Made, mode| {
        let policy = PathPolicy { mode, ..PathPolicy::new(Purpose::TlsServer) };
        let request =
            PathRequest { end_entity: &end.certificate, sent: &[], store: &store, at: now(), policy: &policy };
        black_box(find_path(&request)).is_ok()
    };
    for mode in [PathMode::Legacy, PathMode::Rfc4158] {
        measure(&format!("find and judge a path of three, mode {mode}"), SEARCHES, |n| {
            assert!(search(&ends[n * 4 % END_ENTITIES], mode));
        });
    }
    let stranger = make(wanted_server("stranger.example.com"), Some(&make(wanted_authority("Authority 7"), None)));
    measure("refuse a stranger whose issuer has a known name", SEARCHES, |_| {
        assert!(!search(&stranger, PathMode::Legacy));
    });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (search, ends) = (&search, &ends);
            scope.spawn(move || {
                for n in 0..SEARCHES {
                    assert!(search(&ends[(n * 4 + thread) % END_ENTITIES], PathMode::Rfc4158));
                }
            });
        }
    });
    let rate = (SEARCHES * threads) as f64 / start.elapsed().as_secs_f64();
    println!("{:<58} {rate:>9.0} /s", format!("paths of three found by {threads} threads"));
}
