//! Files up and down: windows, block sizes, cuts, peers that do not read.

use bytes::Bytes;
use proptest::prelude::*;

use crate::carriers::sftp::client::SftpClient;
use crate::carriers::sftp::line::Line;
use crate::carriers::sftp::replies::ok;
use crate::carriers::sftp::server::ServerLimits;
use crate::carriers::sftp::settings::ClientOptions;
use crate::carriers::sftp::testing::{Collected, MemoryFolder, Raw, connect, idx, pair, pattern, start, start_watched};
use crate::carriers::sftp::wire::{Attrs, OpenFlags, Reply, Request, StatusCode};
use crate::outward::NoProgress;

const WRITE: u32 = 2 | 8;

fn options(window: u8, block_octets: u32) -> ClientOptions {
    ClientOptions { window, block_octets, block_fixed: true, ..ClientOptions::default() }
}

#[tokio::test]
async fn files_survive_every_window_and_block_size() {
    // SFTP-11
    let data = pattern(8 * 1024 * 1024 + 4321);
    for (window, block) in [(1, 255 * 1024), (64, 32 * 1024), (255, 33_333), (7, 65_537), (64, 255 * 1024)] {
        let folder = MemoryFolder::new();
        let mut client = connect(&folder, options(window, block)).await.unwrap();
        client.put(b"f.bin", &mut Bytes::from(data.clone()), 0, &mut NoProgress).await.unwrap();
        assert!(folder.file("/in/f.bin").unwrap() == data, "up, {window} x {block}");
        let mut down = Collected::default();
        assert_eq!(
            client.get(b"/in/f.bin", &mut down, 0, &mut NoProgress).await.unwrap(),
            u64::try_from(data.len()).unwrap()
        );
        assert!(down.0 == data, "down, {window} x {block}");
        assert_eq!(folder.log(), ["sync /in/f.bin", "commit /in/f.bin 8392929", "finish /in/f.bin true"]);
    }
}

#[tokio::test]
async fn small_files_survive() {
    let folder = MemoryFolder::new();
    let mut client = connect(&folder, ClientOptions::default()).await.unwrap();
    for size in [0, 1, 255 * 1024 - 1, 255 * 1024, 255 * 1024 + 1] {
        let data = pattern(size);
        client.put(b"f", &mut Bytes::from(data.clone()), 0, &mut NoProgress).await.unwrap();
        let mut down = Collected::default();
        client.get(b"f", &mut down, 0, &mut NoProgress).await.unwrap();
        assert!(down.0 == data && folder.file("/in/f").unwrap() == data, "{size} octets");
    }
}

#[tokio::test]
async fn the_block_follows_the_servers_limits() {
    let folder = MemoryFolder::new();
    assert_eq!(connect(&folder, ClientOptions::default()).await.unwrap().block_octets(), 128 * 1024);
    assert_eq!(connect(&folder, options(1, 100)).await.unwrap().block_octets(), 100);
}

#[tokio::test]
async fn a_large_read_gets_what_one_packet_holds() {
    let folder = MemoryFolder::new().with_file("/out/f", &pattern(600_000));
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let handle = raw.open("/out/f", 1).await;
    let Reply::Data(data) = raw.ask(1, Request::Read { handle, offset: 5, len: u32::MAX }).await else { panic!() };
    assert_eq!(data, pattern(600_000)[5..5 + 128 * 1024]);
}

