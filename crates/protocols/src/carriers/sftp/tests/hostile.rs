//! Peers that break the protocol, ask for too much, or send noise.

use bytes::Bytes;
use proptest::prelude::*;

use crate::carriers::sftp::replies::ok;
use crate::carriers::sftp::server::{ServerLimits, SessionError};
use crate::carriers::sftp::testing::{MemoryFolder, Raw, idx, pattern, start};
use crate::carriers::sftp::wire::{
    ClientPacket, Extended, FrameError, OpenFlags, Reply, Request, ServerPacket, StatusCode,
};

fn init(version: u32) -> Bytes {
    ClientPacket::Init { version, extensions: Vec::new() }.encode()
}

fn stat(id: u32) -> Bytes {
    Request::Stat { path: Bytes::from_static(b"/") }.encode(id)
}

async fn end_of(pieces: &[Bytes], limits: ServerLimits) -> (Vec<ServerPacket>, Option<SessionError>) {
    let (pipe, served) = start(&MemoryFolder::new(), limits);
    let mut raw = Raw::new(pipe);
    for piece in pieces {
        let _ = raw.line.output.send(piece.clone());
    }
    raw.end_output();
    let mut got = Vec::new();
    while let Some(packet) = raw.packet().await {
        got.push(packet);
    }
    (got, served.await.unwrap().error)
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_session() {
    let cases = [
        (vec![stat(1)], Some(SessionError::BeforeInit)),
        (vec![init(3), init(3)], Some(SessionError::SecondInit)),
        (vec![init(2)], Some(SessionError::Version { version: 2 })),
        (vec![init(3), Bytes::from_static(b"GET / HTTP/1.1")], Some(FrameError { octets: 0x4745_5420 }.into())),
        (vec![init(3), Bytes::from_static(&[0; 4])], Some(FrameError { octets: 0 }.into())),
        (vec![init(3), stat(1)], None),
        (vec![init(3), stat(1).slice(..9)], None),
        (vec![], None),
    ];
    for (pieces, expected) in cases {
        let (_, error) = end_of(&pieces, ServerLimits::default()).await;
        assert_eq!(error, expected, "{pieces:?}");
    }
}

#[tokio::test]
async fn requests_that_cant_be_read_are_answered_a_few_times() {
    let cut = Bytes::from_static(&[0, 0, 0, 9, 17, 0, 0, 0, 7, 255, 255, 255, 255]);
    let (packets, error) = end_of(&[init(3), cut.clone(), stat(8)], ServerLimits::default()).await;
    let Some(ServerPacket::Reply { id: 7, reply: Reply::Status { code, .. } }) = packets.get(1) else {
        panic!("{packets:?}");
    };
    assert_eq!((*code, error, packets.len()), (StatusCode::BadMessage, None, 3));
    let (_, error) = end_of(&[init(3), cut.repeat(16).into()], ServerLimits::default()).await;
    assert!(matches!(error, Some(SessionError::Malformed { count: 16, .. })), "{error:?}");
}

#[tokio::test]
async fn handles_are_bounded() {
    // SFTP-20
    let folder = MemoryFolder::new().with_file("/out/f", b"x");
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    let mut handles = Vec::new();
    for _ in 0..64 {
        handles.push(raw.open("/out/f", 1).await);
    }
    let path = Bytes::from_static(b"/out");
    for _ in 0..3 {
        let Reply::Status { code, text } = raw.ask(1, Request::Opendir { path: path.clone() }).await else { panic!() };
        assert_eq!(code, StatusCode::Failure);
        assert!(text.starts_with(b"too many handles"));
    }
    assert_eq!(raw.ask(2, Request::Close { handle: handles.remove(9) }).await, ok());
    assert!(matches!(raw.ask(3, Request::Opendir { path }).await, Reply::Handle(_)));
}

#[tokio::test]
async fn handles_on_their_way_count_as_well() {
    let folder = MemoryFolder::new();
    let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
    for id in 0..100 {
        raw.send(id, Request::Opendir { path: Bytes::from_static(b"/out") });
    }
    let mut opened = 0;
    for _ in 0..100 {
        opened += usize::from(matches!(raw.reply().await.1, Reply::Handle(_)));
    }
    assert_eq!(opened, 64);
}

#[tokio::test]
async fn a_peer_that_never_reads_is_left() {
    let folder = MemoryFolder::new();
    let limits = ServerLimits { output_octets_max: 100_000, ..ServerLimits::default() };
    let (pipe, served) = start(&folder, limits);
    let raw = Raw::greeted(pipe).await;
    for id in 0..10_000 {
        raw.send(id, Request::Realpath { path: Bytes::from_static(b".") });
    }
    assert!(matches!(served.await.unwrap().error, Some(SessionError::NotRead { .. })));
}

#[tokio::test]
async fn scattered_reads_are_refused_above_the_bound_and_the_rest_goes_on() {
    let folder = MemoryFolder::new().with_file("/out/f", &pattern(4_000_000));
    let limits = ServerLimits { requests_waiting_max: 100, ..ServerLimits::default() };
    let mut raw = Raw::greeted(start(&folder, limits).0).await;
    let down = raw.open("/out/f", 1).await;
    for id in 0..1000 {
        raw.send(id, Request::Read { handle: down.clone(), offset: u64::from(id % 7), len: 100_000 });
    }
    raw.send(1000, Request::Close { handle: down });
    let (mut given, mut refused) = (0, 0);
    loop {
        match raw.reply().await {
            (1000, reply) => break assert_eq!(reply, ok()),
            (_, Reply::Data(data)) => given += usize::from(data.len() == 100_000),
            (_, Reply::Status { code: StatusCode::Failure, .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(given + refused, 1000);
    assert!(given >= 100 && refused > 100, "{given} given, {refused} refused");
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_done() {
    let folder = MemoryFolder::new().with_file("/out/f", &pattern(9_000_000));
    let (pipe, served) = start(&folder, ServerLimits::default());
    let mut raw = Raw::greeted(pipe).await;
    let (up, down) = (raw.open("/in/f", 2 | 8).await, raw.open("/out/f", 1).await);
    for id in 0..40 {
        raw.send(id, Request::Read { handle: down.clone(), offset: 0, len: 200_000 });
        let data = Bytes::from_static(b"0123456789");
        raw.send(100 + id, Request::Write { handle: up.clone(), offset: u64::from(id) * 10, data: data.into() });
    }
    raw.send(300, Request::Close { handle: up });
    drop(raw);
    let served = served.await.unwrap();
    assert_eq!((served.error, served.octets_in), (None, 400));
    assert_eq!(folder.file("/in/f").unwrap().len(), 400);
    assert!(folder.log().contains(&"finish /out/f false".to_owned()), "{:?}", folder.log());
}

#[tokio::test]
async fn every_escape_stays_inside() {
    // SFTP-14, DESIGN 5.5: each verb, each way out; nothing beyond the folder's root is ever named.
    const ESCAPES: [&str; 12] = [
        "../../secret",
        "/../secret",
        "/in/../../secret",
        "..//..//secret",
        "/./../secret",
        "../in/../../secret",
        "/out/../../../../secret",
        "./../../secret",
        "//secret",
        "///..///secret",
        "/../../../../../../secret",
        "/in/./../../secret",
    ];
    for escape in ESCAPES {
        let folder = MemoryFolder::new().with_file("/secret", b"inside");
        let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
        let path = Bytes::from_static(escape.as_bytes());
        let Reply::Attrs(attrs) = raw.ask(1, Request::Stat { path: path.clone() }).await else { panic!("{escape}") };
        assert_eq!(attrs.size, Some(6), "{escape} is /secret of the partner");
        let (from, to) = (path.clone(), Bytes::from_static(b"/moved"));
        assert_eq!(raw.ask(2, Request::Rename { from, to: to.clone() }).await, ok(), "{escape}");
        assert_eq!(raw.ask(3, Request::Extended(Extended::PosixRename { from: to, to: path.clone() })).await, ok());
        assert_eq!(folder.file("/secret").unwrap(), b"inside", "{escape}");
        let handle = raw.open(escape, 1).await;
        assert_eq!(raw.ask(4, Request::Close { handle }).await, ok());
        let handle = raw.open(escape, 2 | 8 | 16).await;
        assert_eq!(raw.ask(5, Request::Close { handle }).await, ok());
        assert_eq!(folder.file("/secret").unwrap(), b"", "{escape}");
        assert_eq!(raw.ask(6, Request::Remove { path }).await, ok());
        assert_eq!(folder.file("/secret"), None, "{escape}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_ends_in_an_error_or_an_answer(
        noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
        framed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let packets = noise.iter().map(|body| {
            let length = u32::try_from(body.len()).unwrap().to_be_bytes();
            if framed { Bytes::from([&length[..], body].concat()) } else { Bytes::copy_from_slice(body) }
        });
        let pieces: Vec<Bytes> = std::iter::once(init(3)).chain(packets).filter(|p| !p.is_empty()).collect();
        let (packets, _) = runtime.block_on(end_of(&pieces, ServerLimits::default()));
        prop_assert!(packets.len() <= 1 + noise.iter().map(Vec::len).sum::<usize>());
    }

    #[test]
    fn every_request_is_answered_once(
        picks in proptest::collection::vec((0usize..12, 0u64..5000, 0u32..4000), 1..120),
        cuts in proptest::collection::vec(1usize..3000, 0..40),
    ) {
        // In any order, cut anywhere: one answer for each number.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = MemoryFolder::new().with_file("/out/f", &pattern(4000));
            let mut raw = Raw::greeted(start(&folder, ServerLimits::default()).0).await;
            let handles = [raw.open("/out/f", 1).await, raw.open("/in/g", 2 | 8).await, raw.open("/in/h", 1 | 2 | 8).await];
            let mut stream = Vec::new();
            for (id, (pick, offset, len)) in (0u32..).zip(&picks) {
                stream.extend_from_slice(&request(*pick, *offset, *len, &handles).encode(id));
            }
            let mut rest = Bytes::from(stream);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let piece = rest.split_to(cut.min(rest.len()));
                if !piece.is_empty() {
                    raw.line.output.send(piece).unwrap();
                }
            }
            let mut answered: Vec<u32> = Vec::new();
            for _ in &picks {
                answered.push(raw.reply().await.0);
            }
            answered.sort_unstable();
            assert_eq!(answered, (0..u32::try_from(picks.len()).unwrap()).collect::<Vec<_>>());
        });
    }
}

fn request(pick: usize, offset: u64, len: u32, handles: &[Bytes; 3]) -> Request {
    let handle = handles[pick % 3].clone();
    let path = Bytes::from_static(b"/in/g");
    match pick {
        0..3 => Request::Read { handle, offset, len },
        3..6 => Request::Write { handle, offset, data: Bytes::from(pattern(idx(len))).into() },
        6 => Request::Fstat { handle },
        7 => Request::Close { handle },
        8 => Request::Stat { path },
        9 => Request::Open { path, flags: OpenFlags(2 | 8), attrs: Default::default() },
        10 => Request::Rename { from: path, to: Bytes::from_static(b"/in/k") },
        _ => Request::Extended(Extended::Fsync { handle }),
    }
}