#[tokio::test]
async fn sixty_four_large_reads_wait_for_a_slow_reader() {
    // DESIGN 5.8, LESSONS 44 and 46: 64 x 256 KiB, more than any window; and all is answered in order.
    let data = pattern(16 * 1024 * 1024);
    let folder = MemoryFolder::new().with_file("/out/f", &data);
    let (pipe, _served, queue) = start_watched(&folder, ServerLimits::default());
    let mut raw = Raw::greeted(pipe).await;
    let handle = raw.open("/out/f", 1).await;
    for n in 0..64u32 {
        raw.send(n, Request::Read { handle: handle.clone(), offset: u64::from(n) * 262_144, len: 262_144 });
    }
    rest().await;
    assert!((2_000_000..3_000_000).contains(&queue.queued()), "{} octets wait for the peer", queue.queued());
    raw.send(900, Request::Stat { path: Bytes::from_static(b"/out") });
    let (mut next, mut other_at) = (0, None);
    while next < 64 {
        match raw.reply().await {
            (900, Reply::Attrs(_)) => other_at = Some(next),
            (id, Reply::Data(got)) => {
                assert_eq!(idx(id), next);
                assert!(got == data[next * 262_144..next * 262_144 + 128 * 1024], "reply {next}");
                next += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(other_at.is_some_and(|at| at < 40), "other requests do not wait for all the reads: {other_at:?}");
    assert_eq!(raw.ask(901, Request::Close { handle }).await, ok());
}

#[tokio::test]
async fn a_whole_file_asked_for_at_once_is_given() {
    // LESSONS 46: paramiko's prefetch asks for every block before it reads the first.
    let data = pattern(20 * 1024 * 1024);
    let folder = MemoryFolder::new().with_file("/out/f", &data);
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let handle = raw.open("/out/f", 1).await;
    let blocks = 100_000u32;
    for n in 0..blocks {
        raw.send(n, Request::Read { handle: handle.clone(), offset: u64::from(n) * 1024, len: 1024 });
    }
    let (mut got, mut ends) = (Vec::new(), 0);
    for _ in 0..blocks {
        match raw.reply().await.1 {
            Reply::Data(part) => got.extend_from_slice(&part),
            Reply::Status { code: StatusCode::Eof, .. } => ends += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(got == data);
    assert_eq!(ends, 100_000 - 20 * 1024);
}

#[tokio::test]
async fn uploads_go_on_while_the_output_stands_still() {
    // The peer fetches a large file, reads nothing, and sends another: both sides would wait for each other if reads
    // held up the input.
    let data = pattern(24 * 1024 * 1024);
    let folder = MemoryFolder::new().with_file("/out/f", &data);
    let (pipe, _served, queue) = start_watched(&folder, ServerLimits::default());
    let mut raw = Raw::greeted(pipe).await;
    let down = raw.open("/out/f", 1).await;
    let up = raw.open("/in/g", WRITE).await;
    for n in 0..96u32 {
        raw.send(n, Request::Read { handle: down.clone(), offset: u64::from(n) * 250_000, len: 250_000 });
        let part = Bytes::copy_from_slice(&data[idx(n) * 100_000..][..100_000]);
        raw.send(1000 + n, Request::Write { handle: up.clone(), offset: u64::from(n) * 100_000, data: part.into() });
    }
    raw.send(5000, Request::Close { handle: up });
    while folder.file("/in/g").is_none() {
        tokio::task::yield_now().await;
    }
    assert!(folder.file("/in/g").unwrap() == data[..9_600_000]);
    assert!(queue.queued() < 3 * 1024 * 1024, "{} octets wait for the peer", queue.queued());
    let mut read = 0;
    while read < 96 {
        if let (id @ 0..96, Reply::Data(part)) = raw.reply().await {
            assert_eq!(id, read, "reads of one handle keep their order");
            assert!(part == data[idx(id) * 250_000..][..part.len()]);
            read += 1;
        }
    }
}

#[tokio::test]
async fn a_commit_does_not_hold_up_other_requests() {
    let mut folder = MemoryFolder::new();
    folder.commits = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let (first, second) = (raw.open("/in/a", WRITE).await, raw.open("/in/b", WRITE).await);
    raw.send(1, Request::Close { handle: first });
    raw.send(2, Request::Stat { path: Bytes::from_static(b"/in/a") });
    let other = Request::Write { handle: second.clone(), offset: 0, data: Bytes::from_static(b"x").into() };
    assert_eq!(raw.ask(3, other).await, ok());
    assert_eq!(folder.log(), [""; 0], "CLOSE is not answered before the file is durable");
    folder.commits.add_permits(1);
    let (one, two) = (raw.reply().await, raw.reply().await);
    assert_eq!(one, (1, ok()));
    assert!(matches!(two, (2, Reply::Attrs(_))), "STAT of the name waits for the commit: {two:?}");
}

#[tokio::test]
async fn a_slow_disk_holds_the_input_back() {
    let mut folder = MemoryFolder::new();
    folder.writes = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let up = raw.open("/in/a", WRITE).await;
    let block = Bytes::from(pattern(250_000));
    for n in 0..64u32 {
        raw.send(n, Request::Write { handle: up.clone(), offset: u64::from(n) * 250_000, data: block.clone().into() });
    }
    rest().await;
    let left = raw.line.output.queued();
    assert!(left > 10_000_000, "only {left} of 16,000,000 octets are still with the peer");
    folder.writes.add_permits(64);
    for n in 0..64 {
        assert_eq!(raw.reply().await, (n, ok()));
    }
}

#[tokio::test]
async fn a_cut_upload_is_interrupted_and_resumed() {
    // SFTP-9, SFTP-10
    let data = pattern(3_000_000);
    let folder = MemoryFolder::new();
    let (pipe, served) = start(&folder, ServerLimits::default());
    let mut raw = Raw::greeted(pipe).await;
    let up = raw.open("f", WRITE).await;
    let head = Bytes::copy_from_slice(&data[..250_000]);
    raw.ask(1, Request::Write { handle: up, offset: 0, data: head.into() }).await;
    drop(raw);
    assert_eq!(served.await.unwrap().error, None);
    assert_eq!((folder.file("/in/f"), folder.log()), (None, vec!["interrupt /in/f 250000".to_owned()]));

    let mut client = connect(&folder, options(4, 32 * 1024)).await.unwrap();
    assert_eq!(client.stat(b"f").await.unwrap().unwrap().size, Some(250_000), "the uploader sees its partial file");
    client.put(b"f", &mut Bytes::from(data.clone()), 250_000, &mut NoProgress).await.unwrap();
    assert!(folder.file("/in/f").unwrap() == data);
}

#[tokio::test]
async fn reput_of_openssh_goes_on_at_the_end() {
    // DESIGN 1.1: STAT, then WRITE|APPEND|CREAT, then offsets from the size that STAT gave.
    let folder = MemoryFolder::new();
    folder.state.lock().unwrap().partial.insert(b"/in/f".to_vec(), b"0123".to_vec());
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let handle = raw.open("f", 2 | 4 | 8).await;
    let write = |offset, data| Request::Write { handle: handle.clone(), offset, data: Bytes::from_static(data).into() };
    let requests = [write(4, b"45"), write(6, b"67"), Request::Close { handle: handle.clone() }];
    for (id, request) in (1u32..).zip(requests) {
        assert_eq!(raw.ask(id, request).await, ok());
    }
    assert_eq!(folder.file("/in/f").unwrap(), b"01234567");
}

#[tokio::test]
async fn who_goes_on_does_so_at_the_end_that_he_was_told_of() {
    // Two sessions send one file: one asks for its size, and then the other goes on for a while, or begins it anew. Flags:
    // WRITE and CREAT, with APPEND or without.
    let by_us = Attrs { size: Some(2), ..Attrs::default() };
    for (told, now, flags) in [(0, 6, 2 | 4 | 8), (4, 6, 2 | 4 | 8), (4, 0, 2 | 4 | 8), (4, 0, 2 | 8)] {
        let folder = MemoryFolder::new();
        let set = |size| folder.state.lock().unwrap().partial.insert(b"/in/f".to_vec(), b"012345"[..size].to_vec());
        set(told);
        let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
        let asked = raw.ask(1, Request::Stat { path: Bytes::from_static(b"f") }).await;
        let told = u64::try_from(told).unwrap();
        assert!(matches!(asked, Reply::Attrs(attrs) if attrs.size == Some(told)));
        set(now);
        let handle = raw.open("f", flags).await;
        let write = |offset, data: &'static [u8]| Request::Write {
            handle: handle.clone(),
            offset,
            data: Bytes::from_static(data).into(),
        };
        let cut = Request::Fsetstat { handle: handle.clone(), attrs: by_us.clone() };
        let requests = [write(told, b"45"), write(6, b"67"), cut, Request::Close { handle: handle.clone() }];
        for (id, request) in (2u32..).zip(requests) {
            let reply = raw.ask(id, request).await;
            assert!(matches!(reply, Reply::Status { code: StatusCode::Failure, .. }), "{told} {now}: {reply:?}");
        }
        assert_eq!((folder.file("/in/f"), folder.log()), (None, vec![format!("interrupt /in/f {now}")]));
    }
}

#[tokio::test]
async fn who_makes_a_file_shorter_himself_may_go_on() {
    let folder = MemoryFolder::new();
    folder.state.lock().unwrap().partial.insert(b"/in/f".to_vec(), b"0123".to_vec());
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let path = Bytes::from_static(b"f");
    raw.ask(1, Request::Stat { path: path.clone() }).await;
    let attrs = Attrs { size: Some(0), ..Attrs::default() };
    assert_eq!(raw.ask(2, Request::Setstat { path, attrs }).await, ok());
    let handle = raw.open("f", 2 | 8).await;
    let write = Request::Write { handle: handle.clone(), offset: 0, data: Bytes::from_static(b"ab").into() };
    for (id, request) in (3u32..).zip([write, Request::Close { handle }]) {
        assert_eq!(raw.ask(id, request).await, ok());
    }
    assert_eq!(folder.file("/in/f").unwrap(), b"ab");
}

#[tokio::test]
async fn a_download_goes_on_where_it_ended() {
    // SFTP-10
    let data = pattern(500_000);
    let folder = MemoryFolder::new().with_file("/out/f", &data);
    let mut client = connect(&folder, options(3, 7_000)).await.unwrap();
    let mut down = Collected(data[..123_456].to_vec());
    assert_eq!(client.get(b"/out/f", &mut down, 123_456, &mut NoProgress).await.unwrap(), 500_000);
    assert!(down.0 == data);
}

#[tokio::test]
async fn a_full_disk_ends_the_upload_with_the_servers_words() {
    let folder = MemoryFolder::new();
    folder.state.lock().unwrap().full = true;
    let mut client = connect(&folder, options(64, 1000)).await.unwrap();
    let failed = client.put(b"f", &mut Bytes::from(pattern(100_000)), 0, &mut NoProgress).await.unwrap_err();
    assert_eq!(failed.to_string(), "the partner's server answered WRITE with FAILURE: no space left");
    assert!(client.stat(b"/out").await.unwrap().is_some(), "the session goes on");
}

#[tokio::test]
async fn an_operation_that_was_dropped_leaves_the_client_usable() {
    let folder = MemoryFolder::new();
    let mut client = connect(&folder, options(16, 1000)).await.unwrap();
    let mut source = Bytes::from(pattern(1_000_000));
    for polls in 1..40 {
        let mut nobody = NoProgress;
        let mut put = Box::pin(client.put(b"f", &mut source, 0, &mut nobody));
        for _ in 0..polls {
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(put.as_mut().poll(cx))).await;
            assert!(poll.is_pending(), "after {polls} polls");
            tokio::task::yield_now().await;
        }
        drop(put);
        assert!(client.stat(b"/out").await.unwrap().is_some(), "after {polls} polls");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn uploads_cut_anywhere_end_whole(
        size in 0usize..400_000,
        block in 1000u32..40_000,
        window in 1u8..20,
        cuts in proptest::collection::vec(0usize..60, 0..4),
    ) {
        // DESIGN 5.1: cut after any number of answers, then go on from what the server says it has.
        let data = pattern(size);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let whole = runtime.block_on(async {
            let folder = MemoryFolder::new();
            for cut in cuts {
                let (ours, mut theirs) = pair();
                let (pipe, served) = start(&folder, ServerLimits::default());
                let Line { mut input, output } = pipe;
                // Two one-way relays; the way back ends after `cut` pieces.
                let forth = tokio::spawn(async move {
                    while let Some(piece) = theirs.input.next().await {
                        if output.send(piece).is_err() { break }
                    }
                });
                let back = tokio::spawn(async move {
                    for _ in 0..cut {
                        let Some(piece) = input.next().await else { break };
                        if theirs.output.send(piece).is_err() { break }
                    }
                });
                if let Ok(mut client) = SftpClient::start_on(ours, options(window, block)).await {
                    let from = resume_point(&mut client, u64::from(block) * u64::from(window)).await.unwrap_or(0);
                    let _ = client.put(b"f", &mut Bytes::from(data.clone()), from, &mut NoProgress).await;
                }
                forth.await.unwrap();
                back.await.unwrap();
                served.await.unwrap();
            }
            let mut client = connect(&folder, options(window, block)).await.unwrap();
            let from = resume_point(&mut client, u64::from(block) * u64::from(window)).await.unwrap();
            client.put(b"f", &mut Bytes::from(data.clone()), from, &mut NoProgress).await.unwrap();
            folder.file("/in/f")
        });
        prop_assert!(whole == Some(data));
    }
}

async fn resume_point(client: &mut SftpClient, back: u64) -> Option<u64> {
    let there = client.stat(b"f").await.ok()?.and_then(|attrs| attrs.size).unwrap_or(0);
    Some(there.saturating_sub(back))
}

/// Lets the other tasks do what they can.
async fn rest() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn flags_of_the_draft() {
    assert_eq!(OpenFlags::WRITE.and(OpenFlags::CREATE), OpenFlags(WRITE));
}
